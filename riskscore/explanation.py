"""Why a patient's survival is what it is: exact Shapley values against a typical patient.

The survival at one time is shared out among the predictors: what each adds, averaged over every
order in which the typical training patient's values are exchanged for the patient's own. The parts
sum exactly to the patient's survival less the typical patient's. They describe the model, not what
would happen if a value were changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore import curves
from riskscore.errors import ModelError
from riskscore.prediction import nullable
from riskscore.records import encode_records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from riskscore.model import RiskModel

__all__ = ["MOST_PREDICTORS", "Explanation", "Shares", "shapley_values", "shares_of"]

FloatArray = NDArray[np.float64]

MOST_PREDICTORS = 14
"""Above this many, exact values need more than 16,384 predictions a patient."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of n patients' survival at one time, in plain arrays.

    Attributes
    ----------
    time : float
        In the study's unit.
    predictors : tuple of str
    reference : dict
        The typical training patient: each category's commonest level, each number's median.
    reference_survival : float
        The survival of that patient at `time`.
    survival : ndarray of shape (n,)
    contributions : ndarray of shape (n, n_predictors)
        What each predictor adds to the survival; below 0 it lowers it. A row sums to the patient's
        survival less `reference_survival`.
    inputs : ndarray of shape (n, n_predictors)
    """

    time: float
    predictors: tuple[str, ...]
    reference: dict[str, str | float]
    reference_survival: float
    survival: FloatArray
    contributions: FloatArray
    inputs: FloatArray

    def __len__(self) -> int:
        return len(self.survival)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one JSON-ready dictionary a patient."""
        return [
            {
                "time": self.time,
                "survival": nullable(self.survival)[i],
                "reference": dict(self.reference),
                "reference_survival": self.reference_survival,
                "contributions": dict(
                    zip(self.predictors, nullable(self.contributions[i]), strict=True)
                ),
            }
            for i in range(len(self))
        ]


class Explanation:
    """Shares as DataFrames, on the index of the patients."""

    def __init__(
        self, model: RiskModel, shares: Shares, index: pd.Index[Any] | None = None
    ) -> None:
        self.model = model
        self.shares = shares
        self.index: pd.Index[Any] = pd.RangeIndex(len(shares)) if index is None else index

    def __repr__(self) -> str:
        return f"Explanation({self.model.manifest.id!r}, patients={len(self.shares)})"

    @cached_property
    def contributions(self) -> pd.DataFrame:
        """What each predictor adds to the survival, patients x predictors."""
        columns = list(self.shares.predictors)
        return pd.DataFrame(self.shares.contributions, index=self.index, columns=columns)

    @cached_property
    def survival(self) -> pd.Series[float]:
        """The patients' survival at the time."""
        return pd.Series(self.shares.survival, index=self.index, name="survival")

    @property
    def reference(self) -> dict[str, str | float]:
        """The typical training patient that the contributions are measured from."""
        return self.shares.reference

    @property
    def reference_survival(self) -> float:
        """The typical patient's survival at the time."""
        return self.shares.reference_survival

    def plot(self, patient: int = 0, ax: Axes | None = None) -> Axes:
        """Draw one patient's parts, from the typical survival to the patient's own.

        Parameters
        ----------
        patient : int
            Position of the patient, from 0.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default. Needs `riskscore[plots]`.
        """
        from riskscore._plots import plot_explanation

        return plot_explanation(self, patient, ax)


def shapley_values(
    values: Callable[[FloatArray], FloatArray], X: FloatArray, reference: FloatArray
) -> FloatArray:
    """Return the exact Shapley values of each row of `X` against one reference row.

    Parameters
    ----------
    values : callable
        Takes inputs of shape (m, p), returns a number a row.
    X : ndarray of shape (n, p)
    reference : ndarray of shape (p,)

    Returns
    -------
    ndarray of shape (n, p)
        Each row sums to `values` of the patient less that of the reference.

    Raises
    ------
    ModelError
        If there are more than `MOST_PREDICTORS` predictors.

    Notes
    -----
    Source: Shapley, in Contributions to the Theory of Games II (1953) 307; the form with one
    reference is the baseline Shapley value of Sundararajan & Najmi, ICML (2020).
    """
    n_predictors = X.shape[1]
    if n_predictors > MOST_PREDICTORS:
        raise ModelError(
            f"predictors must be at most {MOST_PREDICTORS} for exact Shapley values, the model has "
            f"{n_predictors}; fit a model with fewer"
        )
    coalitions = np.arange(2**n_predictors)
    members = coalitions[:, None] >> np.arange(n_predictors) & 1 == 1
    size = members.sum(axis=1)
    weight = np.array(
        [
            math.factorial(s) * math.factorial(n_predictors - s - 1) / math.factorial(n_predictors)
            for s in range(n_predictors)
        ]
    )
    found = np.empty(X.shape)
    for i, patient in enumerate(X):
        of_coalition = values(np.where(members, patient, reference))
        for j in range(n_predictors):
            without = coalitions[~members[:, j]]
            gained = of_coalition[without | 1 << j] - of_coalition[without]
            found[i, j] = weight[size[without]] @ gained
    return found


def shares_of(model: RiskModel, X: FloatArray, time: float) -> Shares:
    """Return the parts of patients' survival at one time.

    Parameters
    ----------
    model : RiskModel
    X : ndarray of shape (n, n_predictors)
        Checked input.
    time : float

    Raises
    ------
    ModelError
        If the model is a forest of a reconstructed cohort, or has too many predictors.
    """
    manifest = model.manifest
    if model.is_unstable:
        raise ModelError(
            f"model must not be a {manifest.kind} of a reconstructed cohort to explain, "
            f"{manifest.id} is: "
            "cohorts that fit the published figures equally well give it widely different answers; "
            "take the Cox model of the same study"
        )
    position = curves.positions(np.array(manifest.times), np.array([time]))

    def survival(rows: FloatArray) -> FloatArray:
        return curves.at(model.curves(rows)[0], position)[:, 0]

    typical = manifest.typical_patient
    reference, _ = encode_records([typical], manifest.predictors)
    return Shares(
        time=time,
        predictors=tuple(p.name for p in manifest.predictors),
        reference=typical,
        reference_survival=float(survival(reference)[0]),
        survival=survival(X),
        contributions=shapley_values(survival, X, reference[0]),
        inputs=X,
    )

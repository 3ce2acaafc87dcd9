"""What a model expects under each treatment: `Contrast` in plain arrays, `Comparison` as tables.

A difference is an association in the data the model was fitted on: whoever was given which
treatment was chosen, not drawn by lot. No number needed to treat is given: it claims a cause, and
where the interval of the difference crosses zero it is not defined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore import curves
from riskscore.errors import ModelError
from riskscore.prediction import nullable

if TYPE_CHECKING:
    from riskscore.model import RiskModel

__all__ = ["ASSOCIATION", "Comparison", "Contrast", "contrast_of"]

FloatArray = NDArray[np.float64]

ASSOCIATION = (
    "The difference is an association in the data that the model was fitted on, not the effect of "
    "changing the treatment."
)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Predictions for n patients under each of L treatments at k times, in plain arrays.

    Attributes
    ----------
    treatment : str
        The predictor that is switched.
    levels : tuple of str
        Its levels; the first is the reference.
    times : ndarray of shape (k,)
    survival, lower, upper : ndarray of shape (n, L, k)
        Probability of being event-free with its pointwise interval (NaN where there is none).
    difference, difference_lower, difference_upper : ndarray of shape (n, L - 1, k)
        Survival under each further level less that under the reference, above 0 where the further
        level fares better, with its 95 % interval (NaN where there is none).
    interval : str
        What the interval of the difference is, or why there is none.
    sensitivity_least, sensitivity_most : ndarray of shape (n, L - 1, k) or None
        For a model of a reconstructed cohort: the range of the difference itself over all cohorts
        that fit the same figures. Not an interval.
    statement : str
        What a difference does not say.
    """

    treatment: str
    levels: tuple[str, ...]
    times: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray
    difference: FloatArray
    difference_lower: FloatArray
    difference_upper: FloatArray
    interval: str
    sensitivity_least: FloatArray | None = None
    sensitivity_most: FloatArray | None = None
    statement: str = field(default=ASSOCIATION)

    def __len__(self) -> int:
        return len(self.survival)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one JSON-ready dictionary a patient; what is not a number becomes None."""
        by_level = {
            "survival": self.survival, "survival_lower": self.lower, "survival_upper": self.upper,
        }  # fmt: skip
        by_difference = {
            "difference": self.difference,
            "difference_lower": self.difference_lower,
            "difference_upper": self.difference_upper,
        }
        if self.sensitivity_least is not None and self.sensitivity_most is not None:
            by_difference["sensitivity_least"] = self.sensitivity_least
            by_difference["sensitivity_most"] = self.sensitivity_most
        return [
            {
                "treatments": {
                    level: {name: nullable(a[i, j]) for name, a in by_level.items()}
                    for j, level in enumerate(self.levels)
                },
                "differences": {
                    level: {name: nullable(a[i, j]) for name, a in by_difference.items()}
                    for j, level in enumerate(self.levels[1:])
                },
            }
            for i in range(len(self))
        ]


class Comparison:
    """A contrast as DataFrames, a row a patient and treatment, on the index of the patients."""

    def __init__(
        self, model: RiskModel, contrast: Contrast, index: pd.Index[Any] | None = None
    ) -> None:
        self.model = model
        self.contrast = contrast
        self.index: pd.Index[Any] = pd.RangeIndex(len(contrast)) if index is None else index

    def __repr__(self) -> str:
        return (
            f"Comparison({self.model.manifest.id!r}, {self.contrast.treatment!r}, "
            f"patients={len(self.contrast)})"
        )

    @property
    def statement(self) -> str:
        """What a difference does not say."""
        return self.contrast.statement

    @cached_property
    def survival(self) -> pd.DataFrame:
        """Survival under each treatment, (patients, treatments) x times."""
        return self._table(self.contrast.survival, self.contrast.levels)

    @cached_property
    def lower(self) -> pd.DataFrame:
        """Lower bound of `survival`; NaN where there is none."""
        return self._table(self.contrast.lower, self.contrast.levels)

    @cached_property
    def upper(self) -> pd.DataFrame:
        """Upper bound of `survival`; NaN where there is none."""
        return self._table(self.contrast.upper, self.contrast.levels)

    @cached_property
    def difference(self) -> pd.DataFrame:
        """Survival less that under the reference; above 0 the level fares better."""
        return self._table(self.contrast.difference, self.contrast.levels[1:])

    @cached_property
    def difference_lower(self) -> pd.DataFrame:
        """Lower bound of the difference's 95 % interval; NaN where there is none."""
        return self._table(self.contrast.difference_lower, self.contrast.levels[1:])

    @cached_property
    def difference_upper(self) -> pd.DataFrame:
        """Upper bound of the difference's 95 % interval; NaN where there is none."""
        return self._table(self.contrast.difference_upper, self.contrast.levels[1:])

    @cached_property
    def sensitivity_least(self) -> pd.DataFrame:
        """Least difference over reconstructions that fit the same figures; NaN without any."""
        return self._range(self.contrast.sensitivity_least)

    @cached_property
    def sensitivity_most(self) -> pd.DataFrame:
        """Largest difference over reconstructions that fit the same figures; NaN without any."""
        return self._range(self.contrast.sensitivity_most)

    def to_frame(self) -> pd.DataFrame:
        """Return every difference in one table, a row a patient, treatment and time."""
        c = self.contrast
        index = pd.MultiIndex.from_product(
            [range(len(c)), c.levels[1:], c.times], names=["patient", c.treatment, "time"]
        )
        j = np.arange(1, len(c.levels))
        columns = {
            "reference": np.broadcast_to(c.survival[:, :1], c.difference.shape),
            "survival": c.survival[:, j],
            "difference": c.difference,
            "difference_lower": c.difference_lower,
            "difference_upper": c.difference_upper,
        }
        if c.sensitivity_least is not None and c.sensitivity_most is not None:
            columns["sensitivity_least"] = c.sensitivity_least
            columns["sensitivity_most"] = c.sensitivity_most
        flat = {name: np.asarray(values).reshape(-1) for name, values in columns.items()}
        table = pd.DataFrame(flat, index=index).reset_index()
        table["patient"] = self.index.to_numpy()[table["patient"].to_numpy()]
        return table

    def _range(self, values: FloatArray | None) -> pd.DataFrame:
        if values is None:
            values = np.full_like(self.contrast.difference, np.nan)
        return self._table(values, self.contrast.levels[1:])

    def _table(self, values: FloatArray, levels: tuple[str, ...]) -> pd.DataFrame:
        names = [str(self.index.name or "patient"), self.contrast.treatment]
        rows = pd.MultiIndex.from_product([self.index.tolist(), list(levels)], names=names)
        columns = pd.Index(self.contrast.times, name="time")
        return pd.DataFrame(values.reshape(len(rows), -1), index=rows, columns=columns)


def contrast_of(model: RiskModel, X: FloatArray, times: FloatArray) -> Contrast:
    """Return what a model expects under each treatment.

    Parameters
    ----------
    model : RiskModel
    X : ndarray of shape (n, n_predictors)
        Checked input, whatever its treatment.
    times : ndarray of shape (k,)

    Raises
    ------
    ModelError
        If the model is a forest of a reconstructed cohort and carries no draws.
    """
    manifest = model.manifest
    treatment = manifest.study.treatment
    assert treatment is not None  # asked for before the input was read
    if model.is_unstable and model.sensitivity is None:
        raise ModelError(
            f"model must not be a {manifest.kind} of a reconstructed cohort to compare, "
            f"{manifest.id} is: "
            "cohorts that fit the published figures equally well disagree widely about it; take "
            "the Cox model of the same study"
        )
    column = manifest.predictors.index(treatment)
    under = []
    for level in range(len(treatment.levels)):
        switched = X.copy()
        switched[:, column] = level
        under.append(switched)
    position = curves.positions(np.array(manifest.times), times)
    outputs = zip(*(model.curves(x)[:3] for x in under), strict=True)
    survival, lower, upper = (
        np.stack([curves.at(found, position) for found in output], axis=1) for output in outputs
    )
    gained = survival[:, 1:] - survival[:, :1]
    low = high = np.full_like(gained, np.nan)
    if manifest.kind == "cox":
        found = [model.equation.difference(x, under[0], times) for x in under[1:]]
        low, high = (np.stack([f[k] for f in found], axis=1) for k in (1, 2))
    least = most = None
    if model.sensitivity is not None:
        spans = [model.sensitivity.difference(X, times, name) for name in treatment.levels[1:]]
        least, most = (np.stack([s[k] for s in spans], axis=1) for k in (0, 1))
    return Contrast(
        treatment=treatment.name,
        levels=treatment.levels,
        times=times,
        survival=survival,
        lower=lower,
        upper=upper,
        difference=gained,
        difference_lower=low,
        difference_upper=high,
        interval=_interval(model),
        sensitivity_least=least,
        sensitivity_most=most,
    )


def _interval(model: RiskModel) -> str:
    if model.manifest.kind != "cox":
        return "none: two predictions of one such model vary together in a way it does not carry"
    if model.equation.covariance is None:
        return f"none: {model.manifest.intervals['reason']}"
    return (
        "95 %, quantiles of the difference under the joint distribution of the coefficients and "
        "the baseline hazard"
    )

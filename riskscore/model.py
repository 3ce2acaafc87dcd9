"""A fitted model that answers: `load_model(...).predict(patients)`.

`RiskModel.answer` is the core without pandas (dictionaries in, arrays out) that the command line
and the server share; `RiskModel.predict` puts DataFrames around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.bundle import Bundle, open_bundle
from riskscore.errors import BundleError, InputError, Problem
from riskscore.graph import OUTPUTS, open_graph
from riskscore.manifest import Manifest
from riskscore.notes import Notes
from riskscore.prediction import Answer, Prediction
from riskscore.records import checked, encode_columns, encode_records, encode_times
from riskscore.sensitivity import SENSITIVITY, Sensitivity
from riskscore.study import Predictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RiskModel", "load_model"]

FloatArray = NDArray[np.float64]

ROWS_AT_ONCE = 128
"""Rows given to the graph at once: a forest holds rows x trees x times numbers while it runs."""


def load_model(model: str | Path) -> RiskModel:
    """Load a model.

    Parameters
    ----------
    model : str or Path
        Id of a shipped model ("deb-tace-hcc/os/cox"), or the path of a bundle.

    Raises
    ------
    BundleError
        If it is missing, damaged or of another format.

    Examples
    --------
    >>> model = load_model("deb-tace-hcc/os/cox")
    >>> patient = {"tumor_number": "<=3", "vascular_invasion": "no",
    ...            "extrahepatic_metastasis": "no", "treatment": "deb_tace"}
    >>> bool(model.predict(patient, times=[12]).survival.loc[0, 12.0] > 0.5)
    True
    """
    return RiskModel(open_bundle(model))


class RiskModel:
    """A model ready to predict. Make one with `load_model`.

    Attributes
    ----------
    manifest : Manifest
        What the model is and what it was fitted on.
    digest : str
        The model's identity, "sha256:...".
    sensitivity : Sensitivity or None
        For a model of a reconstructed cohort: what the reconstruction leaves open.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self.digest: str = bundle.manifest.digest
        self._session = open_graph(bundle)
        self.sensitivity = _sensitivity(bundle)
        self._predictors: tuple[Predictor, ...] = self.manifest.predictors
        self._grid: FloatArray = np.array(self.manifest.times)
        self._horizons: FloatArray = np.array(self.manifest.outcome.horizons)
        self._horizon_positions = curves.positions(self._grid, self._horizons)
        self._widths = curves.interval_widths(self._grid, float(self._horizons[-1]))
        self._cuts: FloatArray = np.array(self.manifest.risk_groups["cut_points"], dtype=float)
        self._groups: list[str] = self.manifest.risk_groups["labels"]
        self._notes = Notes(self.manifest)

    def __repr__(self) -> str:
        return f"RiskModel({self.manifest.id!r}, {self.digest[:19]}...)"

    def predict(
        self,
        patients: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        times: Iterable[float] | None = None,
    ) -> Prediction:
        """Predict the survival of patients.

        Parameters
        ----------
        patients : DataFrame, dict or sequence of dicts
            One row or dictionary a patient. A dictionary holds the model's predictors and nothing
            else; a DataFrame may have further columns, which are left alone.
        times : iterable of float, optional
            When to predict, in the study's unit, each from 0 to the longest follow-up; the
            outcome's horizons by default.

        Returns
        -------
        Prediction
            Survival with its interval, median, restricted mean, risk score and group, and notes.

        Raises
        ------
        InputError
            Listing every problem at once: row (1-based), field, rule, value, remedy.
        """
        if isinstance(patients, Mapping):
            return Prediction(self, self.answer([patients], times))
        if isinstance(patients, Sequence) and not isinstance(patients, str | bytes):
            return Prediction(self, self.answer(patients, times))
        from riskscore.tables import columns_of, repeated_columns

        if not hasattr(patients, "columns") or not hasattr(patients, "index"):
            found = type(patients).__name__
            remedy = "give a DataFrame, a dictionary or a list of dictionaries"
            raise InputError([Problem(None, "patients", "must be a table", found, remedy)])
        if wrong := repeated_columns(patients):
            raise InputError(wrong)
        X, problems = encode_columns(columns_of(patients, self._predictors), self._predictors)
        if not len(X):
            remedy = "give one patient or more"
            problems.append(Problem(None, "patients", "must be at least one", None, remedy))
        return Prediction(self, self._answer(X, problems, times), patients.index)

    def answer(
        self, records: Sequence[Mapping[str, Any]], times: Iterable[float] | None = None
    ) -> Answer:
        """Predict from dictionaries into plain arrays, without pandas.

        Parameters, errors: as `predict`. Returns an `Answer`.
        """
        return self._answer(*encode_records(records, self._predictors), times)

    def answer_encoded(self, X: FloatArray, times: Iterable[float] | None = None) -> Answer:
        """Predict from checked input of shape (n_patients, n_predictors), as `records` makes it."""
        return self._answer(X, [], times)

    def _answer(
        self, X: FloatArray, problems: list[Problem], times: Iterable[float] | None
    ) -> Answer:
        if times is None:
            when, position = self._horizons, self._horizon_positions
        else:
            when, wrong = encode_times(
                times, self.manifest.follow_up_limit, self.manifest.study.time_unit
            )
            problems = [*wrong, *problems]
            position = curves.positions(self._grid, when)
        checked(X, problems)
        if len(X) <= ROWS_AT_ONCE:
            reduced = self._reduced(X, position)
        else:
            parts = [
                self._reduced(X[start : start + ROWS_AT_ONCE], position)
                for start in range(0, len(X), ROWS_AT_ONCE)
            ]
            reduced = tuple(np.concatenate(part) for part in zip(*parts, strict=True))
        survival, lower, upper, median, mean, score = reduced
        lowest, highest = (
            (None, None) if self.sensitivity is None else self.sensitivity.envelope(X, when)
        )
        return Answer(
            times=when,
            survival=survival,
            lower=lower,
            upper=upper,
            median=median,
            rmst=mean,
            rmst_limit=float(self._horizons[-1]),
            risk_score=score,
            risk_group=[self._groups[i] for i in self._cuts.searchsorted(score)],
            notes=self._notes.of(X, when, median),
            inputs=X,
            sensitivity_lower=lowest,
            sensitivity_upper=highest,
        )

    def curves(self, X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the whole curves of checked input.

        Returns
        -------
        survival, lower, upper : ndarray of shape (n_patients, n_times)
            On `manifest.times`; the bounds are NaN where the model has no interval.
        risk_score : ndarray of shape (n_patients,)
            Higher is worse.
        """
        parts = [
            self._session.run(OUTPUTS, {"x": X[start : start + ROWS_AT_ONCE]})
            for start in range(0, len(X), ROWS_AT_ONCE)
        ]
        survival, lower, upper, score = (np.concatenate(p) for p in zip(*parts, strict=True))
        return survival, lower, upper, score

    def _reduced(self, X: FloatArray, position: NDArray[np.intp]) -> tuple[FloatArray, ...]:
        """Return what an answer keeps of the curves, which can be long."""
        survival, lower, upper, score = self._session.run(OUTPUTS, {"x": X})
        return (
            curves.at(survival, position),
            curves.at(lower, position),
            curves.at(upper, position),
            curves.median(self._grid, survival),
            curves.restricted_mean(survival, self._widths),
            score,
        )


def _sensitivity(bundle: Bundle) -> Sensitivity | None:
    if SENSITIVITY not in bundle:
        return None
    try:
        return Sensitivity(bundle.read(SENSITIVITY), bundle.manifest.predictors)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.path}: {SENSITIVITY} cannot be read: {error}; write the bundle again"
        ) from error

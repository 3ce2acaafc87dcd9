"""A fitted model that answers: `load_model(...).predict(patients)`.

`RiskModel.answer` is the core without pandas (dictionaries in, arrays out) that the command line
and the server share; `RiskModel.predict` puts DataFrames around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.answer_check import check_bounds, check_curves, check_differences
from riskscore.bundle import Bundle, open_bundle
from riskscore.comparison import Comparison, Contrast, contrast_of
from riskscore.equation import CoxEquation
from riskscore.errors import AnswerError, BundleError, ModelError, Problem
from riskscore.explanation import Explanation, Shares, shares_of
from riskscore.graph import OUTPUTS, ROWS_AT_ONCE, open_graph
from riskscore.manifest import Manifest
from riskscore.nomogram import Nomogram
from riskscore.notes import Notes
from riskscore.patients import Patients, read_patients
from riskscore.prediction import Answer, Prediction
from riskscore.records import checked, encode_records, encode_times
from riskscore.review import Review, review_of
from riskscore.self_test import self_test
from riskscore.sensitivity import SENSITIVITY, Sensitivity
from riskscore.study import Predictor

__all__ = ["RiskModel", "load_model"]

FloatArray = NDArray[np.float64]


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
    review : Review
        What people decided of it, as it stood when the model was loaded.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self.digest: str = bundle.manifest.digest
        self.review: Review = review_of(bundle)
        self._session = open_graph(bundle)
        self.sensitivity = _sensitivity(bundle)
        self._predictors: tuple[Predictor, ...] = self.manifest.predictors
        self._grid: FloatArray = np.array(self.manifest.times)
        self._horizons: FloatArray = np.array(self.manifest.outcome.horizons)
        self._horizon_positions = curves.positions(self._grid, self._horizons)
        self._horizons_early = bool(self._horizon_positions.min() < 0)
        self._widths = curves.interval_widths(self._grid, float(self._horizons[-1]))
        self._possible_medians = curves.possible_medians(self._grid)
        self._cuts: FloatArray = np.array(self.manifest.risk_groups["cut_points"], dtype=float)
        self._groups: list[str] = self.manifest.risk_groups["labels"]
        self._notes = Notes(self.manifest)
        self_test(self)

    def __repr__(self) -> str:
        return f"RiskModel({self.manifest.id!r}, {self.digest[:19]}...)"

    def predict(
        self,
        patients: Patients,
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
        X, problems, index = read_patients(patients, self._predictors)
        return Prediction(self, self._answer(X, problems, times), index)

    def compare(
        self,
        patients: Patients,
        times: Iterable[float] | None = None,
    ) -> Comparison:
        """Predict the survival of patients under each treatment, and the difference.

        The difference is an association in the data the model was fitted on, not an effect of the
        treatment.

        Parameters
        ----------
        patients, times
            As for `predict`. The treatment may be left out: it is switched.

        Returns
        -------
        Comparison
            For a Cox model the difference has a 95 % interval from the joint distribution of
            coefficients and baseline. Where the model carries the draws of a reconstruction, it has
            their range too.

        Raises
        ------
        InputError
            As `predict`.
        ModelError
            If the study declares no treatment, or if the model is a forest of a reconstructed
            cohort that carries no draws: equally fitting cohorts disagree widely about it.
        """
        X, problems, index = read_patients(patients, self._predictors, self._treatment())
        return Comparison(self, self._contrast(X, problems, times), index)

    def contrast(
        self, records: Sequence[Mapping[str, Any]], times: Iterable[float] | None = None
    ) -> Contrast:
        """Compare from dictionaries into plain arrays, without pandas; as `compare`."""
        X, problems, _ = read_patients(list(records), self._predictors, self._treatment())
        return self._contrast(X, problems, times)

    def explain(
        self,
        patients: Patients,
        time: float | None = None,
    ) -> Explanation:
        """Share out the survival of patients at one time among their predictors.

        Exact Shapley values against the typical training patient (`manifest.typical_patient`); they
        sum to the patient's survival less that patient's. They describe the model, not causes.

        Parameters
        ----------
        patients
            As for `predict`.
        time : float, optional
            In the study's unit; the outcome's first horizon by default.

        Raises
        ------
        InputError
            As `predict`.
        ModelError
            If the model has more than 14 predictors, or is a forest of a reconstructed cohort:
            equally fitting cohorts give it widely different answers.
        """
        X, problems, index = read_patients(patients, self._predictors)
        return Explanation(self, self._shares(X, problems, time), index)

    def shares(self, records: Sequence[Mapping[str, Any]], time: float | None = None) -> Shares:
        """Explain from dictionaries into plain arrays, without pandas; as `explain`."""
        X, problems, _ = read_patients(list(records), self._predictors)
        return self._shares(X, problems, time)

    @cached_property
    def equation(self) -> CoxEquation:
        """The equation of a Cox model: terms, coefficients, covariance.

        Raises
        ------
        ModelError
            If the model is no Cox model.
        BundleError
            If the bundle is of a version that did not keep it.
        """
        if self.manifest.kind != "cox":
            raise ModelError(
                f"model must be a Cox model to have an equation, {self.manifest.id} is a "
                f"{self.manifest.kind}; take the Cox model of the same study"
            )
        try:
            return CoxEquation(self.bundle.read("inference.json"), self._predictors)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{self.bundle.path}: inference.json lacks what a comparison needs ({error}); fit "
                "the model again with this version"
            ) from error

    def nomogram(self) -> Nomogram:
        """Return the points of a Cox model's predictors, to add up by hand.

        Raises
        ------
        ModelError
            If the model is no Cox model.
        """
        return Nomogram(self.manifest, self.equation)

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

    @property
    def is_unstable(self) -> bool:
        """Whether equally fitting cohorts would give the model widely different answers."""
        kind = self.manifest.training["cohort"]["kind"]
        return self.manifest.kind != "cox" and bool(kind == "reconstructed")

    def _when(self, times: Iterable[float] | None) -> tuple[FloatArray, list[Problem]]:
        if times is None:
            return self._horizons, []
        return encode_times(times, self.manifest.follow_up_limit, self.manifest.study.time_unit)

    def _treatment(self) -> Predictor:
        found = self.manifest.study.treatment
        if found is None:
            raise ModelError(
                f"model must have a predictor with role treatment to compare, {self.manifest.id} "
                'has none; declare role = "treatment" in the study and fit the model again'
            )
        return found

    def _contrast(
        self, X: FloatArray, problems: list[Problem], times: Iterable[float] | None
    ) -> Contrast:
        when, wrong = self._when(times)
        contrast = contrast_of(self, checked(X, [*wrong, *problems]), when)
        check_differences(contrast.difference, contrast.difference_lower, contrast.difference_upper)
        return contrast

    def _shares(self, X: FloatArray, problems: list[Problem], time: float | None) -> Shares:
        when, wrong = self._when(None if time is None else [time])
        return shares_of(self, checked(X, [*wrong, *problems]), float(when[0]))

    def _answer(
        self, X: FloatArray, problems: list[Problem], times: Iterable[float] | None
    ) -> Answer:
        if times is None:
            when, position = self._horizons, self._horizon_positions
            early = self._horizons_early
        else:
            when, wrong = self._when(times)
            problems = [*wrong, *problems]
            position = curves.positions(self._grid, when)
            early = bool((position < 0).any())
        checked(X, problems)
        if len(X) <= ROWS_AT_ONCE:
            reduced = self._reduced(X, position, early)
        else:
            parts = [
                self._reduced(X[start : start + ROWS_AT_ONCE], position, early)
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

        Raises
        ------
        AnswerError
            If they are no survival.
        """
        survival, lower, upper, score = self.raw_curves(X)
        check_curves(survival, score)
        check_bounds(survival, lower, upper)
        return survival, lower, upper, score

    def raw_curves(self, X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return what the graph says, unchecked, as `curves`: NaN for a row that is no patient."""
        parts = [
            self._run(X[start : start + ROWS_AT_ONCE]) for start in range(0, len(X), ROWS_AT_ONCE)
        ]
        survival, lower, upper, score = (np.concatenate(p) for p in zip(*parts, strict=True))
        return survival, lower, upper, score

    def _run(self, X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        try:
            survival, lower, upper, score = self._session.run(OUTPUTS, {"x": X})
        except Exception as error:  # onnxruntime's errors share no public base
            raise AnswerError(
                "the model's graph fails; restore the bundle, or fit the model again"
            ) from error
        return survival, lower, upper, score

    def _reduced(
        self, X: FloatArray, position: NDArray[np.intp], early: bool
    ) -> tuple[FloatArray, ...]:
        """Return what an answer keeps of the curves, which can be long."""
        survival, lower, upper, score = self._run(X)
        check_curves(survival, score)
        at = curves.at(survival, position, early)
        low, high = curves.at(lower, position, early), curves.at(upper, position, early)
        check_bounds(at, low, high)
        return (
            at,
            low,
            high,
            curves.median(survival, self._possible_medians),
            curves.restricted_mean(survival, self._widths),
            score,
        )


def _sensitivity(bundle: Bundle) -> Sensitivity | None:
    if SENSITIVITY not in bundle:
        return None
    try:
        return Sensitivity(bundle.read(SENSITIVITY), bundle.manifest.predictors)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.path}: {SENSITIVITY} cannot be read: {error}; write the bundle again"
        ) from error

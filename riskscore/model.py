"""A fitted model that answers: `load_model(...).predict(patients)`.

`RiskModel.answer` is the core without pandas (dictionaries in, arrays out) that the command line
and the server share; `RiskModel.predict` puts DataFrames around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from riskscore import curves
from riskscore.bundle import Bundle, open_bundle
from riskscore.envelope import Envelope
from riskscore.errors import BundleError, InputError, Problem, json_safe
from riskscore.manifest import Manifest
from riskscore.prediction import Answer, Prediction
from riskscore.records import checked, encode_columns, encode_records
from riskscore.sensitivity import SENSITIVITY, Sensitivity
from riskscore.study import Predictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RiskModel", "load_model"]

FloatArray = NDArray[np.float64]

ROWS_AT_ONCE = 128
"""Rows given to the graph at once: a forest holds rows x trees x times numbers while it runs."""

WIDE_GAP = 0.01
"""Part of the follow-up between two grid times above which a median in between needs a note."""

EXTERNAL = b"\x0a\x08location"
"""How an ONNX file names the place of a tensor that it keeps elsewhere: field, length, key."""

OUTPUTS = ("survival", "survival_lower", "survival_upper", "risk_score")


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
        self._session = _session(bundle)
        self.sensitivity = _sensitivity(bundle)
        self._predictors: tuple[Predictor, ...] = self.manifest.predictors
        self._grid: FloatArray = np.array(self.manifest.times)
        self._horizons: FloatArray = np.array(self.manifest.outcome.horizons)
        self._horizon_positions = curves.positions(self._grid, self._horizons)
        self._widths = curves.interval_widths(self._grid, float(self._horizons[-1]))
        self._cuts: FloatArray = np.array(self.manifest.risk_groups["cut_points"], dtype=float)
        self._groups: list[str] = self.manifest.risk_groups["labels"]
        self._envelope = Envelope(self.manifest.envelope, self._predictors)

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
            when, wrong = self._encode_times(times)
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
            notes=self._notes(X, when, median),
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

    def _encode_times(self, times: Iterable[float]) -> tuple[FloatArray, list[Problem]]:
        """Return the times as numbers, and every problem with them."""
        unit, limit = self.manifest.study.time_unit, self.manifest.follow_up_limit
        form = f"give times in {unit}s, such as [6, 12]"
        items = list(times) if isinstance(times, Iterable) and not isinstance(times, str) else None
        if not items:
            rule = "must be a list of numbers"
            return self._horizons, [Problem(None, "times", rule, json_safe(times), form)]
        problems: list[Problem] = []
        values: dict[str, float] = {}  # by name: twelve digits, as columns show them
        for t in items:
            is_number = isinstance(t, int | float | np.number) and not isinstance(t, bool)
            if not is_number or not 0 <= t <= limit:
                rule = f"must be 0 to {limit:g} {unit}s, the longest follow-up in training"
                beyond = is_number and t > limit
                remedy = "leave it out: nothing is known beyond the follow-up" if beyond else form
                problems.append(Problem(None, "times", rule, json_safe(t), remedy))
            elif f"{float(t):.12g}" in values:
                problems.append(Problem(None, "times", "must not repeat", float(t), "drop one"))
            else:
                values[f"{float(t):.12g}"] = float(t)
        return np.array(list(values.values())), problems

    def _notes(self, X: FloatArray, times: FloatArray, median: FloatArray) -> list[tuple[str, ...]]:
        notes = self._envelope.notes(X)
        if self.manifest.grid != "thinned":
            return notes
        unit = self.manifest.study.time_unit
        inside = times[(times > self._grid[0]) & (times < self._grid[-1])]
        read = self._grid[curves.positions(self._grid, inside)]
        shared = tuple(
            f"survival at {unit} {t:g} is read from the thinned grid, at {unit} {at:g}"
            for t, at in zip(inside.tolist(), read.tolist(), strict=True)
            if t != at
        )
        if shared:
            notes = [(*found, *shared) for found in notes]
        for i in np.flatnonzero(~np.isnan(median)).tolist():
            k = int(np.searchsorted(self._grid, median[i]))
            before = float(self._grid[k - 1]) if k else 0.0
            if median[i] - before > WIDE_GAP * self.manifest.follow_up_limit:
                text = f"the median lies between {unit} {before:g} and {median[i]:g} (thinned grid)"
                notes[i] = (*notes[i], text)
        return notes


def _sensitivity(bundle: Bundle) -> Sensitivity | None:
    if SENSITIVITY not in bundle:
        return None
    try:
        return Sensitivity(bundle.read(SENSITIVITY), bundle.manifest.predictors)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.path}: {SENSITIVITY} cannot be read: {error}; write the bundle again"
        ) from error


def _session(bundle: Bundle) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread: the same sums in the same order whatever the machine, and no pool to wake up for
    # one patient. Many rows are spread over processes, not threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if EXTERNAL in bundle.graph:
        raise BundleError(
            f"{bundle.path}: model.onnx keeps part of itself in another file, without a hash; "
            "write the bundle again"
        )
    try:
        session = ort.InferenceSession(bundle.graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base
        raise BundleError(f"{bundle.path}: onnxruntime cannot read model.onnx: {error}") from error
    found = tuple(output.name for output in session.get_outputs())
    if set(found) != set(OUTPUTS) or [i.name for i in session.get_inputs()] != ["x"]:
        raise BundleError(
            f"{bundle.path}: model.onnx must take x and give {', '.join(OUTPUTS)}; "
            f"it gives {', '.join(found)}: write the bundle again"
        )
    _check_agreement(bundle, session)
    return session


def _check_agreement(bundle: Bundle, session: ort.InferenceSession) -> None:
    """Refuse a manifest that describes another graph: it would mislabel every answer."""
    stated = session.get_modelmeta().custom_metadata_map
    differ = [
        key for key, value in bundle.manifest.essentials().items() if stated.get(key) != value
    ]
    width = session.get_outputs()[0].shape[1]
    if width != len(bundle.manifest.times):
        differ.append("times")
    if session.get_inputs()[0].shape[1] != len(bundle.manifest.predictors):
        differ.append("number of predictors")
    if differ:
        raise BundleError(
            f"{bundle.path}: manifest.json does not describe model.onnx (its {', '.join(differ)}); "
            "one of them was changed: restore the bundle, or fit the model again"
        )

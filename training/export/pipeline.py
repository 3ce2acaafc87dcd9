"""A bundle of anybody's fitted pipeline that ends in a model of scikit-survival."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from riskscore.bundle import write_bundle
from riskscore.errors import ModelError
from riskscore.graph import OUTPUTS, ROWS_AT_ONCE
from riskscore.manifest import Manifest, json_bytes
from riskscore.study import Study, load_study
from training.cohort import Cohort, check_cohort, read_cohort
from training.evaluate import evaluate_by_refits
from training.export.convert import SCIKIT_SURVIVAL, to_onnx
from training.export.grid import curve_times, curves_at, event_times
from training.export.inference import inference_of, parameters_of
from training.fit.attachments import attachments
from training.fit.manifest import check_name, manifest_of
from training.forest import grid_times

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TOLERANCE", "export"]

FloatArray = NDArray[np.float64]

TOLERANCE = 2e-6
"""Largest difference between graph and pipeline, of survival and, relatively, of risk scores: the
leaves of a forest's graph hold float32 numbers, and everything else is nearer."""

TREES_ON_RECONSTRUCTION = (
    "A model of trees fitted on a reconstructed cohort demonstrates the software only: cohorts "
    "that fit the published figures equally well give it widely different predictions."
)

NO_INTERVAL = "the models of scikit-survival give none"


def export(
    pipeline: Any,
    study: Study | str | Path,
    cohort: Cohort | pd.DataFrame | str | Path,
    path: str | Path,
    *,
    outcome: str | None = None,
    predictors: Sequence[str] | None = None,
    name: str = "pipeline",
    seed: int = 0,
    refits: int | None = None,
    max_times: int | None = None,
) -> Manifest:
    """Write a fitted pipeline as a bundle, after its graph has answered as the pipeline does.

    The bundle holds no Python: `riskscore.load_model` predicts from it without scikit-survival, and
    the card and the server take it as they take any other.

    Parameters
    ----------
    pipeline : Pipeline, estimator or fitted search
        Fitted on the cohort's model input `cohort.X` (level indices and numbers, a plain array) and
        `cohort.y`. Its steps are a `StudyEncoder` or transformers that skl2onnx knows, its last one
        of scikit-survival's models with a survival function (see `register_converters`).
    study : Study, id of a shipped study, or path
    cohort : Cohort, DataFrame or path
        What the pipeline was fitted on; a table or a file is checked as `training fit` does.
    path : str or Path
        Directory to write.
    outcome, predictors : str, sequence of str
        Of a table or file, if the study declares several outcomes, or more predictors than the
        pipeline takes.
    name : str
        Last part of the model's id.
    seed : int
        Of the resampling that judges the pipeline.
    refits : int, optional
        Bootstrap refits for the out-of-bag concordance; 20 to 100 by default, by the cohort's size.
    max_times : int, optional
        Most times the curves are kept at; every event time by default. A thinned grid contains the
        horizons.

    Returns
    -------
    Manifest

    Raises
    ------
    ModelError
        If the pipeline cannot be exported, was not fitted on this cohort, or its graph answers
        differently for anyone in the cohort. Nothing is written then.
    InputError
        If the table breaks a rule of the study.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sksurv.linear_model import CoxPHSurvivalAnalysis
    >>> from riskscore import load_model
    >>> from riskscore.study import load_study
    >>> from training import read_cohort
    >>> from training.encoding import StudyEncoder
    >>> from training.published import DEB_TACE_COHORT
    >>> study = load_study("deb-tace-hcc")
    >>> cohort = read_cohort(DEB_TACE_COHORT, study, "os", ["vascular_invasion", "treatment"])
    >>> pipeline = make_pipeline(StudyEncoder(cohort.predictors), CoxPHSurvivalAnalysis())
    >>> pipeline = pipeline.fit(cohort.X, cohort.y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manifest = export(pipeline, study, cohort, f"{folder}/mine", name="mine", refits=20)
    ...     patient = {"vascular_invasion": "yes", "treatment": "deb_tace"}
    ...     survival = load_model(f"{folder}/mine").predict(patient, times=[12]).survival
    >>> manifest.id
    'deb-tace-hcc/os/mine'
    >>> survival.shape
    (1, 1)
    """
    check_name(name)
    cohort = _cohort(study, cohort, outcome, predictors)
    pipeline = _pipeline(pipeline, cohort)
    model = pipeline[-1]
    times, thinned = event_times(model), False
    if max_times is not None:
        times, thinned = grid_times(times, max_times, cohort.outcome.horizons)
    intervals = {"available": False, "reason": NO_INTERVAL}
    settings = {"seed": seed, "model": type(model).__name__, **parameters_of(model)}
    manifest = manifest_of(cohort, "pipeline", name, pipeline, times, thinned, intervals, settings)
    if cohort.provenance.kind == "reconstructed" and not hasattr(model, "coef_"):
        statement = f"{manifest.statement} {TREES_ON_RECONSTRUCTION}".strip()
        manifest = replace(manifest, statement=statement)
    with curves_at(times):
        graph = to_onnx(
            pipeline,
            len(cohort.predictors),
            manifest.id,
            manifest.properties(),
            guarded=cohort.predictors,
        )
    parity = _parity(graph, pipeline, cohort, times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the modeller met them when fitting, and not 100 times
        evaluation = evaluate_by_refits(pipeline, cohort, seed, refits)
    files = {
        "model.onnx": graph,
        "inference.json": json_bytes(inference_of(pipeline, cohort, parity)),
        "evaluation.json": json_bytes(evaluation),
        **attachments(cohort, manifest),
    }
    return write_bundle(path, manifest, files)


def _cohort(
    study: Study | str | Path,
    cohort: Any,
    outcome: str | None,
    predictors: Sequence[str] | None,
) -> Cohort:
    declared = study if isinstance(study, Study) else load_study(study)
    if isinstance(cohort, Cohort):
        if outcome is not None or predictors is not None:
            raise ModelError("outcome and predictors are the cohort's; leave them out")
        if cohort.study.id != declared.id:
            raise ModelError(
                f"study must be the cohort's, {cohort.study.id}; got {declared.id}: give that one"
            )
        return cohort
    if outcome is None:
        if len(declared.outcomes) > 1:
            known = ", ".join(declared.outcomes)
            raise ModelError(f"outcome must be given, the study has several: one of {known}")
        outcome = next(iter(declared.outcomes))
    if isinstance(cohort, str | Path):
        return read_cohort(cohort, declared, outcome, predictors)
    return check_cohort(cohort, declared, outcome, predictors)


def _pipeline(given: Any, cohort: Cohort) -> Pipeline:
    """Return what was given as a pipeline, or say why it cannot be exported from this cohort."""
    found = getattr(given, "best_estimator_", given)
    pipeline = found if isinstance(found, Pipeline) else Pipeline([("model", found)])
    model = pipeline[-1]
    if type(model) not in SCIKIT_SURVIVAL:
        known = ", ".join(sorted(of_type.__name__ for of_type in SCIKIT_SURVIVAL))
        what = type(model).__name__
        raise ModelError(f"the pipeline must end in one of {known}; it ends in {what}")
    times = curve_times(model)
    if getattr(pipeline, "feature_names_in_", None) is not None:
        raise ModelError(
            "the pipeline was fitted on a table with named columns; fit it on cohort.X, a plain "
            "array, which is what the bundle will give it"
        )
    columns = pipeline.n_features_in_
    if columns != len(cohort.predictors):
        names = ", ".join(p.name for p in cohort.predictors)
        raise ModelError(
            f"the pipeline was fitted on {columns} columns, the cohort's model input has "
            f"{len(cohort.predictors)} ({names}); fit it on cohort.X, or name its predictors"
        )
    held_back = getattr(model, "n_iter_no_change", None) is not None
    if not (np.isin(times, cohort.time).all() and (held_back or np.isin(cohort.time, times).all())):
        raise ModelError(
            "the pipeline was fitted on other patients: the times of its curves are not those of "
            "the cohort; fit it on cohort.X and cohort.y"
        )
    return pipeline


def _parity(
    graph: bytes, pipeline: Pipeline, cohort: Cohort, times: FloatArray
) -> dict[str, float | int]:
    """Compare the graph with the pipeline on the cohort's own rows; refuse a difference."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    at = np.searchsorted(curve_times(pipeline[-1]), times, side="right") - 1
    worst = {"survival": 0.0, "risk_score": 0.0}
    for start in range(0, len(cohort.X), ROWS_AT_ONCE):
        X = cohort.X[start : start + ROWS_AT_ONCE]
        survival, _, _, score = session.run(OUTPUTS, {"x": X})
        expected = pipeline.predict_survival_function(X, return_array=True)[:, at]
        risk = pipeline.predict(X)
        found = {
            "survival": np.abs(survival - expected),
            "risk_score": np.abs(score - risk) / np.maximum(np.abs(risk), 1.0),
        }
        for output, difference in found.items():
            largest = float(difference.max())  # NaN where one of the two gives no answer
            if not largest <= TOLERANCE:
                row = start + int(np.argmax(~(difference <= TOLERANCE).reshape(len(X), -1).all(1)))
                raise ModelError(
                    f"the graph does not answer as the pipeline does: {output} differs by up to "
                    f"{largest:.3g} (row {row + 1} of the cohort), allowed is {TOLERANCE:g}. "
                    "Nothing was written. Scale the predictors (StandardScaler) if their values "
                    "are large, and replace steps that compute in single precision"
                )
            worst[output] = max(worst[output], largest)
    return {"rows": len(cohort.X), **{f"largest_{key}_difference": v for key, v in worst.items()}}

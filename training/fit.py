"""Fitting: from a checked cohort to a bundle.

`fit` returns a `Fitted`, which holds the pipeline (for those who want scikit-learn's interface) and
everything the bundle says; `Fitted.write` makes the directory.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.pipeline import Pipeline
from sksurv.nonparametric import kaplan_meier_estimator

from riskscore.bundle import Manifest, json_bytes, write_bundle
from riskscore.envelope import envelope_of
from riskscore.errors import ModelError
from riskscore.study import Predictor
from training.cohort import Cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder, terms
from training.evaluate import evaluate_cox, evaluate_forest, importance
from training.forest import CompactForest
from training.onnx_export import to_onnx

__all__ = ["KINDS", "Fitted", "Settings", "fit"]

FloatArray = NDArray[np.float64]

LIBRARIES = ("riskscore", "numpy", "scipy", "scikit-learn", "scikit-survival", "onnx", "skl2onnx")

FOREST_ON_RECONSTRUCTION = (
    "A forest fitted on a reconstructed cohort demonstrates the software only: cohorts that fit "
    "the published figures equally well give it widely different predictions."
)


@dataclass(frozen=True)
class Settings:
    """How to fit. `trees`, `min_leaf` and `max_times` are the forest's."""

    seed: int = 0
    trees: int = 500
    min_leaf: int = 15
    max_times: int = 150
    n_jobs: int = -1

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("trees", 1), ("min_leaf", 1), ("max_times", 10)):
            value = getattr(self, name)
            if value < least:
                raise ModelError(f"{name} must be at least {least}, got {value}")
        if self.seed >= 2**32:
            raise ModelError(f"seed must be below 2^32, got {self.seed}")


@dataclass(frozen=True)
class Fitted:
    """A fitted model and everything its bundle says."""

    pipeline: Pipeline
    cohort: Cohort
    manifest: Manifest
    inference: dict[str, Any]
    evaluation: dict[str, Any]

    def write(self, path: str | Path) -> Manifest:
        """Write the bundle, whole or not at all, and return its manifest."""
        m = self.manifest
        graph = to_onnx(self.pipeline, len(m.predictors), m.id, m.essentials())
        files = {
            "model.onnx": graph,
            "inference.json": json_bytes(self.inference),
            "evaluation.json": json_bytes(self.evaluation),
        }
        return write_bundle(path, m, files)


def fit(
    cohort: Cohort, kind: str, settings: Settings | None = None, name: str | None = None
) -> Fitted:
    """Fit a model and judge it.

    Parameters
    ----------
    cohort : Cohort
    kind : str
        "cox" or "forest".
    settings : Settings, optional
    name : str, optional
        Last part of the model's id; the kind by default.

    Raises
    ------
    ModelError
        If the cohort does not support the model.
    """
    if name is not None and not re.fullmatch(r"[a-z0-9]+([-_.][a-z0-9]+)*", name):
        rule = "must be lower-case letters and digits, joined by single - _ or ."
        raise ModelError(f"name {rule}: it becomes part of the model's id; got {name!r}")
    if kind not in KINDS:
        raise ModelError(f"model must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](cohort, settings or Settings(), name or kind)


def _fit_cox(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    encoder = StudyEncoder(cohort.predictors)
    names = tuple(term.name for term in terms(cohort.predictors))
    pipeline = Pipeline([("encode", encoder), ("model", CoxModel(names=names))])
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    model: CoxModel = pipeline["model"]
    method = "pointwise 95 % interval, log(-log) scale, variance as in R's survfit of a coxph"
    intervals = {"available": True, "level": 0.95, "method": method}
    recorded = {"ties": "efron", "seed": settings.seed}
    manifest = _manifest(
        cohort, "cox", name, pipeline, model.efron_.times, False, intervals, recorded
    )
    return Fitted(
        pipeline, cohort, manifest, _cox_inference(pipeline, cohort),
        evaluate_cox(pipeline, cohort, settings.seed),
    )  # fmt: skip


def _fit_forest(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    forest = CompactForest(
        n_estimators=settings.trees,
        min_samples_leaf=settings.min_leaf,
        max_times=settings.max_times,
        horizons=cohort.outcome.horizons,
        n_jobs=settings.n_jobs,
        random_state=settings.seed,
    )
    encoder = StudyEncoder(cohort.predictors, forms=False)
    pipeline = Pipeline([("encode", encoder), ("model", forest)])
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    intervals = {"available": False, "reason": "this forest carries no measure of its stability"}
    recorded = {k: v for k, v in asdict(settings).items() if k != "n_jobs"} | {
        "splitting": "logrank",
        "max_features": "sqrt",
        "bootstrap": "rows" if cohort.groups is None else "patients",
    }
    manifest = _manifest(
        cohort, "forest", name, pipeline, forest.times_, forest.thinned_, intervals, recorded
    )
    inference = {
        "kind": "forest",
        "trees": settings.trees,
        "leaves": len(forest.mortality_),
        "importance": importance(pipeline, cohort, settings.seed),
    }
    return Fitted(pipeline, cohort, manifest, inference, evaluate_forest(pipeline, cohort))


KINDS: dict[str, Callable[[Cohort, Settings, str], Fitted]] = {
    "cox": _fit_cox,
    "forest": _fit_forest,
}
"""What can be fitted, by kind."""


def _manifest(
    cohort: Cohort,
    kind: str,
    name: str,
    pipeline: Pipeline,
    times: FloatArray,
    thinned: bool,
    intervals: dict[str, Any],
    settings: dict[str, Any],
) -> Manifest:
    provenance = cohort.provenance
    statement = provenance.statement
    if kind == "forest" and provenance.kind == "reconstructed":
        statement = f"{statement} {FOREST_ON_RECONSTRUCTION}"
    return Manifest(
        id=f"{cohort.study.id}/{cohort.outcome.name}/{name}",
        kind=kind,
        study=cohort.study,
        times=tuple(times.tolist()),
        grid="thinned" if thinned else "every event time",
        at_risk=_at_risk(cohort, times),
        at_risk_at_horizons=_at_risk(cohort, np.array(cohort.outcome.horizons)),
        follow_up_limit=float(cohort.time.max()),
        risk_groups=_risk_groups(pipeline.predict(cohort.X)),
        intervals=intervals,
        training={
            "cohort": {
                "file": cohort.name,
                "sha256": cohort.sha256,
                **{k: v for k, v in provenance.to_dict().items() if k != "statement"},
            },
            "flow": cohort.flow,
            "rows": len(cohort.time),
            "patients": cohort.n_patients,
            "events": int(cohort.event.sum()),
            "patients_with_event": cohort.n_patients_with_event,
            "horizons_left_out": list(cohort.horizons_left_out),
            "follow_up": _follow_up(cohort),
            "predictors": {
                p.name: _distribution(cohort.X[:, j], p) for j, p in enumerate(cohort.predictors)
            },
            "settings": settings,
            "versions": {
                "python": platform.python_version(),
                **{library: version(library) for library in LIBRARIES},
            },
        },
        envelope=envelope_of(cohort.X, cohort.predictors),
        statement=statement,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _at_risk(cohort: Cohort, times: FloatArray) -> tuple[int, ...]:
    """Return how many rows are still followed just before each time."""
    before = np.searchsorted(np.sort(cohort.time), times, side="left")
    return tuple((len(cohort.time) - before).tolist())


def _cox_inference(pipeline: Pipeline, cohort: Cohort) -> dict[str, Any]:
    model: CoxModel = pipeline["model"]
    names = model.names
    statistic = 2 * (model.efron_.loglik - model.loglik_null_)
    robust = cohort.groups is not None
    return {
        "kind": "cox",
        "ties": "efron",
        "variance": "robust, clustered on the patient" if robust else "inverse information",
        "coefficients": [asdict(c) for c in model.coefficients(names)],
        "covariance": model.variance_.tolist(),
        "se_model_based": np.sqrt(np.diag(model.information_variance_)).tolist(),
        "log_likelihood": {"model": model.efron_.loglik, "null": model.loglik_null_},
        "likelihood_ratio_test": {
            "chi_square": statistic,
            "df": len(names),
            "p": float(stats.chi2.sf(statistic, len(names))),
        },
        "baseline": {
            "method": "Efron",
            "at": dict(zip(names, model.center_.tolist(), strict=True)),
            "times": model.efron_.times.tolist(),
            "cumulative_hazard": model.efron_.hazard.tolist(),
        },
    }


def _risk_groups(score: FloatArray) -> dict[str, Any]:
    """Cut the training scores at their tertiles; scores that tie across a cut merge groups."""
    # Scores that differ in the last bits only are one score. A cut stands midway between two, so
    # that the bits in which the exported graph may differ put nobody into another group.
    scale = float(np.abs(score).max()) or 1.0
    rounded = np.round(score / scale, 10) * scale
    distinct = np.unique(rounded)
    # A tertile that is some patient's own score: the last of its group.
    tertiles = np.quantile(rounded, [1 / 3, 2 / 3], method="inverted_cdf")
    last = np.unique(np.searchsorted(distinct, tertiles))
    last = last[last < len(distinct) - 1]
    cuts = (distinct[last] + distinct[last + 1]) / 2
    labels = {0: ["all"], 1: ["low", "high"], 2: ["low", "intermediate", "high"]}[len(cuts)]
    group = np.searchsorted(cuts, score, side="left")
    counts = np.bincount(group, minlength=len(labels)).tolist()
    rule = "tertiles of the training risk scores, cut midway to the next score; ties stay together"
    return {"labels": labels, "cut_points": cuts.tolist(), "training_counts": counts, "rule": rule}


def _follow_up(cohort: Cohort) -> dict[str, float | None]:
    """Return shortest, longest and median follow-up, the median by the reverse Kaplan-Meier."""
    median = None
    if not cohort.event.all():
        times, censoring_free = kaplan_meier_estimator(~cohort.event, cohort.time)
        reached = times[censoring_free <= 0.5]
        median = float(reached[0]) if len(reached) else None
    return {
        "shortest": float(cohort.time.min()),
        "median": median,
        "longest": float(cohort.time.max()),
    }


def _distribution(values: FloatArray, predictor: Predictor) -> dict[str, Any]:
    if predictor.is_category:
        counts = np.bincount(values.astype(int), minlength=len(predictor.levels))
        return dict(zip(predictor.levels, counts.tolist(), strict=True))
    low, lower, middle, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return {
        "minimum": low, "lower_quartile": lower, "median": middle, "upper_quartile": upper,
        "maximum": high, "mean": float(values.mean()), "sd": float(values.std(ddof=1)),
    }  # fmt: skip

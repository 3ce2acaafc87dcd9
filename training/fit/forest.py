"""Fitting a random survival forest: the pipeline, its importance and its evaluation."""

from __future__ import annotations

from dataclasses import asdict

from sklearn.pipeline import Pipeline

from training.cohort import Cohort
from training.encoding import StudyEncoder
from training.evaluate import evaluate_forest, importance
from training.fit.fitted import Fitted, Settings
from training.fit.manifest import manifest_of
from training.forest import CompactForest

__all__ = ["fit_forest"]


def fit_forest(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    """Fit a forest and judge it."""
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
    manifest = manifest_of(
        cohort, "forest", name, pipeline, forest.times_, forest.thinned_, intervals, recorded
    )
    inference = {
        "kind": "forest",
        "trees": settings.trees,
        "leaves": len(forest.mortality_),
        "importance": importance(pipeline, cohort, settings.seed),
    }
    return Fitted(pipeline, cohort, manifest, inference, evaluate_forest(pipeline, cohort))

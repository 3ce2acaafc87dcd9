"""Fitting a random survival forest: the pipeline, its importance and its evaluation."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.encoding import StudyEncoder
from training.fit.fitted import Fitted
from training.fit.forest_evaluation import IMPORTANCE_INTERVAL, evaluate_forest, importance
from training.fit.manifest import manifest_of
from training.forest import BAG, CompactForest
from training.forest.little_bags import LEVEL
from training.forest.tuning import tune
from training.progress import doing
from training.settings import WITHOUT_VALIDATION, Settings
from training.validation.validating import refuse_hopeless, validate

__all__ = ["fit_forest"]

NO_BAND = "this forest carries no measure of its stability; fit it with --stability"

STABILITY: dict[str, Any] = {
    "available": True,
    "kind": "forest stability",
    "level": LEVEL,
    "method": (
        "band of how far the answer depends on which patients were there (forest stability), by "
        "the bootstrap of little bags on the scale log(-log), as in grf; the forest's own bias is "
        "not in it, so it is no confidence interval for the true survival"
    ),
}


def fit_forest(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    """Fit a forest and judge it.

    Raises
    ------
    ModelError
        If the settings or the cohort do not support it.
    """
    if settings.replicates:
        refuse_hopeless(cohort, WITHOUT_VALIDATION)
    encoder = StudyEncoder(cohort.predictors, forms=False).fit(cohort.X)
    width, columns = len(encoder.terms_), settings.max_features
    if isinstance(columns, int) and columns > width:
        raise ModelError(f"max_features must be 1 to {width}, the model's columns, got {columns}")
    # A leaf of a tree that grows on half of the patients holds half as many.
    leaf = -(-settings.min_leaf // 2) if settings.stability else settings.min_leaf
    forest = CompactForest(
        n_estimators=settings.n_trees,
        splitting=settings.splitting,
        min_samples_leaf=leaf,
        max_features=settings.max_features,
        stability=settings.stability,
        max_times=settings.max_times,
        horizons=cohort.outcome.horizons,
        n_jobs=settings.n_jobs,
        random_state=settings.seed,
    )
    tuning = None
    if settings.tune:
        design, until = encoder.transform(cohort.X), cohort.outcome.horizons[-1]
        forest, tuning = tune(forest, design, cohort.y, cohort.groups, until, doing)
    pipeline = Pipeline([("encode", encoder), ("model", forest)])
    doing("fitting forest")
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    intervals = STABILITY if settings.stability else {"available": False, "reason": NO_BAND}
    drawn = "rows" if cohort.groups is None else "patients"
    recorded = {
        "seed": settings.seed,
        "trees": forest.n_estimators,
        "min_leaf": forest.min_samples_leaf,
        "max_times": settings.max_times,
        "splitting": forest.splitting,
        "max_features": forest.max_features,
        "bootstrap": f"half of the {drawn} for every {BAG} trees" if forest.stability else drawn,
    }
    manifest = manifest_of(
        cohort, "forest", name, pipeline, forest.times_, forest.thinned_, intervals, recorded
    )
    inference = {
        "kind": "forest",
        "trees": forest.n_estimators,
        "leaves": len(forest.mortality_),
        "importance": importance(pipeline, cohort, settings.seed),
        "importance_interval": IMPORTANCE_INTERVAL,
        "tuning": tuning,
    }
    evaluation = evaluate_forest(pipeline, cohort)
    if settings.replicates:
        evaluation["validation"] = validate(cohort, "forest", settings, "oob")
    return Fitted(pipeline, cohort, manifest, inference, evaluation)

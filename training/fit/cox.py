"""Fitting a Cox model: the pipeline, its inference and its evaluation."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.cox import CoxModel
from training.cox.checks import levels_without_events
from training.cox.penalty import PenaltyChoice, choose_penalty
from training.encoding import StudyEncoder
from training.evaluate import evaluate_by_refits
from training.fit.cox_inference import inference_of
from training.fit.fitted import Fitted
from training.fit.manifest import manifest_of
from training.settings import Settings

__all__ = ["fit_cox"]

METHOD = "pointwise 95 % interval, log(-log) scale, variance as in R's survfit of a coxph"
NO_INTERVALS = (
    "a ridge penalty shrinks the coefficients: standard errors would not tell how far they are off"
)


def fit_cox(cohort: Cohort, settings: Settings, name: str) -> Fitted:
    """Fit a Cox model and judge it.

    Raises
    ------
    ModelError
        If the cohort does not support the model: a level without events, collinear predictors, a
        coefficient that runs away.
    """
    encoder = StudyEncoder(cohort.predictors).fit(cohort.X)
    names = tuple(term.name for term in encoder.terms_)
    choice = None
    penalty = settings.penalty
    if penalty == "auto":
        choice = choose_penalty(
            encoder.transform(cohort.X), cohort.y, cohort.groups,
            seed=settings.seed, ties=settings.ties,
        )  # fmt: skip
        penalty = choice.penalty
    elif not penalty:
        _refuse_levels_without_events(cohort)
    model = CoxModel(names=names, ties=settings.ties, penalty=penalty)
    pipeline = Pipeline([("encode", encoder), ("model", model)])
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    intervals: dict[str, Any] = {"available": True, "level": 0.95, "method": METHOD}
    recorded: dict[str, Any] = {"ties": settings.ties, "seed": settings.seed}
    if penalty:
        intervals = {"available": False, "reason": NO_INTERVALS}
        recorded["penalty"] = penalty
    manifest = manifest_of(
        cohort, "cox", name, pipeline, model.sums_.times, False, intervals, recorded
    )
    inference = inference_of(pipeline, cohort, _penalty(penalty, choice))
    return Fitted(
        pipeline, cohort, manifest, inference, evaluate_by_refits(pipeline, cohort, settings.seed)
    )


def _refuse_levels_without_events(cohort: Cohort) -> None:
    found = levels_without_events(cohort.X, cohort.event, cohort.predictors)
    if found:
        raise ModelError(
            f"{'; '.join(found)}: the hazard ratio would be 0 or infinite; merge the level in the "
            "study, leave the predictor out with --predictors, or shrink it with --penalty auto"
        )


def _penalty(penalty: float, choice: PenaltyChoice | None) -> dict[str, Any] | None:
    """Return what `inference.json` says of the penalty."""
    if not penalty:
        return None
    return {
        "kind": "ridge",
        "value": penalty,
        "scale": "half the value times the sum of squared coefficients, each per standard "
        "deviation of its term, is taken from the log partial likelihood",
        "chosen": "given"
        if choice is None
        else f"the best of {len(choice.tried)} by {choice.folds}-fold cross-validated partial "
        "likelihood",
        "tried": None if choice is None else choice.tried.tolist(),
        "likelihood": None if choice is None else choice.likelihood.tolist(),
    }

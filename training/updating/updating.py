"""Updating a Cox bundle on a new cohort: the choice, the new bundle, and what it says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from riskscore.bundle import Bundle
from riskscore.errors import InputError, ModelError, Problem
from training.cohort import Cohort
from training.evaluate import concordance, pairs
from training.fit import Fitted, Settings, fit
from training.fit.cox_inference import inference_of
from training.fit.manifest import check_name, manifest_of
from training.updating.recalibrate import LEAST_EVENTS, Parent, kept_pipeline
from training.updating.testing import Candidates, Slope, closed_test, slope_of

__all__ = ["METHODS", "WHAT", "Update", "update"]

METHODS = ("auto", "baseline", "slope", "refit")

WHAT = {
    "original": "nothing; the model stands as it is",
    "baseline": "the baseline hazard estimated anew, the coefficients kept",
    "slope": "the baseline hazard estimated anew, every coefficient multiplied by one slope",
    "refit": "every coefficient and the baseline hazard estimated anew",
}
"""What each update changes."""

EVENTS_A_TERM = 5
"""Events for each term that the closed test asks for: with fewer its chi-square is too large too
often. Vittinghoff & McCulloch, Am J Epidemiol 165 (2007) 710, look at 5 to 9."""

CAUTION = (
    "the closed test takes the parent as known without error; it was fitted on {patients} patients "
    "({events} with the event), and a parent of few patients is often rejected even on patients of "
    "its own population: a rejection does not show that they differ from those it was fitted on"
)
"""What a test against a model with errors of its own cannot tell."""

KEPT = (
    "the coefficients are the parent model's, whose errors were not estimated on this cohort, and "
    "an interval from the new baseline alone would be too narrow"
)


@dataclass(frozen=True)
class Update:
    """What became of a model on a new cohort.

    Attributes
    ----------
    method : str
        "original", "baseline", "slope" or "refit".
    said : dict
        What the manifest's `training.update` says: the method, the tests, the candidates' figures.
    fitted : Fitted or None
        The new bundle; None where the data support no update.
    """

    method: str
    said: dict[str, Any]
    fitted: Fitted | None


def update(
    bundle: Bundle,
    cohort: Cohort,
    method: str = "auto",
    *,
    name: str | None = None,
    seed: int = 0,
    replicates: int = 0,
) -> Update:
    """Update a Cox bundle on a new cohort.

    Parameters
    ----------
    bundle : Bundle
        Of kind "cox".
    cohort : Cohort
        With the bundle's predictors and outcome.
    method : {"auto", "baseline", "slope", "refit"}
        "auto" lets the closed test choose.
    name : str, optional
        Last part of the new model's id; by default the parent's with "-updated".
    seed : int
    replicates : int
        Resamples of the internal validation of a refit.

    Raises
    ------
    InputError
        If the cohort has too few events.
    ModelError
        If the bundle is no Cox model, or the cohort does not support the update.
    """
    manifest = bundle.manifest
    if method not in METHODS:
        raise ModelError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if manifest.kind != "cox":
        raise ModelError(
            f"{manifest.id} is a {manifest.kind}: only a Cox model has a baseline and coefficients "
            "to update; fit another on the cohort with `python -m training fit`"
        )
    name = name or manifest.id.rsplit("/", 1)[1].removesuffix("-updated") + "-updated"
    check_name(name)
    parent = Parent(bundle)
    _refuse(cohort, parent, method)
    score = parent.linear_predictor(cohort)
    slope, _ = slope_of(score, cohort.time, cohort.event, parent.ties, cohort.groups)
    tested = _tested(parent, cohort) if method == "auto" else None
    chosen = tested.chosen if tested else method
    said = _said(parent, cohort, chosen, tested, slope)
    if chosen == "original":
        return Update(chosen, said, None)
    if chosen == "refit":
        fitted = fit(cohort, "cox", _settings(bundle, seed, replicates), name)
    else:
        factor = slope.value if chosen == "slope" else 1.0
        fitted = _kept(parent, cohort, chosen, factor, name, seed)
    training = {
        **fitted.manifest.training,
        "parent": {
            "id": manifest.id,
            "digest": manifest.digest,
            "patients": manifest.training["patients"],
            "patients_with_event": manifest.training["patients_with_event"],
        },
        "update": said,
    }
    complete = replace(fitted.manifest, training=training)
    return Update(chosen, said, replace(fitted, manifest=complete))


def _refuse(cohort: Cohort, parent: Parent, method: str) -> None:
    """Refuse what the method cannot be asked of."""
    events, terms = cohort.n_patients_with_event, len(parent.names)
    least = max(LEAST_EVENTS, EVENTS_A_TERM * terms if method == "auto" else 0)
    problems = []
    if events < LEAST_EVENTS:
        rule = f"must happen to at least {LEAST_EVENTS} patients to update a model"
        problems.append(Problem(None, cohort.outcome.event, rule, events, "follow more patients"))
    elif events < least:
        rule = f"must happen to {least} patients for the closed test of {terms} terms"
        remedy = "choose --method baseline or slope yourself"
        problems.append(Problem(None, cohort.outcome.event, rule, events, remedy))
    if problems:
        raise InputError(problems, cohort.name)


def _tested(parent: Parent, cohort: Cohort) -> Candidates:
    exposure = parent.exposure(cohort)
    return closed_test(
        parent.design(cohort), parent.equation.coef, exposure.expected, exposure.happened,
        cohort.time, cohort.event, ties=parent.ties, names=parent.names,
        cluster=cohort.groups,
    )  # fmt: skip


def _said(
    parent: Parent, cohort: Cohort, chosen: str, tested: Candidates | None, slope: Slope
) -> dict[str, Any]:
    """Return what the manifest says of the update."""
    exposure = parent.exposure(cohort)
    score = parent.linear_predictor(cohort)
    lower, upper = slope.bounds
    said: dict[str, Any] = {
        "method": chosen,
        "what": WHAT[chosen],
        "chosen": "by a closed test" if tested else "given",
        "tests": tested.tests if tested else [],
        "original": {
            "in_the_large": exposure.in_the_large(),
            "concordance": concordance(cohort, score),
        },
        "slope": {**asdict(slope), "lower": lower, "upper": upper},
    }
    if tested:
        trained = parent.manifest.training
        said["caution"] = CAUTION.format(
            patients=trained["patients"], events=trained["patients_with_event"]
        )
        said["refit"] = dict(zip(parent.names, tested.coef.tolist(), strict=True))
        said["log_likelihood"] = tested.log_likelihood
    return said


def _settings(bundle: Bundle, seed: int, replicates: int) -> Settings:
    """Return settings that fit a cohort by the parent's procedure."""
    own = bundle.manifest.training["settings"]
    inference = bundle.read("inference.json")
    penalty: Any = own.get("penalty", 0.0)
    if penalty and penalty != "firth" and inference["penalty"]["tried"] is not None:
        penalty = "auto"
    shrink = "shrinkage" in own
    if shrink:
        replicates = max(replicates, own["replicates"])
    return Settings(
        seed=seed, ties=inference["ties"], penalty=penalty, shrink=shrink, replicates=replicates
    )


def _kept(
    parent: Parent, cohort: Cohort, method: str, slope: float, name: str, seed: int
) -> Fitted:
    """Return the bundle of a model that keeps the parent's coefficients, times one slope."""
    if not slope > 0:
        raise ModelError(
            f"the calibration slope on this cohort is {slope:.2f}: multiplied by it the model "
            "would rank patients backwards; use --method refit, or leave the model as it is"
        )
    pipeline = kept_pipeline(parent, cohort, slope)
    sums = pipeline["model"].sums_
    settings = {"ties": parent.ties, "seed": seed, "slope": slope}
    intervals = {"available": False, "reason": KEPT}
    manifest = manifest_of(cohort, "cox", name, pipeline, sums.times, False, intervals, settings)
    # Whoever reads an answer must be told what the coefficients come from as well.
    parts = dict.fromkeys((parent.manifest.statement, manifest.statement))
    manifest = replace(manifest, statement=" ".join(part for part in parts if part))
    shares = pairs(cohort, pipeline.predict(cohort.X))
    score = shares["right"] + shares["same"] / 2
    evaluation = {
        "concordance": {
            "in_sample": score,
            "out_of_bag": score,
            "pairs": {"in_sample": shares, "out_of_bag": shares},
            "out_of_bag_how": "the coefficients' ratios are the parent model's: no patient of this "
            "cohort helped to rank another",
            "out_of_bag_rows": len(cohort.time),
        },
        "refits": {"done": 0, "failed": 0},
    }
    kept = {
        "kind": "calibration slope" if method == "slope" else "parent's coefficients",
        "value": slope,
        "scale": "every coefficient of the parent model is multiplied by it, and the baseline "
        "estimated again",
        "chosen": "estimated on this cohort" if method == "slope" else "kept as they were",
        "tried": None,
        "likelihood": None,
        "why": KEPT,
    }
    return Fitted(pipeline, cohort, manifest, inference_of(pipeline, cohort, kept), evaluation)

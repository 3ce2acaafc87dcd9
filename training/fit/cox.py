"""Fitting a Cox model: the pipeline, its inference and its evaluation."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.cox import CoxModel
from training.cox.checks import NoMaximumError, aliases_in, levels_without_events
from training.cox.fit import Penalty, fit_coefficients
from training.cox.penalty import PenaltyChoice, choose_penalty
from training.encoding import StudyEncoder
from training.evaluate import evaluate_by_refits
from training.fit.cox_inference import inference_of
from training.fit.fitted import Fitted
from training.fit.manifest import manifest_of
from training.settings import WITHOUT_VALIDATION, Settings
from training.validation.optimism import Optimism, optimism
from training.validation.validating import described_optimism, refuse_hopeless

__all__ = ["fit_cox", "shrinkage_of"]

METHOD = "pointwise 95 % interval, log(-log) scale, variance as in R's survfit of a coxph"
METHOD_CLUSTERED = (
    "pointwise 95 % interval, log(-log) scale, variance of coefficients and baseline summed by "
    "patient (infinitesimal jackknife)"
)
NO_INTERVALS_SHRUNKEN = (
    "the coefficients are multiplied by a shrinkage factor: standard errors would not tell how far "
    "they are off"
)
OF_THE_UNSHRUNKEN = (
    "these figures are of the model before its coefficients were multiplied by the calibration "
    "slope found here; concordance is not changed by that, calibration is"
)
JUDGED_CENSORED = (
    "observed risks here are 1 - Kaplan-Meier's, which censors the competing event ({}); an "
    "external validation's are Aalen-Johansen's cumulative incidence, which are lower"
)
NO_INTERVALS = (
    "a ridge penalty shrinks the coefficients: standard errors would not tell how far they are off"
)


WEAKEST = "the ridge chosen, {:.3g}, is the weakest that was tried: shrinking does not help"
STRONGEST = (
    "the ridge chosen, {:.3g}, is the strongest that was tried: the predictors foretell next to "
    "nothing in this cohort"
)
NO_INTERVALS_FIRTH = (
    "Firth's penalised likelihood gives hazard ratios with intervals, but none of a curve or a "
    "difference: near a level without events those of its information hold too few"
)
NO_ERRORS_FIRTH = (
    "coefficients by Firth's penalised likelihood have no robust variance, which repeated rows of "
    "a patient need"
)
VARIANCE_FIRTH = (
    "inverse information at the maximum of Firth's penalised likelihood; intervals are those of "
    "its profile"
)
REPEATED_FIRTH = (
    "Firth's penalty takes rows for independent patients: rows that repeat a patient weaken it "
    "against the likelihood, so that the effect of a level without events depends on how many rows "
    "a patient has; fit one row a patient"
)
FIRTH = {
    "kind": "Firth's penalised likelihood",
    "what": "half the logarithm of the information's determinant is added to the log partial "
    "likelihood, so that an effect stays finite where a level has no events",
    "intervals": "profile of the penalised likelihood; none of curves and differences",
    "tests": "ratios of penalised likelihoods",
    "source": "Firth, Biometrika 80 (1993) 27; Heinze & Schemper, Biometrics 57 (2001) 114",
}
"""What `inference.json` says of a fit by Firth's penalised likelihood."""


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
    penalty, choice = _penalty_of(cohort, encoder, settings)
    if not penalty:
        _refuse_levels_without_events(cohort)
    if settings.replicates:
        refuse_hopeless(cohort, WITHOUT_VALIDATION)
    warnings = _of_the_ridge(cohort, encoder, settings, penalty, choice)
    model = CoxModel(names=names, ties=settings.ties, penalty=penalty)
    pipeline = Pipeline([("encode", encoder), ("model", model)])
    pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)  # refuses before hours of work
    judged = optimism(cohort, settings, settings.replicates) if settings.replicates else None
    factor = shrinkage_of(judged) if settings.shrink and judged else 1.0
    if settings.shrink:
        model.set_params(shrinkage=factor)
        pipeline.fit(cohort.X, cohort.y, model__groups=cohort.groups)
    method = METHOD if cohort.groups is None else METHOD_CLUSTERED
    intervals: dict[str, Any] = {"available": True, "level": 0.95, "method": method}
    recorded: dict[str, Any] = {"ties": settings.ties, "seed": settings.seed}
    if penalty:
        recorded["penalty"] = penalty
        reason = NO_INTERVALS_FIRTH if penalty == "firth" else NO_INTERVALS
        intervals = {"available": False, "reason": reason}
    if settings.shrink:
        intervals = {"available": False, "reason": NO_INTERVALS_SHRUNKEN}
        recorded["shrinkage"] = factor
        recorded["replicates"] = settings.replicates
    manifest = manifest_of(
        cohort, "cox", name, pipeline, model.sums_.times, False, intervals, recorded
    )
    said = _shrunken(factor, settings) if settings.shrink else _penalty(model, choice)
    inference = inference_of(pipeline, cohort, said)
    inference["warnings"] += warnings
    if penalty == "firth":
        inference["penalised_likelihood"] = FIRTH
        if cohort.groups is None:
            inference["variance"] = VARIANCE_FIRTH
        else:
            inference["warnings"].append(REPEATED_FIRTH)
    evaluation = evaluate_by_refits(pipeline, cohort, settings.seed)
    if judged:
        evaluation["validation"] = described_optimism(cohort, judged, settings)
        if notes := _on_the_validation(cohort, settings):
            validation = evaluation["validation"]
            validation["notes"] = notes
            validation["how"] = "; ".join([validation["how"], *notes])
    return Fitted(pipeline, cohort, manifest, inference, evaluation)


def _on_the_validation(cohort: Cohort, settings: Settings) -> list[str]:
    """Return what a reader of the validated figures must know; the card prints it beside them."""
    shrunken = [OF_THE_UNSHRUNKEN] if settings.shrink else []
    competing = cohort.outcome.competing
    return shrunken + ([JUDGED_CENSORED.format(competing)] if competing else [])


def _penalty_of(
    cohort: Cohort, encoder: StudyEncoder, settings: Settings
) -> tuple[Penalty, PenaltyChoice | None]:
    """Return the penalty that the settings give or ask to choose."""
    if settings.penalty != "auto":
        return settings.penalty, None
    choice = choose_penalty(
        encoder.transform(cohort.X), cohort.y, cohort.groups,
        seed=settings.seed, ties=settings.ties,
    )  # fmt: skip
    return choice.penalty, choice


def _of_the_ridge(
    cohort: Cohort,
    encoder: StudyEncoder,
    settings: Settings,
    penalty: Penalty,
    choice: PenaltyChoice | None,
) -> list[str]:
    """Return what must be said of a ridge: an end of the grid, an effect that it alone limits.

    Raises
    ------
    ModelError
        If both: the size of the effect would be the grid's.
    """
    if not penalty or penalty == "firth":
        return []
    design, names = encoder.transform(cohort.X), [term.name for term in encoder.terms_]
    aliases = aliases_in(design)
    # A fit without the ridge is refused while there are aliases: they have to go first.
    repeated = ", ".join(names[k] for k in aliases.aliased)
    first = f"leave {repeated}, which the other terms imply, out with --predictors, then "
    first = first if repeated else ""
    end = choice.end if choice else None
    try:
        fit_coefficients(
            design[:, aliases.kept], cohort.time, cohort.event,
            names=[names[k] for k in aliases.kept], ties=settings.ties,
        )  # fmt: skip
    except NoMaximumError as error:
        if choice and end == "weakest":
            raise ModelError(
                f"penalty auto chose the weakest ridge it tried, {choice.penalty:.3g}, and without "
                f"one {error.what}: how large that effect is would follow from the grid, not from "
                f"the data; {first}use --penalty firth, merge the levels, or leave the predictor "
                "out with --predictors"
            ) from error
        warnings = [
            f"without the ridge {error.what}: how large that effect is follows from the ridge, not "
            f"from the data; {first}--penalty firth gives it an interval"
        ]
    else:
        warnings = []
    if choice and end == "strongest":
        warnings.insert(0, STRONGEST.format(choice.penalty))
    if choice and end == "weakest":
        advice = f"{first}fit without --penalty to have intervals"
        if levels_without_events(cohort.X, cohort.event, cohort.predictors):
            advice = f"{first}use --penalty firth to have intervals of the hazard ratios"
        warnings.insert(0, f"{WEAKEST.format(choice.penalty)}; {advice}")
    return warnings


def shrinkage_of(judged: Optimism) -> float:
    """Return the factor for the coefficients: the corrected calibration slope.

    Raises
    ------
    ModelError
        If it is not above 0: the predictors tell nothing beyond their own overfitting; or if it is
        1 or more: there is nothing to shrink.
    """
    if judged.slope >= 1:
        raise ModelError(
            f"the corrected calibration slope is {judged.slope:.3f}: predicted risks do "
            "not lie too far apart, so there is nothing to shrink; leave --shrink out"
        )
    if not judged.slope > 0:
        raise ModelError(
            f"the corrected calibration slope is {judged.slope:.2f}: shrunken by it the model "
            "would rank patients backwards; fit fewer predictors, or more patients"
        )
    return judged.slope


def _refuse_levels_without_events(cohort: Cohort) -> None:
    found = levels_without_events(cohort.X, cohort.event, cohort.predictors)
    if found:
        raise ModelError(
            f"{'; '.join(found)}: the hazard ratio would be 0 or infinite; merge the level in the "
            "study, leave the predictor out with --predictors, or keep it by Firth's penalised "
            "likelihood with --penalty firth"
        )


def _shrunken(factor: float, settings: Settings) -> dict[str, Any]:
    """Return what `inference.json` says of a uniform shrinkage."""
    return {
        "kind": "uniform shrinkage factor",
        "value": factor,
        "scale": "every coefficient at the maximum of the likelihood is multiplied by it, and the "
        "baseline estimated again",
        "chosen": "the calibration slope over the whole follow-up, corrected over "
        f"{settings.replicates} resamples",
        "tried": None,
        "likelihood": None,
    }


def _penalty(model: CoxModel, choice: PenaltyChoice | None) -> dict[str, Any] | None:
    """Return what `inference.json` says where a penalty leaves no standard errors."""
    if model.has_errors_:
        return None
    if model.penalty == "firth":
        return {
            "kind": FIRTH["kind"],
            "value": None,
            "scale": FIRTH["what"],
            "chosen": "given",
            "tried": None,
            "likelihood": None,
            "why": NO_ERRORS_FIRTH,
        }
    return {
        "kind": "ridge penalty",
        "value": model.penalty,
        "scale": "half the value times the sum of squared coefficients, each per standard "
        "deviation of its term, is taken from the log partial likelihood",
        "chosen": "given"
        if choice is None
        else f"the best of {len(choice.tried)} by {choice.folds}-fold cross-validated partial "
        "likelihood",
        "tried": None if choice is None else choice.tried.tolist(),
        "likelihood": None if choice is None else choice.likelihood.tolist(),
    }

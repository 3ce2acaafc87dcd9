"""What the number of patients, and other analyses of the same patients, allow an effect to be."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scipy import stats

from training.audit.facts import event_limit, log_hr, log_se, name, predictor_range, z_of_p
from training.audit.findings import Checks, Finding
from training.audit.rounding import Interval, printed
from training.published import Published
from training.published.records import Effect, Logrank

__all__ = ["adjustment", "least_standard_error", "logrank_and_cox"]

LESS, MORE, SLACK_Z = 1 / 1.35, 1.1, 0.1
"""How far |z| of a Wald or likelihood-ratio test may lie from the log-rank test's, as factors and
as a number that forgives rounding near 0. In 400 simulated studies the factor was 0.82 to 1.02:
Wald's test falls behind the score test when an effect is large, and hardly ever exceeds it."""

SHRINKS = 0.85
"""Least ratio of an adjusted to an unadjusted standard error; 0.92 in 2,400 simulated pairs."""

ENTANGLED = 1.05
"""Ratio of those standard errors above which predictors are entangled enough for adjusting to move
an effect anywhere: what moves a coefficient by confounding inflates its variance too."""


def least_standard_error(published: Published) -> Checks:
    """Compare each standard error with the least that the number of events allows.

    At any coefficients the partial likelihood's information on one coefficient is a sum over
    events of the predictor's variance in the risk set, weighted by hazard; a variance is at most
    a quarter of the squared range (Popoviciu), with Efron's ties too, and adjusting for other
    predictors only takes information away. Hence SE >= 2 / (range x sqrt(events)), and events are
    at most the patients. The curvature bound holds along the whole profile likelihood, so that
    |log HR| / |z(P)| obeys it for a Wald and for a likelihood-ratio P alike. It does not hold for
    a penalised fit or for a robust (sandwich) standard error. Cox, doi:10.1093/biomet/62.2.269.
    """
    for effect in published.effects:
        span = predictor_range(published, effect)
        if span is None or not span > 0:
            continue
        limit, source = event_limit(published, effect.outcome)
        if not limit:
            continue
        least = 2 / (span * math.sqrt(limit))
        for reported, se in _standard_errors(effect):
            if se.upper >= least - 1e-12:
                yield None
                continue
            needed = math.ceil((2 / (span * se.upper)) ** 2)
            yield Finding(
                where=effect.where,
                subject=name(effect),
                reported=reported,
                recomputed=f"SE {se.text(3)}, which needs {needed:,} events; {source} give "
                f"{least:.3f} at least",
                interval=se,
                severity="impossible",
                meaning="This precision is impossible with so few patients in an ordinary Cox "
                "model, with a Wald or a likelihood-ratio test. A model that copied it would claim "
                "more than its data.",
            )


def logrank_and_cox(published: Published) -> Checks:
    """Compare the log-rank test between two arms with the univariable effect of the treatment.

    The log-rank statistic is the score test of that Cox model; score and Wald tests agree but for
    small differences (Therneau and Grambsch, doi:10.1007/978-1-4757-3294-8, section 3.4).
    """
    for test, effect in _same_comparison(published):
        chi2 = printed(test.chi2)
        score = chi2.map(lambda value: math.sqrt(max(value, 0.0)))
        allowed = Interval(score.lower * LESS - SLACK_Z, score.upper * MORE + SLACK_Z)
        for reported, z in _deviates(effect):
            if allowed.meets(z):
                yield None
                continue
            p = chi2.map(lambda value: float(stats.chi2.sf(max(value, 0.0), 1)))
            yield Finding(
                where=f"{effect.where}; {test.where}",
                subject=f"{name(effect)}, against the log-rank test",
                reported=f"{reported}: chi-square {(z * z).text(1)}",
                recomputed=f"chi-square {test.chi2} by the log-rank test, P {p.text(4)}",
                interval=chi2,
                severity="inconsistent",
                meaning="Log-rank test and univariable Cox model ask one question of the same "
                "patients and must answer nearly alike. They do not: the curves and the Cox table "
                "come from different data or analyses.",
            )


def adjustment(published: Published) -> Checks:
    """Compare the univariable with the multivariable row of one predictor.

    Adjusting moves a hazard ratio as far as predictors are entangled, which costs precision: in a
    linear model both follow from the predictor's squared multiple correlation with the others, and
    a Cox model is close to one. An effect that moves out of its interval at no cost in precision,
    or that becomes more precise, is worth a remark.
    """
    for alone in published.effects:
        for joint in published.effects:
            if not _same_predictor(alone, joint):
                continue
            first, second = log_se(alone), log_se(joint)
            if first is None or second is None:
                continue
            if second.upper < ENTANGLED * first.lower:
                yield _apart(alone, joint)
            if second.upper >= SHRINKS * first.lower:
                yield None
                continue
            yield Finding(
                where=joint.where,
                subject=f"{joint.label}, precision",
                reported=f"SE {first.text(3)} alone, {second.text(3)} adjusted",
                recomputed=f"adjusted SE at least about {SHRINKS * first.lower:.3f}",
                interval=second,
                severity="remark",
                meaning="Adjusting for other predictors costs precision; here it seems to add "
                "some. The two analyses were hardly made on the same patients, or one interval is "
                "misprinted.",
            )


def _standard_errors(effect: Effect) -> Iterator[tuple[str, Interval]]:
    """Yield each way in which a row states its standard error, with the figures it rests on."""
    se = log_se(effect)
    if se is not None:
        yield f"interval {effect.lower} to {effect.upper}", se
    if effect.p is None:
        return
    z = z_of_p(effect.p)
    for what, estimate in (
        (f"HR {effect.hr}", printed(effect.hr).log()),
        (f"coefficient {effect.coefficient}", _coefficient(effect)),
    ):
        # A P value that is 0 for certain is off its scale, which has a rule of its own.
        if estimate is not None and 0 < z.lower < math.inf:
            yield f"{what} with P {effect.p}", abs(estimate) / z


def _coefficient(effect: Effect) -> Interval | None:
    return None if effect.coefficient is None else printed(effect.coefficient)


def _deviates(effect: Effect) -> Iterator[tuple[str, Interval]]:
    se = log_se(effect)
    if se is not None and se.lower > 0:
        interval = f"{effect.lower} to {effect.upper}"
        yield f"HR {effect.hr} ({interval})", abs(log_hr(effect)) / se
    if effect.p is not None:
        yield f"P {effect.p}", z_of_p(effect.p)


def _same_comparison(published: Published) -> Iterator[tuple[Logrank, Effect]]:
    arms = {arm.id for arm in published.arms}
    if len(arms) != 2:
        return
    for test in published.logranks:
        for effect in published.effects:
            contrast = {effect.level, effect.reference}
            same = effect.outcome == test.outcome and effect.model == "univariable"
            if same and contrast == arms:
                yield test, effect


def _same_predictor(alone: Effect, joint: Effect) -> bool:
    keys = [(e.outcome, e.variable, e.level, e.reference) for e in (alone, joint)]
    models = (alone.model, joint.model)
    return models == ("univariable", "multivariable") and keys[0] == keys[1]


def _apart(alone: Effect, joint: Effect) -> Finding | None:
    if not (alone.lower and alone.upper and joint.lower and joint.upper):
        return None
    first = Interval(printed(alone.lower).lower, printed(alone.upper).upper)
    second = Interval(printed(joint.lower).lower, printed(joint.upper).upper)
    if first.meets(second):
        return None
    return Finding(
        where=joint.where,
        subject=f"{joint.label}, direction",
        reported=f"HR {joint.hr} ({joint.lower} to {joint.upper}) adjusted",
        recomputed=f"alone HR {alone.hr} ({alone.lower} to {alone.upper}): the intervals have no "
        "value in common",
        interval=first,
        severity="remark",
        meaning="Alone and adjusted, the same predictor tells two stories. Entangled predictors "
        "could explain that, but would widen the adjusted interval, which they do not. One of the "
        "two rows is wrong; ask which before giving this predictor weight.",
    )

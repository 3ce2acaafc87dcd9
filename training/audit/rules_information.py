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

SAME_TEST = 1.5
"""Largest ratio of two chi-squares of one comparison, the log-rank test's and Wald's. Both are
tests of the same Cox model; `tests/benchmarks/audit_false_alarms.py` measures how far they part."""

SHRINKS = 0.85
"""Least ratio of an adjusted to an unadjusted standard error; adjusting rarely shrinks one. The
same benchmark measures it."""


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
                recomputed=f"SE {se.text(3)}; {source} give at least {least:.3f}",
                interval=se,
                severity="impossible",
                meaning=f"So much certainty needs at least {needed:,} events. These figures cannot "
                "come from this many patients by an ordinary Cox model: a model that copied them "
                "would be surer than its data.",
            )


def logrank_and_cox(published: Published) -> Checks:
    """Compare the log-rank test between two arms with the univariable effect of the treatment.

    The log-rank statistic is the score test of that Cox model; score and Wald tests agree but for
    small differences (Therneau and Grambsch, doi:10.1007/978-1-4757-3294-8, section 3.4).
    """
    for test, effect in _same_comparison(published):
        chi2 = printed(test.chi2)
        for reported, z in _deviates(effect):
            wald = z * z
            if Interval(chi2.lower / SAME_TEST, chi2.upper * SAME_TEST).meets(wald):
                yield None
                continue
            p = chi2.map(lambda value: float(stats.chi2.sf(max(value, 0.0), 1)))
            yield Finding(
                where=f"{effect.where}; {test.where}",
                subject=f"{name(effect)}, against the log-rank test",
                reported=reported,
                recomputed=f"the log-rank test says chi-square {test.chi2}, P {p.text(4)}; this "
                f"says chi-square {wald.text(1)}",
                interval=wald,
                severity="inconsistent",
                meaning="Log-rank test and univariable Cox model ask one question of the same "
                "patients and must answer nearly alike. They do not: the curves and the Cox table "
                "come from different data or analyses.",
            )


def adjustment(published: Published) -> Checks:
    """Compare the univariable with the multivariable row of one predictor.

    Adjusting moves a hazard ratio as far as predictors are entangled, and hardly ever makes it
    more precise; an interval that leaves the other altogether, or shrinks, is worth a remark.
    """
    for alone in published.effects:
        for joint in published.effects:
            if not _same_predictor(alone, joint):
                continue
            first, second = log_se(alone), log_se(joint)
            if first is None or second is None:
                continue
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
        if estimate is not None and z.lower > 0:
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
        meaning="Alone and adjusted, the same predictor tells two stories. Unless predictors are "
        "strongly entangled, one of the two rows is wrong; ask which before giving this "
        "predictor weight.",
    )

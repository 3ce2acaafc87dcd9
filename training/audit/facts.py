"""What several rules need to know about a study."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scipy import stats

from training.audit.rounding import Interval, hull, printed, probability
from training.published import Printed, Published
from training.published.records import Effect, Statement

__all__ = [
    "arm_label",
    "confidence_z",
    "event_limit",
    "log_hr",
    "log_se",
    "name",
    "patients",
    "predictor_range",
    "said",
    "symmetric_medians",
    "threshold",
    "z_of_p",
]

LEVEL = 0.95
"""Confidence of an interval that does not say its own."""


def said(published: Published, topic: str) -> Iterator[Statement]:
    """Yield the statements of a topic."""
    return (s for s in published.statements if s.topic == topic)


def threshold(published: Published) -> float:
    """Return the P value below which the study calls a result significant; 0.05 if unsaid."""
    values = [float(s.value) for s in said(published, "threshold") if s.value]
    return values[0] if values else 1 - LEVEL


def patients(published: Published) -> int:
    """Return the number of patients of all arms."""
    return sum(arm.n for arm in published.arms)


def event_limit(published: Published, outcome: str) -> tuple[int, str]:
    """Return the most events an outcome can have, and in words what says so."""
    counts = [e for e in published.events if e.outcome == outcome]
    whole = [e.count for e in counts if e.arm is None]
    if whole:
        return whole[0], f"{whole[0]} events"
    if {e.arm for e in counts} == {arm.id for arm in published.arms}:
        total = sum(e.count for e in counts)
        return total, f"{total} events"
    n = patients(published)
    return n, f"{n} patients"


def predictor_range(published: Published, effect: Effect) -> float | None:
    """Return how far apart two patients can be on an effect's predictor, None if unknown.

    An indicator of one level against another spans 1, as does a variable of two levels; a number
    spans its limits of eligibility. A variable of several levels with no contrast named may have
    been entered as one number or as several indicators, and is unknown.
    """
    if effect.level is not None and effect.reference is not None:
        return 1.0
    levels = [len(c.levels) for c in published.counts if c.variable == effect.variable]
    if levels:
        return 1.0 if levels[0] == 2 else None
    for limits in said(published, "eligible"):
        if limits.variable == effect.variable and limits.lower and limits.upper:
            return limits.upper.value - limits.lower.value
    return None


def symmetric_medians(published: Published) -> bool:
    """Return whether the software used gives medians an interval of plus or minus z SE.

    SPSS does, from the variance of the median; R and SAS invert a band around the curve, which
    need not be symmetric, and an unnamed program may do either.
    """
    return any("spss" in (s.value or "").lower() for s in said(published, "software"))


def confidence_z(level: Printed | None) -> float:
    """Return the normal quantile of a two-sided interval."""
    return float(stats.norm.ppf(0.5 + (level.value if level else LEVEL) / 2))


def log_hr(effect: Effect) -> Interval:
    """Return the log hazard ratio: the printed one's, widened to the centre of its interval.

    Where the two disagree (which is a finding of its own) both are allowed, so that what follows
    does not count the same disagreement again.
    """
    own = printed(effect.hr).log()
    if effect.lower is None or effect.upper is None:
        return own
    centre = (printed(effect.lower).log() + printed(effect.upper).log()) * 0.5
    return hull([own, centre])


def log_se(effect: Effect) -> Interval | None:
    """Return the standard error of the log hazard ratio from the width of its interval."""
    if effect.lower is None or effect.upper is None:
        return None
    width = printed(effect.upper).log() - printed(effect.lower).log()
    se = width / (2 * confidence_z(effect.confidence))
    return Interval(max(se.lower, 0.0), se.upper) if se.upper > 0 else None


def z_of_p(p: Printed) -> Interval:
    """Return the absolute normal deviate of a two-sided P value."""
    return probability(p).map(
        lambda value: float(stats.norm.isf(value / 2)) if value > 0 else math.inf
    )


def arm_label(published: Published, arm: str) -> str:
    """Return what the study calls an arm."""
    return next(known.label for known in published.arms if known.id == arm)


def name(effect: Effect) -> str:
    """Return how an effect is called in a finding."""
    return f"{effect.label}, {effect.model}"

"""Medians, log-rank tests and follow-up."""

from __future__ import annotations

from scipy import stats

from training.audit.facts import arm_label, symmetric_medians
from training.audit.findings import Checks, Finding, Severity, grade
from training.audit.rounding import Interval, printed, probability
from training.published import Published
from training.published.records import FollowUp, Median

__all__ = ["follow_up", "logranks", "medians", "whole_centres"]

ENOUGH = 3
"""So many whole centres are no longer chance."""
FINE = 0.01
"""Half width of a centre that is known well enough for its being whole to mean something."""


def logranks(published: Published) -> Checks:
    """Compare the P value of each log-rank test with its chi-square, which it falls with."""
    freedom = max(len(published.arms) - 1, 1)
    for test in published.logranks:
        if test.p is None:
            continue
        implied = printed(test.chi2).map(lambda x: float(stats.chi2.sf(max(x, 0.0), freedom)))
        if implied.meets(probability(test.p)):
            yield None
            continue
        yield Finding(
            where=test.where,
            subject=f"log-rank test, {test.outcome}",
            reported=f"chi-square {test.chi2}, P {test.p}",
            recomputed=f"P {implied.text(test.p.decimals + 1)}",
            interval=implied,
            severity=grade("impossible", test.p, implied),
            meaning="A chi-square fixes its P value. One of the two is misprinted, so the "
            "difference between the curves is not known as well as it seems.",
        )


def medians(published: Published) -> Checks:
    """Ask whether each median lies in its interval and, where that is symmetric, at its centre.

    SPSS's interval is the median plus or minus 1.96 standard errors; the centre of two rounded
    limits is bounded by the sums of their ends. Intervals of other programs need not be symmetric.
    """
    symmetric = symmetric_medians(published)
    for row in published.medians:
        if row.lower is None or row.upper is None:
            continue
        own, middle = printed(row.median), _centre(row)
        outside = own.upper < printed(row.lower).lower or own.lower > printed(row.upper).upper
        if not outside and (not symmetric or middle.meets(own)):
            yield None
            continue
        yield Finding(
            where=row.where,
            subject=f"median {row.outcome}, {arm_label(published, row.arm)}",
            reported=f"median {row.median} ({row.lower} to {row.upper})",
            recomputed=f"centre of the interval {middle.text(row.median.decimals + 1)}",
            interval=middle,
            severity="impossible" if outside else grade("inconsistent", row.median, middle),
            meaning="The program used gives a median an interval that is symmetric about it; this "
            "one is centred elsewhere. Median and interval come from different analyses, and a "
            "curve drawn through the median is as uncertain as the gap between the two.",
        )


def whole_centres(published: Published) -> Checks:
    """Notice that the centres of symmetric intervals are whole numbers where the medians are not.

    Times counted in whole units have whole medians, which the intervals then give away.
    """
    if not symmetric_medians(published):
        return
    known = [m for m in published.medians if m.lower is not None and m.upper is not None]
    centres = [_centre(row) for row in known]
    fine = [c for c in centres if c.upper - c.lower <= 2 * FINE]
    whole = [c for c in fine if c.meets(Interval(*[float(round(c.lower + FINE))] * 2))]
    broken = any(m.median.value != round(m.median.value) for m in known)
    if len(fine) < ENOUGH:
        return
    if len(whole) < len(centres) or not broken:
        yield None
        return
    yield Finding(
        where=known[0].where,
        subject="medians, all together",
        reported=", ".join(str(m.median) for m in known),
        recomputed="centres of the intervals " + ", ".join(f"{round(c.lower)}" for c in whole),
        severity="remark",
        meaning="Every interval is centred on a whole number. Times were probably analysed in "
        f"whole {published.study.time_unit}s, and those whole numbers are the medians that belong "
        "to the intervals.",
    )


def follow_up(published: Published) -> Checks:
    """Ask whether the printed follow-up can be the observed times of the patients.

    A Kaplan-Meier curve is nowhere below the share of patients with a longer observed time.
    Hence in each arm at most half were observed beyond the median, nobody beyond the longest
    time, and the mean observed time is at most half of the median plus half of the longest time.
    That bound rises with each figure: corners.
    """
    for row in published.follow_up:
        if row.lower is None or row.upper is None or row.mean is None:
            continue
        shortest, longest, mean = (printed(x) for x in (row.lower, row.upper, row.mean))
        if mean.upper < shortest.lower or mean.lower > longest.upper:
            yield _follow_up(
                row,
                f"a mean lies from {row.lower} to {row.upper}",
                Interval(shortest.lower, longest.upper),
                "impossible",
                "The mean lies outside its own range: one of the three figures is misprinted.",
            )
            continue
        yield None
        most = _longest_mean(published, row.outcome, longest.upper)
        if most is None:
            continue
        if mean.lower <= most:
            yield None
            continue
        yield _follow_up(
            row,
            f"times under observation average {most:.1f} at most",
            Interval(shortest.lower, most),
            "inconsistent",
            "At most half of the patients can have been observed beyond the median, so the average "
            "time under observation cannot be so long. The figures describe follow-up in some "
            "other sense, which is not stated: do not read the range as the times of death and "
            "censoring.",
        )


def _longest_mean(published: Published, outcome: str | None, longest: float) -> float | None:
    """Return the longest possible mean of the observed times, None if a median is missing."""
    ends = {m.arm: printed(m.median).upper for m in published.medians if m.outcome == outcome}
    if set(ends) != {arm.id for arm in published.arms}:
        return None
    total = sum(arm.n for arm in published.arms)
    return sum(arm.n / total * (ends[arm.id] + longest) / 2 for arm in published.arms)


def _follow_up(
    row: FollowUp, recomputed: str, interval: Interval, severity: Severity, meaning: str
) -> Finding:
    return Finding(
        where=row.where,
        subject="follow-up",
        reported=f"mean {row.mean}, range {row.lower} to {row.upper}",
        recomputed=recomputed,
        interval=interval,
        severity=severity,
        meaning=meaning,
    )


def _centre(row: Median) -> Interval:
    if row.lower is None or row.upper is None:
        raise ValueError("a median without an interval has no centre")
    return (printed(row.lower) + printed(row.upper)) * 0.5

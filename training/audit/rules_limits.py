"""Numbers that cannot be, whatever the data: outside their scale, or beyond a bound of the SD."""

from __future__ import annotations

import math
from collections.abc import Iterator

from training.audit.facts import name, said
from training.audit.findings import Checks, Finding
from training.audit.rounding import Interval, printed
from training.published import Printed, Published
from training.published.records import AdverseEvent, Counts, Effect, Means, Rate

__all__ = ["ranges", "spreads"]


def ranges(published: Published) -> Checks:
    """Ask whether each number lies on its scale: P from 0 to 1, ratios and SDs not below 0."""
    for where, subject, what, number, lower, upper in _scaled(published):
        value = printed(number)
        if value.upper >= lower and value.lower <= upper:
            yield None
            continue
        yield Finding(
            where=where,
            subject=subject,
            reported=f"{what} {number}",
            recomputed=f"{what} is {lower:g} or more"
            + (f", {upper:g} or less" if math.isfinite(upper) else ""),
            interval=Interval(lower, upper),
            severity="impossible",
            meaning="No data give such a number: it is misprinted.",
        )
    for effect in published.effects:
        if effect.lower is None or effect.upper is None:
            continue
        if printed(effect.lower).lower <= printed(effect.upper).upper:
            yield None
            continue
        yield Finding(
            where=effect.where,
            subject=name(effect),
            reported=f"{effect.lower} to {effect.upper}",
            recomputed="the lower limit is the smaller one",
            severity="impossible",
            meaning="The limits are exchanged or misprinted.",
        )


def spreads(published: Published) -> Checks:
    """Compare each mean and SD with the limits of eligibility.

    Of n values from a to b with mean M the SD is at most sqrt((M - a)(b - M) n / (n - 1)) (Bhatia
    and Davis, doi:10.1080/00029890.2000.12005203). No distribution that is symmetric about M
    and has no value below a has an SD above M - a, so that a larger one means a long tail, for
    which mean and SD are a poor summary and a t-test a weak one.
    """
    for row in published.means:
        for limits in said(published, "eligible"):
            if limits.variable != row.variable or limits.lower is None:
                continue
            low = printed(limits.lower).lower
            high = printed(limits.upper).upper if limits.upper else math.inf
            for i, arm in enumerate(published.arms):
                mean, sd, n = printed(row.mean[i]), printed(row.sd[i]), row.n[i]
                if n < 2:
                    continue
                subject = f"{row.label}, {arm.label}"
                reported = f"mean {row.mean[i]}, SD {row.sd[i]}"
                most = _largest_sd(mean, low, high, n)
                if mean.upper < low or mean.lower > high or sd.lower > most:
                    yield Finding(
                        where=f"{row.where}; {limits.where}",
                        subject=subject,
                        reported=reported,
                        recomputed=f"within the limits of eligibility the SD is {most:.2f} at most",
                        interval=Interval(0.0, most),
                        severity="impossible",
                        meaning="No patients within the limits have this mean and SD: the limits "
                        "were not kept or a figure is misprinted.",
                    )
                elif sd.lower * math.sqrt((n - 1) / n) > mean.upper - low:
                    yield Finding(
                        where=f"{row.where}; {limits.where}",
                        subject=subject,
                        reported=f"{reported}, limit {limits.lower}",
                        recomputed=f"a symmetric spread has an SD up to {mean.upper - low:.2f}",
                        interval=Interval(0.0, mean.upper - low),
                        severity="remark",
                        meaning="Most patients lie close to the limit and a few far from it, or "
                        "some lie beyond it: mean and SD describe them poorly, and a t-test "
                        "compares them poorly.",
                    )
                else:
                    yield None


def _largest_sd(mean: Interval, low: float, high: float, n: int) -> float:
    """Return the largest SD that any mean within the rounding allows.

    The bound is a product of a rising and a falling factor with its summit at the middle of the
    limits; taking each factor's largest value bounds it from above.
    """
    below = max(mean.upper - low, 0.0)
    # Without an upper limit the extreme is one value far out and all others on the limit.
    if not math.isfinite(high):
        return below * math.sqrt(n)
    return math.sqrt(below * max(high - mean.lower, 0.0) * n / (n - 1))


def _scaled(
    published: Published,
) -> Iterator[tuple[str, str, str, Printed, float, float]]:
    """Yield place, subject, kind, number and scale of every number that has a scale."""
    tests: list[Means | Counts | Rate | AdverseEvent | Effect] = [
        *published.means,
        *published.counts,
        *published.rates,
        *published.adverse_events,
        *published.effects,
    ]
    for row in tests:
        if row.p is not None:
            yield row.where, row.label, "P", row.p, 0.0, 1.0
    for test in published.logranks:
        yield test.where, f"log-rank test, {test.outcome}", "chi-square", test.chi2, 0.0, math.inf
        if test.p is not None:
            yield test.where, f"log-rank test, {test.outcome}", "P", test.p, 0.0, 1.0
    for rate in published.rates:
        for percent in rate.percent:
            yield rate.where, rate.label, "percentage", percent, 0.0, 100.0
    for row in published.means:
        for sd in row.sd:
            yield row.where, row.label, "SD", sd, 0.0, math.inf
    for effect in published.effects:
        for limit in (effect.hr, effect.lower, effect.upper):
            if limit is not None:
                yield effect.where, name(effect), "hazard ratio", limit, 0.0, math.inf

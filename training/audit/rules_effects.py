"""Rows of a Cox table: coefficient, hazard ratio, interval and P value against one another.

A Cox row is one estimate b and one standard error s printed four times: HR = exp(b), its interval
exp(b - z s) to exp(b + z s), and P = 2 Phi(-|b / s|), by Wald's method, which SPSS, SAS and R use
(Therneau and Grambsch, Modeling Survival Data, doi:10.1007/978-1-4757-3294-8, section 3.4). The
comparison of printed statistics with one another is statcheck's (Nuijten et al.,
doi:10.3758/s13428-015-0664-2), carried over to survival tables.
"""

from __future__ import annotations

import math

from scipy import stats

from training.audit.facts import LEVEL, log_hr, log_se, name, threshold, z_of_p
from training.audit.findings import Checks, Finding, Severity, grade
from training.audit.rounding import Interval, printed, probability
from training.published import Printed, Published
from training.published.records import Effect

__all__ = ["centre", "coefficients", "p_values", "significance"]

ALMOST = 1.1
"""A Wald and a likelihood-ratio test of one effect differ by less than this factor in |z|."""

SMALL = 0.05
"""A hazard ratio so few standard errors off its centre says the same; limits worked out by hand
from a rounded coefficient and standard error come out so."""


def coefficients(published: Published) -> Checks:
    """Compare each regression coefficient with the logarithm of its hazard ratio.

    The exponential rises, so that the ends of the rounded coefficient give the ends of the hazard
    ratio.
    """
    for effect in published.effects:
        if effect.coefficient is None:
            continue
        implied = printed(effect.coefficient).exp()
        if implied.meets(printed(effect.hr)):
            yield None
            continue
        yield Finding(
            where=effect.where,
            subject=name(effect),
            reported=f"coefficient {effect.coefficient}, HR {effect.hr}",
            recomputed=f"the coefficient gives HR {implied.text(effect.hr.decimals)}",
            interval=implied,
            severity=grade("impossible", effect.hr, implied),
            meaning="The coefficient and the hazard ratio are one number written twice, and here "
            "they differ: one of the two columns is wrong. A model must say which column it "
            "follows, and show what the other would give.",
        )


def centre(published: Published) -> Checks:
    """Compare each hazard ratio with the geometric middle of its interval.

    The middle rises with both limits, so that the corners of their rounding box bound it.
    """
    for effect in published.effects:
        if effect.lower is None or effect.upper is None:
            continue
        low, own, high = printed(effect.lower), printed(effect.hr), printed(effect.upper)
        middle = ((low.log() + high.log()) * 0.5).exp()
        outside = own.upper < low.lower or own.lower > high.upper
        if middle.meets(own) and not outside:
            yield None
            continue
        small = _is_small(effect, middle)
        yield Finding(
            where=effect.where,
            subject=name(effect),
            reported=_reported(effect),
            recomputed=f"middle of the interval {middle.text(effect.hr.decimals)}",
            interval=middle,
            severity="impossible" if outside else "remark" if small else "inconsistent",
            meaning="The usual (Wald) interval is centred on its hazard ratio, on the logarithmic "
            "scale; this one is not. "
            + (
                "The gap is small beside the width of the interval: the limits were probably "
                "worked out from rounded figures, and nothing hangs on it."
                if small
                else "The hazard ratio or a limit is misprinted, or they come from different "
                "analyses: neither the effect nor its precision can be taken as they stand."
            ),
        )


def p_values(published: Published) -> Checks:
    """Compare each P value with the one its hazard ratio and interval give.

    |z| = |log HR| / SE rises with the distance of the hazard ratio from 1 and falls with the width
    of the interval, and P falls with |z|: all corners.
    """
    for effect in published.effects:
        z = _wald(effect)
        if effect.p is None or z is None:
            continue
        implied = z.map(lambda value: float(2 * stats.norm.sf(value)))
        if implied.meets(probability(effect.p)):
            yield None
            continue
        severity: Severity = (
            "remark" if _almost(effect.p, z) else grade("inconsistent", effect.p, implied)
        )
        yield Finding(
            where=effect.where,
            subject=name(effect),
            reported=f"P {effect.p} beside {_reported(effect)}",
            recomputed=f"P {implied.text(effect.p.decimals)}",
            interval=implied,
            severity=severity,
            meaning="The P value does not follow from the hazard ratio and its interval. "
            + (
                "A likelihood-ratio test, or a digit that was cut off, would explain so small a "
                "difference; the interval is the better guide."
                if severity == "remark"
                else "Judge the evidence by the interval, and do not choose predictors by this P "
                "value."
            ),
        )


def significance(published: Published) -> Checks:
    """Ask whether interval and P value agree on which side of the threshold the result lies.

    Asked only where rounding leaves no doubt: no limit that may be 1, no P that may be the
    threshold.
    """
    limit = threshold(published)
    for effect in published.effects:
        level = effect.confidence.value if effect.confidence else LEVEL
        # A 90 % interval and a threshold of 5 % may differ with good reason.
        if not (effect.p and effect.lower and effect.upper) or abs(1 - level - limit) > 1e-9:
            continue
        p, low, high = probability(effect.p), printed(effect.lower), printed(effect.upper)
        excludes = low.lower > 1 or high.upper < 1
        includes = low.upper < 1 < high.lower
        clear = p.upper < limit or p.lower > limit
        if not clear or not (excludes or includes) or excludes == (p.upper < limit):
            yield None
            continue
        side = "excludes" if excludes else "includes"
        z = _wald(effect)
        close = z is not None and _almost(effect.p, z)
        yield Finding(
            where=effect.where,
            subject=name(effect),
            reported=f"P {effect.p} beside {_reported(effect)}",
            recomputed=f"the interval {side} 1: P {'below' if excludes else 'above'} {limit:g}",
            interval=Interval(0.0, limit) if excludes else Interval(limit, 1.0),
            severity="remark" if close else "inconsistent",
            meaning="By its interval the effect "
            + ("is" if excludes else "is not")
            + " significant, by its P value it "
            + ("is not" if excludes else "is")
            + ". "
            + (
                "Another test than Wald's would explain it: the result lies on the threshold."
                if close
                else "Whether this predictor was kept or dropped hangs on a contradiction."
            ),
        )


def _wald(effect: Effect) -> Interval | None:
    """Return |z| by hazard ratio and interval; None where no interval was printed."""
    se = log_se(effect)
    if se is None:
        return None
    return abs(log_hr(effect)) / se if se.lower > 0 else Interval(0.0, math.inf)


def _almost(p: Printed, z: Interval) -> bool:
    """Return whether a likelihood-ratio test could give this P value beside this interval."""
    own = z_of_p(p)
    return own.upper * ALMOST >= z.lower and own.lower <= z.upper * ALMOST


def _is_small(effect: Effect, middle: Interval) -> bool:
    """Ask whether the hazard ratio is off its centre by a sliver of its standard error only."""
    se = log_se(effect)
    gap = abs(printed(effect.hr).log() - middle.log())
    return se is not None and gap.lower <= SMALL * se.lower


def _reported(effect: Effect) -> str:
    return f"HR {effect.hr} ({effect.lower} to {effect.upper})"

"""t-tests of two means from what a table prints of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from training.audit.rounding import Interval

__all__ = ["t_tests"]


def t_tests(
    mean: Sequence[Interval], sd: Sequence[Interval], n: Sequence[int]
) -> dict[str, Interval]:
    """Return the two-sided P values that printed means and SDs of two groups allow.

    |t| rises with the distance of the means and falls with each SD, so that corners bound it. P
    falls with |t| and with the degrees of freedom. Welch's degrees of freedom are not monotone in
    the SDs, but depend on them through one ratio alone, r = (s1^2 / n1) / (s2^2 / n2), with one
    summit, at r = (n1 - 1) / (n2 - 1): ends and summit bound them. Bounding |t| and the degrees
    apart makes the interval a little wide, never narrow. Welch, doi:10.1093/biomet/34.1-2.28.

    Examples
    --------
    >>> tests = t_tests(
    ...     [Interval(60.25, 60.35), Interval(59.65, 59.75)],
    ...     [Interval(13.95, 14.05), Interval(13.15, 13.25)],
    ...     [42, 48],
    ... )
    >>> tests["Student"].text(3)
    '0.807 to 0.863'
    """
    if min(n) < 2:
        return dict.fromkeys(("Student", "Welch"), Interval(0.0, 1.0))
    distance = abs(mean[0] - mean[1])
    squares = [Interval(max(s.lower, 0.0) ** 2, s.upper**2) for s in sd]
    freedom = sum(n) - 2
    pooled = (squares[0] * (n[0] - 1.0) + squares[1] * (n[1] - 1.0)) / float(freedom)
    student = pooled * (1 / n[0] + 1 / n[1])
    parts = [square / float(size) for square, size in zip(squares, n, strict=True)]
    welch = parts[0] + parts[1]
    return {
        "Student": _p(distance, student, Interval(freedom, freedom)),
        "Welch": _p(distance, welch, _freedom(parts, n)),
    }


def _p(distance: Interval, variance: Interval, freedom: Interval) -> Interval:
    smallest = distance.lower / math.sqrt(variance.upper) if variance.upper > 0 else math.inf
    largest = distance.upper / math.sqrt(variance.lower) if variance.lower > 0 else math.inf
    return Interval(
        float(2 * stats.t.sf(largest, freedom.upper)),
        float(2 * stats.t.sf(smallest, freedom.lower)),
    )


def _freedom(parts: Sequence[Interval], n: Sequence[int]) -> Interval:
    """Bound Welch's degrees of freedom over the box of the two squared standard errors."""
    if parts[0].lower <= 0 or parts[1].lower <= 0:
        return Interval(min(n) - 1, sum(n) - 2)
    ratio = parts[0] / parts[1]
    summit = (n[0] - 1) / (n[1] - 1)
    at = [ratio.lower, ratio.upper]
    at += [summit] if ratio.lower < summit < ratio.upper else []
    values = [(r + 1) ** 2 / (r**2 / (n[0] - 1) + 1 / (n[1] - 1)) for r in at]
    return Interval(min(values), max(values))

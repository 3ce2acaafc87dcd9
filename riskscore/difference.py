"""Interval of the difference between two survival curves of one Cox model.

The logarithm of the cumulative hazard under the reference, a, and the log hazard ratio, d, are
jointly normal. The difference of survival, D = exp(-exp(a + d)) - exp(-exp(a)), is not: where
survival is low or high it is skewed, and an interval symmetric about it misses. The bounds here are
the quantiles of D under that joint distribution, found by quadrature and a root, without a random
draw. D has the sign of -d, and the quantiles are sought on the side of 0 on which d's own quantiles
lie, so that the interval excludes 0 exactly where that of the hazard ratio excludes 1.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["difference_interval", "survival_difference"]

FloatArray = NDArray[np.float64]

REACH = 6.0
"""Standard deviations from the mean up to which is integrated; 2e-9 lie beyond."""

NODES = 48
"""Of the quadrature, where nothing in it is much steeper than a standard normal distribution."""

DOUBLINGS = 5
"""Most doublings of the nodes, for steeper ones."""

NARROWEST = 0.02
"""Least standard deviation of d given a, in units of d's own; below it the two are one."""

TOLERANCE = 1e-7
"""Relative step of a bound that is the last: what remains after it is about its square."""

N_ITER = 100
TOGETHER = 20_000
"""Nodes of the bounds that are sought at once: more would not fit a processor's cache."""

SMALLEST = 1e-300
LEAST = float(np.log(SMALLEST))
MOST = 1 - 2.0**-53

LARGEST = 700.0
"""Of a log hazard or log hazard ratio; a double's exponential overflows a little above."""


def survival_difference(log_hazard: FloatArray, effect: FloatArray) -> FloatArray:
    """Return exp(-exp(a + d)) - exp(-exp(a)), each argument of shape (n,) or broadcast to it.

    Parameters
    ----------
    log_hazard : ndarray
        The log cumulative hazard under the reference, a; minus infinity before the first event.
    effect : ndarray
        The log hazard ratio, d.

    Returns
    -------
    ndarray
        Positive where d is negative. Computed from the better of the two curves, so that the
        relative change is exact where the two are nearly the same and nothing overflows where
        survival is 0 in doubles.
    """
    better = np.exp(-np.exp(np.minimum(log_hazard + np.minimum(effect, 0.0), LARGEST)))
    change = np.abs(np.expm1(np.minimum(effect, LARGEST)))
    with np.errstate(over="ignore"):  # an infinite hazard is a survival of 0
        apart = np.exp(np.minimum(log_hazard, LARGEST)) * change
    size: FloatArray = better * -np.expm1(-apart)
    return np.where(effect > 0, 0.0 - size, size)


def difference_interval(
    log_hazard: FloatArray,
    effect: FloatArray,
    variance: FloatArray,
    covariance: FloatArray,
    effect_variance: FloatArray,
    *,
    level: float = 0.95,
) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of exp(-exp(a + d)) - exp(-exp(a)) for jointly normal a and d.

    Parameters
    ----------
    log_hazard, effect : ndarray of shape (n,)
        Means of a, the log cumulative hazard under the reference, and of d, the log hazard ratio.
    variance, covariance, effect_variance : ndarray of shape (n,)
        Of a, of a with d, and of d.
    level : float
        Of confidence, as much of the rest on either side.

    Returns
    -------
    lower, upper : ndarray of shape (n,)
        The point estimate lies between them. Both are 0 where d is 0 with certainty.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    tail = 0.5 - level / 2
    sd = np.sqrt(np.maximum(effect_variance, 0.0))
    certain = (sd == 0) & (effect == 0)
    sd = np.where(sd > 0, sd, 1.0)
    point = survival_difference(log_hazard, effect)
    # The lower bound of D is where d is high, the upper where d is low.
    of_effect = np.concatenate([effect + z * sd, effect - z * sd])
    gained = of_effect < 0
    # The part of D's distribution on this bound's side of 0, beyond the bound.
    upper = np.arange(len(of_effect)) >= len(effect)
    beyond = np.where(gained == upper, tail, 1 - tail)
    twice = [np.concatenate([v, v]) for v in (log_hazard, effect, variance, covariance, sd)]
    size = _Sided(*twice, gained=gained).quantile(of_effect, beyond)
    low, high = np.where(gained, size, -size).reshape(2, -1)
    low, high = np.minimum(low, point), np.maximum(high, point)
    return np.where(certain, 0.0, low), np.where(certain, 0.0, high)


class _Sided:
    """The distribution of D on one side of 0, as a matter of two hazards.

    With D above 0 the further treatment has the lower hazard, else the reference. Given the higher
    hazard's logarithm y, the difference exceeds m where the lower one's logarithm is below
    log(-log(exp(-exp(y)) + m)); that probability is a normal one, and is integrated over y.
    """

    def __init__(
        self,
        log_hazard: FloatArray,
        effect: FloatArray,
        variance: FloatArray,
        covariance: FloatArray,
        sd: FloatArray,
        *,
        gained: NDArray[np.bool_],
    ) -> None:
        variance = np.maximum(variance, 0.0)
        other, other_variance = log_hazard + effect, variance + 2 * covariance + sd**2
        self.log_hazard, self.effect = log_hazard, effect
        self.to_effect = covariance / sd**2
        self.whole = normal_cdf(np.where(gained, -effect, effect) / sd)
        self.high = np.where(gained, log_hazard, other)
        self.low = np.where(gained, other, log_hazard)
        spread = np.where(gained, variance, np.maximum(other_variance, 0.0))
        self.high_sd = np.maximum(np.sqrt(spread), 1e-9)
        # The mean of the lower hazard's logarithm is linear in the standard score of the higher's.
        self.low_slope = (variance + covariance) / self.high_sd
        rest = np.where(gained, other_variance, variance) - self.low_slope**2
        self.low_sd = np.sqrt(np.maximum(rest, (NARROWEST * sd) ** 2))

    def quantile(self, of_effect: FloatArray, beyond: FloatArray) -> FloatArray:
        """Return the size beyond which lies this probability.

        `of_effect` is the log hazard ratio of like probability, from which the search begins.
        """
        log_hazard = self.log_hazard + self.to_effect * (of_effect - self.effect)
        first = np.clip(np.abs(survival_difference(log_hazard, of_effect)), 1e-290, 0.999)
        goal = np.log(np.maximum(self.whole - beyond, SMALLEST) / beyond)
        x = np.log(first)
        doublings = self._doublings(first)
        rows = np.argsort(doublings, kind="stable")
        rows = rows[np.isfinite(goal + x)[rows]]
        part = np.cumsum(NODES << doublings[rows]) // TOGETHER
        for start, end in pairwise([*np.flatnonzero(np.diff(part, prepend=-1)), len(rows)]):
            mine = rows[start:end]
            x[mine] = self._root(x[mine], goal[mine], mine, doublings[mine])
        size: FloatArray = np.minimum(np.exp(x), 1.0)  # the last step may go a little beyond
        return size

    def _doublings(self, size: FloatArray) -> NDArray[np.intp]:
        """Return how often the nodes are doubled, by the steepness at no difference and at this."""
        hazard = np.exp(self.high)
        survival = np.exp(-hazard)
        better = np.clip(survival + size, SMALLEST, 1 - 1e-9)
        ratio = survival * hazard / (better * -np.log(better))
        steep = [np.abs(r * self.high_sd - self.low_slope) / self.low_sd for r in (1.0, ratio)]
        times = np.ceil(np.log2(np.maximum(0.6 * np.hypot(1.0, np.maximum(*steep)), 1.0)))
        return np.nan_to_num(np.minimum(times, DOUBLINGS)).astype(np.intp)

    def _root(
        self,
        x: FloatArray,
        goal: FloatArray,
        rows: NDArray[np.intp],
        doublings: NDArray[np.intp],
    ) -> FloatArray:
        """Return the logarithm of each size, by Newton's method kept in a bracket.

        Log odds against the logarithm of the size are nearly a straight line.
        """
        low, high = np.full_like(x, LEAST), np.zeros_like(x)
        going = np.arange(len(x))
        for _ in range(N_ITER):
            here, whole = x[going], self.whole[rows[going]]
            size = np.minimum(np.exp(here), MOST)
            beyond, density = self._beyond(size, rows[going], doublings[going])
            beyond = np.maximum(beyond, SMALLEST)
            within = np.maximum(whole - beyond, SMALLEST)
            off = np.log(within / beyond) - goal[going]
            rise = density * size * (1 / within + 1 / beyond)
            low[going] = np.where(off < 0, here, low[going])
            high[going] = np.where(off < 0, high[going], here)
            there = here - off / np.maximum(rise, SMALLEST)
            last = np.abs(there - here) <= TOLERANCE * np.maximum(1.0, np.abs(here))
            kept = last | ((there > low[going]) & (there < high[going]))
            x[going] = np.where(kept, there, (low[going] + high[going]) / 2)
            going = going[~last]
            if not len(going):
                break
        return x

    def _beyond(
        self, size: FloatArray, rows: NDArray[np.intp], doublings: NDArray[np.intp]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probability beyond each size on this side of 0, and the density there.

        The nodes of all rows, whose `doublings` ascend, lie one after the other.
        """
        rows_of = enumerate(np.bincount(doublings).tolist())
        tables = [np.tile(_nodes(times), many) for times, many in rows_of if many]
        points, weights = np.concatenate(tables, axis=1)
        count = NODES << doublings
        first = np.cumsum(count) - count
        mean, sd, low_sd = self.high[rows], self.high_sd[rows], self.low_sd[rows]
        slope = self.low_slope[rows]
        begin = np.clip((np.log(-np.log1p(-size)) - mean) / sd, -REACH, REACH)
        half = (REACH - begin) / 2
        of = np.repeat(np.arange(len(rows)), count)
        score = begin[of] + half[of] * points
        missing = np.expm1(-np.exp(mean[of] + sd[of] * score)) + size[of]  # survival less 1
        np.clip(missing, -1 + 1e-16, -SMALLEST, out=missing)
        hazard = -np.log1p(missing)
        deviation = (np.log(hazard) - self.low[rows][of] - slope[of] * score) / low_sd[of]
        weight = weights * np.exp(-0.5 * score * score)
        height = np.exp(-0.5 * deviation * deviation) / (hazard + hazard * missing)
        scale = half / np.sqrt(2 * np.pi)
        density = np.add.reduceat(weight * height, first) * scale / low_sd / np.sqrt(2 * np.pi)
        return np.add.reduceat(weight * normal_cdf(deviation), first) * scale, density


@cache
def _nodes(doublings: int) -> FloatArray:
    """Return Gauss's points on 0 to 2, in 1, 2, 4, ... equal pieces, and their weights."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    pieces = 1 << doublings
    begin = np.arange(pieces)[:, None] * 2 / pieces
    return np.stack([(begin + (1 + points) / pieces).ravel(), np.tile(weights / pieces, pieces)])


_NUMERATOR = (
    3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383,
    112.079291497871, 221.213596169931, 220.206867912376,
)  # fmt: skip
_DENOMINATOR = (
    8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461,
    296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752,
)  # fmt: skip


def normal_cdf(x: FloatArray) -> FloatArray:
    """Return the standard normal distribution function, to 1e-12.

    numpy has none. Source: Hart, Computer Approximations (1968), function 5666, in the form of
    West, Wilmott Magazine (May 2005) 70. Below -7 it stays at 8e-13.
    """
    size = np.minimum(np.abs(x), 7.07)
    top, bottom = _NUMERATOR[0] * size, _DENOMINATOR[0] * size
    for a in _NUMERATOR[1:-1]:
        top += a
        top *= size
    top += _NUMERATOR[-1]
    for b in _DENOMINATOR[1:-1]:
        bottom += b
        bottom *= size
    bottom += _DENOMINATOR[-1]
    top /= bottom
    top *= np.exp(-0.5 * size * size)
    return np.where(x > 0, 1 - top, top)

"""How much a forest's answer depends on which patients were there: the bootstrap of little bags.

Trees come in little bags that share a half-sample of the patients. The variance of the bags' means
is that of a forest over half-samples, which to first order is its variance over cohorts, plus the
noise of having few trees in a bag, which is subtracted. Sources: Sexton & Laake, Comput. Stat. Data
Anal. 53 (2009) 801; Athey, Tibshirani & Wager, Ann. Stat. 47 (2019) 1148, section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = ["BAG", "LEAST_RATIO", "LEAST_TREES", "LEVEL", "Z", "band", "debiased"]

FloatArray = NDArray[np.float64]

BAG = 10
"""Trees in a little bag."""

LEAST_TREES = 2000
"""Trees below which the Monte Carlo noise of a band would be as large as what it measures."""

LEVEL = 0.95
"""Level of the band."""

LEAST_RATIO = -4.0
"""Least difference of variances told apart from the next, in its standard errors."""

Z = float(stats.norm.ppf((1 + LEVEL) / 2))


def debiased(between: FloatArray, within: FloatArray, n_bags: int, bag: int) -> FloatArray:
    """Return the forest's variance: the bags' variance less the noise of their few trees.

    Parameters
    ----------
    between : ndarray
        Mean over bags of (bag's mean - forest's mean)^2.
    within : ndarray
        Mean over trees of (tree - its bag's mean)^2.
    n_bags, bag : int
        Bags, and trees in each.

    Notes
    -----
    The difference can be negative by chance. As in grf, the estimate is the posterior mean under a
    flat prior on the positive half-line, which is the difference itself where that is clear.
    """
    noise = within / (bag - 1)
    error = np.maximum(between, noise) * np.sqrt(2 / n_bags)
    ratio = np.divide(between - noise, error, out=np.zeros_like(error), where=error > 0)
    # Further below zero the exported graph, whose error function is in single precision, could not
    # follow; a quarter of the variance's own standard error is as good as nothing.
    ratio = np.maximum(ratio, LEAST_RATIO)
    above_zero = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi) / special.ndtr(ratio)
    variance: FloatArray = error * (ratio + above_zero)
    return variance


def band(survival: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the band's bounds, symmetric on the scale log(-log), so within 0 and 1.

    Where survival is 0 or 1 the trees all agree, and the bounds are survival itself.
    """
    inside = (survival > 0) & (survival < 1)
    s = np.where(inside, survival, 0.5)
    hazard = -np.log(s)
    # Beyond 700 the exponential overflows; the bounds are 0 and 1 long before.
    half = np.minimum(Z * np.sqrt(variance) / (s * hazard), 700.0)
    lower, upper = s ** np.exp(half), s ** np.exp(-half)
    return np.where(inside, lower, survival), np.where(inside, upper, survival)

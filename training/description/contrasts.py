"""How two or more groups differ: tests and standardised mean differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Comparison",
    "compare_counts",
    "compare_means",
    "compare_ranks",
    "count_difference",
    "largest_difference",
    "mean_difference",
]

FloatArray = NDArray[np.float64]

LEAST_EXPECTED = 5
"""An expected count below this makes the chi-square approximation doubtful (Cochran 1954,
doi:10.2307/3001616)."""


@dataclass(frozen=True)
class Comparison:
    """A test between groups; two-sided.

    Attributes
    ----------
    name : str
    statistic : float or None
        None for Fisher's exact test, which has none.
    df : tuple of int
        Degrees of freedom; two for an F statistic.
    p : float
    """

    name: str
    statistic: float | None
    df: tuple[int, ...]
    p: float


def compare_counts(table: Sequence[Sequence[int]]) -> Comparison | None:
    """Test whether groups share one distribution over categories.

    Pearson's chi-square without continuity correction; for two groups and two categories Fisher's
    exact test where an expected count is below 5. Categories and groups without anybody are left
    out; None where fewer than two of either remain.

    Parameters
    ----------
    table : sequence of shape (n_categories, n_groups)
        Counts.

    Examples
    --------
    >>> compare_counts([[10, 20], [20, 10]]).name
    'chi-square'
    >>> compare_counts([[1, 5], [9, 5]]).name
    "Fisher's exact"
    """
    counts = np.array(table)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return None
    found = stats.chi2_contingency(counts, correction=False)
    sparse = bool((found.expected_freq < LEAST_EXPECTED).any())
    if sparse and counts.shape == (2, 2):
        return Comparison("Fisher's exact", None, (), float(stats.fisher_exact(counts).pvalue))
    name = "chi-square, an expected count below 5" if sparse else "chi-square"
    return Comparison(name, float(found.statistic), (int(found.dof),), float(found.pvalue))


def compare_means(groups: Sequence[FloatArray]) -> Comparison | None:
    """Test whether groups share one mean, taking their variances as equal.

    Student's t-test for two groups, one-way analysis of variance for more. None where a group is
    too small or nothing varies within the groups.
    """
    if len(groups) < 2 or min(map(len, groups)) < 2 or not any(np.ptp(g) > 0 for g in groups):
        return None
    n = sum(map(len, groups))
    if len(groups) == 2:
        t = stats.ttest_ind(*groups)
        return Comparison("t", float(t.statistic), (n - 2,), float(t.pvalue))
    f = stats.f_oneway(*groups)
    return Comparison(
        "ANOVA", float(f.statistic), (len(groups) - 1, n - len(groups)), float(f.pvalue)
    )


def compare_ranks(groups: Sequence[FloatArray]) -> Comparison | None:
    """Test whether one group tends to larger numbers, by ranks (Kruskal-Wallis, tie-corrected).

    With two groups this is the Wilcoxon rank-sum test without continuity correction.
    """
    if len(groups) < 2 or not all(map(len, groups)) or np.ptp(np.concatenate(groups)) == 0:
        return None
    found = stats.kruskal(*groups)
    return Comparison(
        "Kruskal-Wallis", float(found.statistic), (len(groups) - 1,), float(found.pvalue)
    )


def mean_difference(a: FloatArray, b: FloatArray) -> float:
    """Return the standardised difference of two means, at least 0; NaN where it has no scale.

    |mean a - mean b| over the root of the mean of the two variances (Austin 2009,
    doi:10.1002/sim.3697). Unlike a P value it does not grow with the number of patients; 0.1 is
    often taken as the limit of balance.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    difference = abs(float(a.mean() - b.mean()))
    if difference == 0:
        return 0.0
    pooled = float(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    return difference / pooled if pooled > 0 else float("nan")


def count_difference(a: FloatArray, b: FloatArray) -> float:
    """Return the standardised difference of two distributions over categories, at least 0.

    The Mahalanobis distance between the shares of all categories but one, with the mean of the two
    multinomial covariances (Yang and Dalton, SAS Global Forum 2012, paper 335). NaN where the
    groups have no category in common, so that there is no scale.

    Parameters
    ----------
    a, b : ndarray of shape (n_categories,)
        Counts.
    """
    if a.sum() == 0 or b.sum() == 0:
        return float("nan")
    present = (a + b) > 0
    p, q = a[present] / a.sum(), b[present] / b.sum()
    difference = (p - q)[1:]
    if not difference.any():
        return 0.0
    covariance = sum((np.diag(s) - np.outer(s, s))[1:, 1:] for s in (p, q)) / 2
    if np.linalg.matrix_rank(covariance) < len(difference):
        return float("nan")
    return float(np.sqrt(difference @ np.linalg.solve(covariance, difference)))


def largest_difference(
    groups: Sequence[FloatArray], difference: Callable[[FloatArray, FloatArray], float]
) -> float:
    """Return the largest difference between any two groups, NaN if none can be told."""
    found = [difference(a, b) for a, b in combinations(groups, 2)]
    told = [d for d in found if not np.isnan(d)]
    return max(told) if told and len(told) == len(found) else float("nan")

"""Every test that a printed P value of a table of counts may have come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

__all__ = ["count_tests", "fisher_exact"]

Table = NDArray[np.int64]
Statistic = Literal["pearson", "log-likelihood"]
MOST_TABLES = 200_000
"""Beyond so many tables with the same margins Fisher's test is not enumerated."""


def count_tests(rows: Sequence[Sequence[int]]) -> dict[str, tuple[float, float]]:
    """Return chi-square (NaN for an exact test) and two-sided P of each test, by its name.

    Parameters
    ----------
    rows : sequence of sequences of int
        Counts by level (rows) and arm (columns). Empty rows and columns are dropped; without
        two of each nothing differs, and the one P value is 1.

    Examples
    --------
    >>> tests = count_tests([[30, 35], [12, 13]])
    >>> {name: round(p, 3) for name, (_, p) in tests.items()}
    {'Pearson': 0.875, 'Yates': 1.0, 'likelihood ratio': 0.875, 'trend': 0.876, 'Fisher': 1.0}
    """
    table = np.asarray(rows, dtype=np.int64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return {"nothing to compare": (0.0, 1.0)}
    found = {"Pearson": _chi2(table)}
    if table.shape == (2, 2):
        found["Yates"] = _chi2(table, correction=True)
    found["likelihood ratio"] = _chi2(table, lambda_="log-likelihood")
    if table.shape[1] == 2:
        found["trend"] = _trend(table)
        exact = fisher_exact(table)
        if exact is not None:
            found["Fisher"] = (math.nan, exact)
    return found


def fisher_exact(table: Table) -> float | None:
    """Return the P value of Fisher's test of a table with two columns, None if too large.

    The sum of the probabilities of all tables with the same margins that are not likelier than
    this one (Freeman and Halton, doi:10.1093/biomet/38.1-2.141).
    """
    rows, first = table.sum(axis=1), int(table[:, 0].sum())
    if math.prod(int(n) + 1 for n in rows[:-1]) > MOST_TABLES:
        return None
    grids = np.meshgrid(*(np.arange(n + 1) for n in rows[:-1]), indexing="ij")
    counts = np.stack([grid.ravel() for grid in grids], axis=1)
    last = first - counts.sum(axis=1)
    possible = (last >= 0) & (last <= rows[-1])
    counts = np.column_stack([counts, last])[possible]
    weights = np.exp(_log_choose(rows, counts).sum(axis=1) - _log_choose(rows.sum(), first))
    own = float(np.exp(_log_choose(rows, table[:, 0]).sum() - _log_choose(rows.sum(), first)))
    # As R does, so that tables equally likely on paper are so in floating point.
    return float(min(1.0, weights[weights <= own * (1 + 1e-7)].sum()))


def _log_choose(n: NDArray[np.int64] | np.int64, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    n, k = np.asarray(n), np.asarray(k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _chi2(
    table: Table,
    *,
    correction: bool = False,
    lambda_: Statistic = "pearson",
) -> tuple[float, float]:
    found = stats.chi2_contingency(table, correction=correction, lambda_=lambda_)
    return float(found.statistic), float(found.pvalue)


def _trend(table: Table) -> tuple[float, float]:
    """Linear-by-linear association, as SPSS prints it: (N - 1) r squared, one degree of freedom."""
    n = table.sum()
    x = np.arange(len(table), dtype=float)
    x -= (x * table.sum(axis=1)).sum() / n
    share = table[:, 1].sum() / n
    covariance = (x * table[:, 1]).sum()
    variance = (x**2 * table.sum(axis=1)).sum() * n * share * (1 - share)
    chi2 = float((n - 1) * covariance**2 / variance)
    return chi2, float(stats.chi2.sf(chi2, 1))

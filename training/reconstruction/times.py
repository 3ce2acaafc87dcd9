"""Moving event times until two medians and a log-rank chi-square are the printed ones.

A log-rank statistic depends on the order of the times alone, so small moves change it in small
steps; a move that would shift a median is refused outright, which leaves one number to anneal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.targets import Aim

__all__ = ["IntArray", "Table", "arm_table", "fit_times", "logrank_chi2", "median_of"]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Table = tuple[IntArray, IntArray]
"""Events and patients at risk at every tenth of a month, in one arm."""

GRID = 362
STEPS = 4000
COOLING = 0.25
"""Share of the distance still to go that a move may lose without being mostly refused."""


def arm_table(time: IntArray, event: BoolArray) -> Table:
    """Return events and patients at risk of one arm at every unit of time up to `GRID`."""
    at_risk = np.bincount(time, minlength=GRID)[::-1].cumsum()[::-1]
    return np.bincount(time[event], minlength=GRID), at_risk


def median_of(table: Table) -> int | None:
    """Return the Kaplan-Meier median, or None where it is not reached or not the same to all.

    Where a curve runs level at exactly one half, R returns the middle of the step and others its
    beginning: such a cohort is refused.
    """
    events, at_risk = table
    curve = np.cumprod(1 - events / np.maximum(at_risk, 1))
    first = int(np.argmax(curve < 0.5 + 1e-9))
    return first if curve[first] < 0.5 - 1e-9 else None


def logrank_chi2(treated: Table, control: Table) -> float:
    """Return the log-rank chi-square, negative where the treated arm fares worse."""
    d, n = treated[0] + control[0], treated[1] + control[1]
    when = np.flatnonzero(d)
    d, n, n1 = d[when], n[when], treated[1][when]
    expected = d * n1 / n
    variance = (expected * (1 - n1 / n) * (n - d) / np.maximum(n - 1, 1)).sum()
    excess = treated[0].sum() - expected.sum()
    return float(-np.sign(excess) * excess**2 / variance)


def fit_times(
    random: np.random.Generator,
    time: IntArray,
    event: BoolArray,
    arm: IntArray,
    limits: tuple[IntArray, IntArray],
    medians: tuple[int, ...],
    chi2: Aim,
) -> IntArray | None:
    """Return times with the wanted medians and chi-square, or None if none were found.

    Parameters
    ----------
    time, event, arm : ndarray of shape (n,)
        Where to begin; `arm` is 0 for the treated. The medians must hold already.
    limits : pair of ndarray of shape (n,)
        Earliest and latest time allowed to each patient; equal for one who must not move.
    medians : tuple of int
        By arm.
    chi2 : Aim
    """
    members = [arm == 0, arm == 1]
    tables = [arm_table(time[m], event[m]) for m in members]
    if any(median_of(t) != m for t, m in zip(tables, medians, strict=True)):
        return None
    low, high = limits
    movable = np.flatnonzero(low < high)
    time = time.copy()
    cost = chi2.misses_by(logrank_chi2(tables[0], tables[1]))
    for reach in np.geomspace(30, 2, STEPS):
        if cost <= 1:
            return time
        who = int(random.choice(movable))
        before = time[who]
        after = before + round(random.normal(0, reach))
        if not low[who] <= after <= high[who]:  # clipping would pile patients up on a limit
            continue
        time[who] = after
        side = arm[who]
        table = arm_table(time[members[side]], event[members[side]])
        pair = [table, tables[1]] if side == 0 else [tables[0], table]
        now = chi2.misses_by(logrank_chi2(pair[0], pair[1]))
        worse = (now - cost) / (COOLING * cost)
        if random.random() < np.exp(-max(worse, 0)) and median_of(table) == medians[side]:
            tables, cost = pair, now
        else:
            time[who] = before
    return None

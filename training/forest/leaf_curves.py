"""The curves of a tree's leaves, estimated after it has grown, and the times they are kept at.

scikit-survival keeps two curves of all event times in every node. A prediction needs one curve a
leaf, at the times that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Follow", "LeafCurves", "grid_times", "leaf_curves", "leaf_numbers", "n_leaves"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LeafCurves:
    """The curves of one tree's leaves.

    Attributes
    ----------
    survival : ndarray of shape (n_leaves, n_times), float32
        Kaplan-Meier's estimate in the leaf, at the grid times.
    mortality : ndarray of shape (n_leaves,), float32
        Sum over all event times of Nelson-Aalen's estimate: the expected number of events; higher
        is worse. Source: Ishwaran et al., Ann. Appl. Stat. 2 (2008) 841.
    """

    survival: NDArray[np.float32]
    mortality: NDArray[np.float32]


@dataclass(frozen=True)
class Follow:
    """What every tree's leaf curves need of the follow-up, worked out once.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Puts the rows in ascending time.
    time_index : ndarray of shape (n,)
        Of each row in that order: the number of distinct event times at or before its time, minus
        one; -1 before the first.
    event : ndarray of shape (n,)
        In that order.
    n_event_times : int
        Distinct event times in the whole training set.
    cell : ndarray of shape (n_event_times,)
        First grid time at or after each event time.
    n_times : int
        Length of the grid.
    """

    order: IntArray
    time_index: IntArray
    event: NDArray[np.bool_]
    n_event_times: int
    cell: IntArray
    n_times: int

    @classmethod
    def of(cls, time: FloatArray, event: NDArray[np.bool_], grid: FloatArray) -> Follow:
        """Work it out for rows in any order; the grid ends at the last event time."""
        event_times = np.unique(time[event])
        order = np.argsort(time, kind="stable")
        return cls(
            order,
            np.searchsorted(event_times, time[order], side="right") - 1,
            event[order],
            len(event_times),
            np.searchsorted(grid, event_times, side="left"),
            len(grid),
        )


def grid_times(
    event_times: FloatArray, max_times: int, horizons: tuple[float, ...]
) -> tuple[FloatArray, bool]:
    """Return the times a forest's curves are kept at, and whether event times were left out.

    All distinct event times if there are at most `max_times`. Otherwise the horizons, and event
    times of two kinds: quantiles, so that every step of the curve is met, and those nearest to
    regular times, so that the sparse end of the follow-up has no wide gaps.
    """
    distinct = np.unique(event_times)
    if len(distinct) <= max_times:
        return distinct, False
    inside = [h for h in horizons if distinct[0] < h <= distinct[-1]]
    room = max(max_times - len(inside), 2)
    ranks = np.linspace(0, len(distinct) - 1, room - room // 2).round().astype(int)
    regular = np.linspace(distinct[0], distinct[-1], room // 2)
    nearest = np.searchsorted(distinct, regular).clip(max=len(distinct) - 1)
    return np.unique(np.concatenate((distinct[ranks], distinct[nearest], inside))), True


def leaf_curves(
    leaf: NDArray[Any], n_leaves: int, count: NDArray[Any], follow: Follow
) -> LeafCurves:
    """Estimate the curves of one tree's leaves from its bootstrap sample.

    Parameters
    ----------
    leaf : ndarray of shape (n,)
        Leaf of each row, 0 to n_leaves - 1; rows in the order of `follow`.
    count : ndarray of shape (n,)
        How often each row was drawn, in the same order.
    follow : Follow

    Notes
    -----
    Work and memory grow with rows + leaves x grid times, not with leaves x event times.
    """
    drawn = np.flatnonzero(count)
    # numpy sorts 16-bit integers by counting, in one pass.
    narrow = leaf[drawn].astype(np.uint16 if n_leaves <= 2**16 else np.int64, copy=False)
    # Stable: rows stay sorted by time within a leaf.
    drawn = drawn[np.argsort(narrow, kind="stable")]
    leaf_of, weight = leaf[drawn].astype(np.int64), count[drawn].astype(np.int64)
    index = follow.time_index[drawn]
    died = weight * follow.event[drawn]

    # Rows before the first event time leave the risk set before anything happens.
    key = leaf_of * (follow.n_event_times + 1) + index + 1
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    deaths = np.add.reduceat(died, starts)
    left = np.concatenate(([0], np.cumsum(weight)))
    has_death = np.flatnonzero(deaths)
    deaths, starts = deaths[has_death], starts[has_death]
    entry_leaf, entry_index = leaf_of[starts], index[starts]
    leaf_ends = np.cumsum(np.bincount(leaf_of, weight, n_leaves))
    at_risk = leaf_ends[entry_leaf] - left[starts]

    hazard = deaths / at_risk
    # Products, and no logarithm: its last bits differ between processors.
    place = entry_leaf * follow.n_times + follow.cell[entry_index]
    steps = np.ones(n_leaves * follow.n_times)
    begins = np.flatnonzero(np.diff(place, prepend=-1))
    if len(begins):
        steps[place[begins]] = np.multiply.reduceat(1 - hazard, begins)
    survival = np.cumprod(steps.reshape(n_leaves, follow.n_times), axis=1).astype(np.float32)
    mortality = np.bincount(entry_leaf, hazard * (follow.n_event_times - entry_index), n_leaves)
    return LeafCurves(survival, mortality.astype(np.float32))


def leaf_numbers(tree: Any) -> IntArray:
    """Return each node's number among the tree's leaves; meaningless for inner nodes."""
    return np.cumsum(tree.children_left == -1).astype(np.int64) - 1


def n_leaves(tree: Any) -> int:
    """Return the number of leaves."""
    return int((tree.children_left == -1).sum())

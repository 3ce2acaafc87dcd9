"""Random survival forests that fit in memory and in a file.

scikit-survival keeps two curves of all event times in every node. A prediction needs one curve a
leaf, at the times that are asked for: this keeps those, computed after the fit from each tree's own
bootstrap sample, and gives the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sksurv.ensemble import RandomSurvivalForest
from sksurv.tree import SurvivalTree
from sksurv.util import check_array_survival

__all__ = ["CompactForest", "LeafCurves", "grid_times", "leaf_curves"]

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
    leaf: IntArray,
    n_leaves: int,
    count: IntArray,
    time_index: IntArray,
    event: NDArray[np.bool_],
    n_event_times: int,
    grid_index: IntArray,
) -> LeafCurves:
    """Estimate the curves of one tree's leaves from its bootstrap sample.

    Parameters
    ----------
    leaf : ndarray of shape (n,)
        Leaf of each row, 0 to n_leaves - 1; rows sorted by time.
    count : ndarray of shape (n,)
        How often each row was drawn.
    time_index : ndarray of shape (n,)
        Number of distinct event times at or before the row's time, minus one; -1 before the first.
    event : ndarray of shape (n,)
    n_event_times : int
        Distinct event times in the whole training set.
    grid_index : ndarray of shape (n_times,)
        The same number for each grid time.

    Notes
    -----
    Work and memory grow with rows + leaves x grid times, not with leaves x event times.
    """
    drawn = count > 0
    order = np.argsort(leaf[drawn], kind="stable")  # rows stay sorted by time within a leaf
    leaf_of, weight, index = (a[drawn][order] for a in (leaf, count, time_index))
    died = weight * event[drawn][order]

    # Rows before the first event time leave the risk set before anything happens.
    key = leaf_of * (n_event_times + 1) + index + 1
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    leaving = np.add.reduceat(weight, starts)
    deaths = np.add.reduceat(died, starts)
    entry_leaf, entry_index = leaf_of[starts], index[starts]
    ends = np.cumsum(np.bincount(leaf_of, weight, n_leaves))
    at_risk = ends[entry_leaf] - (np.cumsum(leaving) - leaving)

    has_death = deaths > 0
    deaths, at_risk = deaths[has_death], at_risk[has_death]
    entry_leaf, entry_index = entry_leaf[has_death], entry_index[has_death]
    hazard = deaths / at_risk
    # When all at risk die the curve is 0 from there on; that can only be the leaf's last entry, so
    # its logarithm is left out of the running sum and put in at the end.
    ends_all = deaths == at_risk
    log_step = np.log1p(-np.where(ends_all, 0.0, hazard))
    running = np.concatenate(([0.0], np.cumsum(log_step)))
    entry_key = entry_leaf * n_event_times + entry_index
    leaves = np.arange(n_leaves)
    begin = np.searchsorted(entry_leaf, leaves)
    upto = np.searchsorted(entry_key, leaves[:, None] * n_event_times + grid_index, side="right")
    survival = np.exp(running[upto] - running[begin][:, None])
    dead = np.concatenate(([False], ends_all))[upto] & (upto > begin[:, None])
    survival[dead] = 0.0
    mortality = np.bincount(entry_leaf, hazard * (n_event_times - entry_index), n_leaves)
    return LeafCurves(survival.astype(np.float32), mortality.astype(np.float32))


class CompactForest(BaseEstimator):  # type: ignore[misc]
    """A random survival forest with log-rank splits and one curve a leaf.

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    min_samples_leaf : int
        Least rows in a leaf.
    max_times : int
        Most times the curves are kept at; the default is `ntime` of randomForestSRC.
    horizons : tuple of float
        Times that a thinned grid must contain.
    n_jobs : int
        Threads.
    random_state : int
        Seed.

    Attributes
    ----------
    trees_ : list of sklearn tree
        Splits and thresholds.
    times_ : ndarray of shape (n_times,)
        Grid of the curves.
    thinned_ : bool
        Whether event times were left out of the grid.
    table_ : ndarray of shape (n_leaves, n_times + 1), float32
        Curves of all leaves, tree after tree, each with its mortality as the last column.
    offsets_ : ndarray of shape (n_estimators,)
        Where each tree's leaves begin.
    out_of_bag_ : ndarray of shape (n_estimators, n_patients), bool
        Whether a tree never drew the row (nor, where `groups` were given, any row of its patient).
    """

    def __init__(
        self,
        *,
        n_estimators: int = 500,
        min_samples_leaf: int = 15,
        max_times: int = 150,
        horizons: tuple[float, ...] = (),
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_times = max_times
        self.horizons = horizons
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: FloatArray, y: NDArray[Any], groups: NDArray[np.int64] | None = None) -> Self:
        """Grow the trees, then estimate the curves of their leaves.

        Parameters
        ----------
        X : ndarray of shape (n_patients, n_features)
        y : structured array with an event and a time field
        groups : ndarray of shape (n_patients,), optional
            The patient of each row: the bootstrap then draws patients, with all their rows.
        """
        X32 = np.asarray(X, dtype=np.float32)
        event, time = check_array_survival(X, y)
        self.n_features_in_ = X32.shape[1]
        if groups is None:
            self.trees_, counts = self._grow(X32, y)
        else:
            self.trees_, counts = self._grow_clustered(X32, y, groups)

        event_times = np.unique(time[event])
        self.n_event_times_ = len(event_times)
        self.times_, self.thinned_ = grid_times(event_times, self.max_times, self.horizons)
        order = np.argsort(time, kind="stable")
        shared = (
            np.searchsorted(event_times, time[order], side="right") - 1,
            event[order],
            len(event_times),
            np.searchsorted(event_times, self.times_, side="right") - 1,
        )

        sizes = [n_leaves(tree) for tree in self.trees_]
        self.offsets_ = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        self.table_ = np.empty((sum(sizes), len(self.times_) + 1), dtype=np.float32)

        def fill(tree: Any, count: IntArray, offset: int, size: int) -> None:
            leaf = leaf_numbers(tree)[tree.apply(X32)]
            found = leaf_curves(leaf[order], size, count[order], *shared)
            self.table_[offset : offset + size, :-1] = found.survival
            self.table_[offset : offset + size, -1] = found.mortality

        # Threads: each writes its own rows of the one table, which is most of the memory.
        Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(fill)(*of_tree)
            for of_tree in zip(self.trees_, counts, self.offsets_, sizes, strict=True)
        )
        self.out_of_bag_ = np.array([count == 0 for count in counts])
        return self

    def predict_out_of_bag(
        self, X: FloatArray, permuted: list[int] | None = None, seed: int = 0
    ) -> FloatArray:
        """Return each training row's risk score by the trees that never drew it.

        Parameters
        ----------
        X : ndarray of shape (n_patients, n_features)
            The training rows, in the order of the fit.
        permuted : list of int, optional
            Columns to shuffle together, anew for each tree: what the forest scores without them.
        seed : int
            Of the shuffling.

        Returns
        -------
        ndarray of shape (n_patients,)
            NaN where every tree drew the row.
        """
        X32 = np.array(X, dtype=np.float32)
        random = np.random.default_rng(seed)
        total, n_out = np.zeros(len(X32)), np.zeros(len(X32))
        for tree, offset, out in zip(self.trees_, self.offsets_, self.out_of_bag_, strict=True):
            rows = X32[out]
            if permuted is not None:
                shuffled = random.permutation(len(rows))
                rows[:, permuted] = rows[shuffled][:, permuted]
            leaf = leaf_numbers(tree)[tree.apply(rows)] + offset
            total[out] += self.mortality_[leaf]
            n_out += out
        score = np.full(len(X32), np.nan)
        np.divide(total, n_out, out=score, where=n_out > 0)
        return score

    @property
    def survival_(self) -> NDArray[np.float32]:
        """Curves of all leaves, of shape (n_leaves, n_times)."""
        return self.table_[:, :-1]

    @property
    def mortality_(self) -> NDArray[np.float32]:
        """Expected events of all leaves, of shape (n_leaves,)."""
        return self.table_[:, -1]

    def leaves(self, X: FloatArray) -> IntArray:
        """Return the row of `table_` each tree gives each patient, (n_patients, n_trees)."""
        X32 = np.asarray(X, dtype=np.float32)
        columns = [
            leaf_numbers(tree)[tree.apply(X32)] + offset
            for tree, offset in zip(self.trees_, self.offsets_, strict=True)
        ]
        return np.column_stack(columns)

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the risk score (expected number of events); higher is worse."""
        mean: FloatArray = self.mortality_[self.leaves(X)].mean(axis=1, dtype=np.float64)
        return mean

    def predict_curves(self, X: FloatArray) -> FloatArray:
        """Return survival at `times_`, of shape (n_patients, n_times)."""
        total = np.zeros((len(X), len(self.times_)))
        for leaf in self.leaves(X).T:
            total += self.survival_[leaf]
        return total / self.n_estimators

    def _grow(self, X32: NDArray[np.float32], y: NDArray[Any]) -> tuple[list[Any], list[IntArray]]:
        forest = RandomSurvivalForest(
            n_estimators=self.n_estimators,
            min_samples_split=2 * self.min_samples_leaf,
            min_samples_leaf=self.min_samples_leaf,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            low_memory=True,
        ).fit(X32, y)
        counts = [np.bincount(rows, minlength=len(X32)) for rows in forest.estimators_samples_]
        return [tree.tree_ for tree in forest.estimators_], counts

    def _grow_clustered(
        self, X32: NDArray[np.float32], y: NDArray[Any], groups: NDArray[np.int64]
    ) -> tuple[list[Any], list[IntArray]]:
        patients, patient = np.unique(groups, return_inverse=True)
        random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=(self.n_estimators, 2))

        def one(draw_seed: int, tree_seed: int) -> tuple[Any, IntArray]:
            drawn = np.random.RandomState(draw_seed).randint(0, len(patients), len(patients))
            count = np.bincount(drawn, minlength=len(patients))[patient]
            tree = SurvivalTree(
                min_samples_split=2 * self.min_samples_leaf,
                min_samples_leaf=self.min_samples_leaf,
                max_features="sqrt",
                random_state=int(tree_seed),
                low_memory=True,
            ).fit(X32, y, sample_weight=count)
            return tree.tree_, count

        grown = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(one)(draw, tree) for draw, tree in seeds
        )
        return [tree for tree, _ in grown], [count for _, count in grown]


def leaf_numbers(tree: Any) -> IntArray:
    """Return each node's number among the tree's leaves; meaningless for inner nodes."""
    return np.cumsum(tree.children_left == -1).astype(np.int64) - 1


def n_leaves(tree: Any) -> int:
    """Return the number of leaves."""
    return int((tree.children_left == -1).sum())

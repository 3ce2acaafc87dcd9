"""The forest as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from sksurv.base import SurvivalAnalysisMixin
from sksurv.functions import StepFunction
from sksurv.util import check_array_survival

from training.forest.growing import SPLITTINGS, Counts, Draws, grow, logrank_bootstrap
from training.forest.leaf_curves import Follow, grid_times, leaf_curves, leaf_numbers, n_leaves
from training.forest.little_bags import BAG, LEAST_TREES, band, debiased
from training.forest.out_of_bag import curves_out_of_bag, scores_out_of_bag

__all__ = ["CompactForest"]

FloatArray = NDArray[np.float64]


class CompactForest(SurvivalAnalysisMixin, BaseEstimator):  # type: ignore[misc]
    """A random survival forest with one curve a leaf.

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    splitting : str
        "relative_risk": by the likelihood of LeBlanc & Crowley (Biometrics 48 (1992) 411);
        "logrank": by the log-rank statistic, as scikit-survival, many times slower. On two real
        cohorts both predicted equally well.
    min_samples_leaf : int
        Least rows in a leaf.
    max_features : str, int, float or None
        Columns tried at each split: "sqrt", "log2", a number, a part of them, or None for all.
    stability : bool
        Whether to draw by little bags, so that `predict_band` can say how far the forest's answer
        depends on which patients were there: every ten trees grow on the same half of the
        patients. Otherwise each tree draws from all patients, as in scikit-survival.
    max_times : int
        Most times the curves are kept at; the default is `ntime` of randomForestSRC.
    horizons : tuple of float
        Times that a thinned grid must contain.
    n_jobs : int
        Threads.
    random_state : int, RandomState or None
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
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where `X` was a table with names.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 500,
        splitting: str = "relative_risk",
        min_samples_leaf: int = 15,
        max_features: str | int | float | None = "sqrt",
        stability: bool = False,
        max_times: int = 150,
        horizons: tuple[float, ...] = (),
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.splitting = splitting
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.stability = stability
        self.max_times = max_times
        self.horizons = horizons
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: FloatArray, y: NDArray[Any], groups: NDArray[Any] | None = None) -> Self:
        """Grow the trees, then estimate the curves of their leaves.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            No value may be missing.
        y : structured array with an event and a time field
        groups : ndarray of shape (n,), optional
            The patient of each row: patients are then drawn with all their rows.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; scikit-learn's word for bad input.
        """
        self._check_parameters()
        X32 = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        columns = self.max_features
        if isinstance(columns, int) and not 1 <= columns <= X32.shape[1]:
            rule = f"must be 1 to {X32.shape[1]}, the columns of X"
            raise ValueError(f"max_features {rule}, got {columns}")
        event, time = check_array_survival(X32, y)
        self.trees_, counts = self._grow(X32, event, time.astype(np.float64), groups)
        self._fill(X32, event, time, counts)
        # One bit for each tree and row: a million rows would take a hundred megabytes as bytes.
        self.n_rows_ = len(X32)
        self.unseen_ = np.array([np.packbits(count == 0) for count in counts])
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the risk score (expected number of events), of shape (n,); higher is worse."""
        X32 = self._checked(X)
        total = np.zeros(len(X32))
        for leaf in self._leaf_of_each_tree(X32):
            total += self.mortality_[leaf]
        score: FloatArray = total / len(self.trees_)
        return score

    def predict_curves(self, X: FloatArray) -> FloatArray:
        """Return survival at `times_`, of shape (n, n_times)."""
        X32 = self._checked(X)
        total = np.zeros((len(X32), len(self.times_)))
        for leaf in self._leaf_of_each_tree(X32):
            total += self.survival_[leaf]
        return total / len(self.trees_)

    def predict_survival_function(self, X: FloatArray, return_array: bool = False) -> Any:
        """Return survival as scikit-survival's models do: step functions, or an array."""
        curves = self.predict_curves(X)
        if return_array:
            return curves
        functions = [StepFunction(self.times_, s, domain=(0, self.last_time_)) for s in curves]
        return np.array(functions, dtype=object)

    def predict_variance(self, X: FloatArray) -> FloatArray:
        """Return the variance of survival over cohorts, of shape (n, n_times).

        Raises
        ------
        ValueError
            If the forest was not drawn by little bags.
        """
        X32 = self._checked(X)
        if not self.stability:
            raise ValueError("stability must be True for a band, got False; fit the forest with it")
        shape = (len(X32), len(self.times_))
        mean = self.predict_curves(X)
        between, within, bag, squares = (np.zeros(shape) for _ in range(4))
        for k, leaf in enumerate(self._leaf_of_each_tree(X32), start=1):
            curves = self.survival_[leaf] - mean
            bag += curves
            squares += curves**2
            if k % BAG == 0:
                between += (bag / BAG) ** 2
                within += squares - bag**2 / BAG
                bag[:] = squares[:] = 0.0
        n_bags = len(self.trees_) // BAG
        return debiased(between / n_bags, within / len(self.trees_), n_bags, BAG)

    def predict_band(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the bounds of the forest's stability at `times_`, each of shape (n, n_times).

        In 95 of 100 cohorts like this one they hold what such forests say on average. Whether they
        hold the true survival depends on the forest's bias, of which they know nothing.
        """
        return band(self.predict_curves(X), self.predict_variance(X))

    def predict_out_of_bag(
        self, X: FloatArray, permuted: list[int] | None = None, seed: int = 0
    ) -> FloatArray:
        """Return each training row's risk score by the trees that never drew it.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            The training rows, in the order of the fit.
        permuted : list of int, optional
            Columns to shuffle together, anew for each tree: what the forest scores without them.
        seed : int
            Of the shuffling.

        Returns
        -------
        ndarray of shape (n,)
            NaN where every tree drew the row, or another row of its patient.
        """
        return scores_out_of_bag(self, X, permuted, seed)

    def predict_curves_out_of_bag(self, X: FloatArray) -> FloatArray:
        """Return each training row's survival at `times_` by the trees that never drew it."""
        return curves_out_of_bag(self, X)

    @property
    def survival_(self) -> NDArray[np.float32]:
        """Curves of all leaves, of shape (n_leaves, n_times)."""
        return self.table_[:, :-1]

    @property
    def mortality_(self) -> NDArray[np.float32]:
        """Expected events of all leaves, of shape (n_leaves,)."""
        return self.table_[:, -1]

    @property
    def out_of_bag_(self) -> NDArray[np.bool_]:
        """Whether each tree never drew each row, of shape (n_estimators, n)."""
        return np.unpackbits(self.unseen_, axis=1, count=self.n_rows_).astype(bool)

    def _checked(self, X: FloatArray) -> NDArray[np.float32]:
        check_is_fitted(self, "table_")
        checked: NDArray[np.float32] = validate_data(self, X, dtype=np.float32, reset=False)
        return checked

    def _leaf_of_each_tree(self, X32: NDArray[np.float32]) -> Any:
        """Yield the row of `table_` each tree gives each patient, of shape (n,)."""
        for tree, offset in zip(self.trees_, self.offsets_, strict=True):
            yield leaf_numbers(tree)[tree.apply(X32)] + offset

    def _check_parameters(self) -> None:
        if self.splitting not in SPLITTINGS:
            known = " or ".join(SPLITTINGS)
            raise ValueError(f"splitting must be {known}, got {self.splitting!r}")
        for name in ("n_estimators", "min_samples_leaf", "max_times"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.stability and (self.n_estimators < LEAST_TREES or self.n_estimators % BAG):
            raise ValueError(
                f"n_estimators must be a multiple of {BAG}, and at least {LEAST_TREES}, for a "
                f"stability band, got {self.n_estimators}"
            )

    def _grow(
        self, X32: NDArray[np.float32], event: NDArray[np.bool_], time: FloatArray, groups: Any
    ) -> tuple[list[Any], list[Counts]]:
        y = np.empty(len(time), dtype=[("event", bool), ("time", float)])
        y["event"], y["time"] = event, time
        tree = {"min_samples_leaf": self.min_samples_leaf, "max_features": self.max_features}
        if self.splitting == "logrank" and groups is None and not self.stability:
            return logrank_bootstrap(
                X32, y, self.n_estimators, self.n_jobs, self.random_state, **tree
            )
        n_bags = self.n_estimators // BAG if self.stability else None
        draws = Draws.of(len(X32), groups, self.n_estimators, n_bags, self.random_state)
        return grow(X32, y, draws, self.splitting, self.n_jobs, **tree)

    def _fill(
        self,
        X32: NDArray[np.float32],
        event: NDArray[np.bool_],
        time: FloatArray,
        counts: list[Counts],
    ) -> None:
        """Estimate the curves of all trees' leaves."""
        event_times = np.unique(time[event])
        self.n_event_times_ = len(event_times)
        self.last_time_ = float(time.max())
        self.times_, self.thinned_ = grid_times(event_times, self.max_times, self.horizons)
        follow = Follow.of(time, event, self.times_)
        in_order = X32[follow.order]
        sizes = [n_leaves(tree) for tree in self.trees_]
        self.offsets_ = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        self.table_ = np.empty((sum(sizes), len(self.times_) + 1), dtype=np.float32)

        def fill(tree: Any, count: Counts, offset: int, size: int) -> None:
            leaf = leaf_numbers(tree)[tree.apply(in_order)]
            found = leaf_curves(leaf, size, count[follow.order], follow)
            self.table_[offset : offset + size, :-1] = found.survival
            self.table_[offset : offset + size, -1] = found.mortality

        # Threads: each writes its own rows of the one table, which is most of the memory.
        Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(fill)(*of_tree)
            for of_tree in zip(self.trees_, counts, self.offsets_, sizes, strict=True)
        )

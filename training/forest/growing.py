"""Drawing patients and growing trees.

Two ways to choose a split. `logrank`: the largest log-rank statistic, scikit-survival's tree.
`relative_risk`: the likelihood of a full proportional-hazards model with the whole cohort's
cumulative hazard as its baseline, which is a Poisson regression tree with events as response and
expected events as exposure (LeBlanc & Crowley, Biometrics 48 (1992) 411); it is many times faster,
and never makes a leaf without an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state
from sksurv.ensemble import RandomSurvivalForest
from sksurv.tree import SurvivalTree

__all__ = ["SPLITTINGS", "Draws", "Splitting", "expected_events", "grow", "logrank_bootstrap"]

FloatArray = NDArray[np.float64]
Counts = NDArray[np.unsignedinteger[Any]]

Splitting = Literal["logrank", "relative_risk"]
SPLITTINGS: tuple[Splitting, ...] = get_args(Splitting)


@dataclass(frozen=True)
class Draws:
    """Which patients each tree draws.

    Attributes
    ----------
    seeds : ndarray of shape (n_trees, 2)
        A tree's seeds: of its draw, of its splits.
    halves : ndarray of shape (n_bags,) or None
        Seed of each little bag's half-sample; None where each tree draws from everybody.
    patient : ndarray of shape (n,) or None
        Number of each row's patient, from 0; None where each row is a patient.
    n_patients : int
    """

    seeds: NDArray[np.int64]
    halves: NDArray[np.int64] | None
    patient: NDArray[np.int64] | None
    n_patients: int

    @classmethod
    def of(
        cls, n: int, groups: NDArray[Any] | None, n_trees: int, n_bags: int | None, seed: Any
    ) -> Draws:
        """Seed the draws of a forest of `n` rows."""
        random = check_random_state(seed)
        largest = np.iinfo(np.int32).max
        seeds = random.randint(largest, size=(n_trees, 2))
        halves = None if n_bags is None else random.randint(largest, size=n_bags)
        if groups is None:
            return cls(seeds, halves, None, n)
        patients, patient = np.unique(groups, return_inverse=True)
        return cls(seeds, halves, patient, len(patients))

    def count(self, tree: int) -> Counts:
        """Return how often a tree draws each row: all rows of a patient alike.

        With bags each half-sample is drawn as it is, as grf does by default: its trees differ by
        the columns tried at each split.
        """
        if self.halves is None:
            random = np.random.RandomState(self.seeds[tree, 0])
            drawn = random.randint(0, self.n_patients, self.n_patients)
        else:
            bag = tree * len(self.halves) // len(self.seeds)
            everybody = np.random.RandomState(self.halves[bag]).permutation(self.n_patients)
            drawn = everybody[: self.n_patients // 2]
        count = narrow(np.bincount(drawn, minlength=self.n_patients))
        return count if self.patient is None else count[self.patient]


def narrow(count: NDArray[np.int64]) -> Counts:
    """Return counts in the least room: one for each tree is kept, whatever the cohort's size."""
    return count.astype(np.min_scalar_type(count.max(initial=0)))


def expected_events(time: FloatArray, event: NDArray[np.bool_]) -> FloatArray:
    """Return the Nelson-Aalen cumulative hazard of the whole cohort at each row's own time.

    What was expected of a row under the common hazard, the events at its own time included; 0 for
    who left before the first event.
    """
    distinct, place = np.unique(time, return_inverse=True)
    deaths = np.bincount(place, event, len(distinct))
    leaving = np.bincount(place, minlength=len(distinct))
    at_risk = len(time) - np.cumsum(leaving) + leaving
    hazard: FloatArray = np.cumsum(deaths / at_risk)[place]
    return hazard


def grow(
    X32: NDArray[np.float32],
    y: NDArray[Any],
    draws: Draws,
    splitting: str,
    n_jobs: int | None,
    **tree: Any,
) -> tuple[list[Any], list[Counts]]:
    """Return the trees, and how often each drew each row.

    Parameters
    ----------
    X32 : ndarray of shape (n, n_features)
    y : structured array
        Fields `event` and `time`.
    draws : Draws
    splitting : str
        One of `SPLITTINGS`.
    n_jobs : int, optional
    **tree : dict
        `min_samples_leaf` and `max_features` of the trees.
    """
    one = (_relative_risk if splitting == "relative_risk" else _logrank)(X32, y, tree)

    def of(k: int) -> tuple[Any, Counts]:
        count = draws.count(k)
        return one(count, int(draws.seeds[k, 1])), count

    grown = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(of)(k) for k in range(len(draws.seeds))
    )
    return [tree for tree, _ in grown], [count for _, count in grown]


def logrank_bootstrap(
    X32: NDArray[np.float32],
    y: NDArray[Any],
    n_trees: int,
    n_jobs: int | None,
    seed: Any,
    **tree: Any,
) -> tuple[list[Any], list[Counts]]:
    """Return what `grow` does, with scikit-survival's own forest: the same seed, the same trees."""
    forest = RandomSurvivalForest(
        n_estimators=n_trees,
        min_samples_split=2 * tree["min_samples_leaf"],
        n_jobs=n_jobs,
        random_state=seed,
        low_memory=True,
        **tree,
    ).fit(X32, y)
    counts = [narrow(np.bincount(r, minlength=len(X32))) for r in forest.estimators_samples_]
    return [tree.tree_ for tree in forest.estimators_], counts


Grower = Callable[[Counts, int], Any]


def _logrank(X32: NDArray[np.float32], y: NDArray[Any], tree: dict[str, Any]) -> Grower:
    def one(count: Counts, seed: int) -> Any:
        fitted = SurvivalTree(
            min_samples_split=2 * tree["min_samples_leaf"],
            random_state=seed,
            low_memory=True,
            **tree,
        ).fit(X32, y, sample_weight=count)
        return fitted.tree_

    return one


def _relative_risk(X32: NDArray[np.float32], y: NDArray[Any], tree: dict[str, Any]) -> Grower:
    event, time = y["event"], y["time"]
    expected = expected_events(time, event)
    # Response x weight is the events, weight the expected events: the mean of a node is its
    # relative risk. Who left before anything happened has no weight, and no part in a split.
    response = np.divide(event, expected, out=np.zeros(len(time)), where=expected > 0)

    def one(count: Counts, seed: int) -> Any:
        # What it would check of its input was checked once for the forest.
        fitted = DecisionTreeRegressor(
            criterion="poisson",
            min_samples_split=2 * tree["min_samples_leaf"],
            random_state=seed,
            **tree,
        ).fit(X32, response, sample_weight=expected * count, check_input=False)
        return fitted.tree_

    return one

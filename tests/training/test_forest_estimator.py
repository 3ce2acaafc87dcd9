"""The forest keeps scikit-learn's contract, and splits by relative risk as the paper defines it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from sksurv.nonparametric import nelson_aalen_estimator
from sksurv.util import Surv

from tests.benchmarks.forest_stability import sample
from training.forest import BAG, LEAST_TREES, CompactForest
from training.forest.growing import Draws, expected_events


class OnNumbers(CompactForest):
    """The forest on scikit-learn's own test data: a number becomes a time, every one an event."""

    def __init__(
        self,
        n_estimators: int = 5,
        min_samples_leaf: int = 2,
        splitting: str = "relative_risk",
        random_state: Any = 0,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators,
            min_samples_leaf=min_samples_leaf,
            splitting=splitting,
            random_state=random_state,
        )

    def fit(self, X: Any, y: Any, groups: Any = None) -> OnNumbers:
        """Fit to times that have the order of the numbers."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        return super().fit(X, self.survival(y))

    def score(self, X: Any, y: Any) -> float:
        """Return the concordance with the numbers as times."""
        return float(super().score(X, self.survival(y)))

    def survival(self, y: Any) -> Any:
        """Return numbers as times that have their order; of a complex one the real part."""
        time = stats.rankdata(np.real(y).astype(float).ravel())
        return Surv.from_arrays(np.ones(len(time), bool), time)


@pytest.mark.parametrize("splitting", ["relative_risk", "logrank"])
def test_scikit_learns_own_checks_pass(splitting: str) -> None:
    """Every one of them, once its numbers are made times: no check is excepted."""
    found = check_estimator(OnNumbers(splitting=splitting), on_skip=None, on_fail=None)
    failed = [f"{r['check_name']}: {r['exception']!r}" for r in found if r["status"] == "failed"]
    assert not failed
    passed = [r["check_name"] for r in found if r["status"] == "passed"]
    assert {"check_fit_idempotent", "check_n_features_in", "check_estimators_pickle"} <= {*passed}
    assert len(passed) > 30


def test_its_parameters_survive_a_clone() -> None:
    """And every one is a constructor's argument."""
    forest = CompactForest(splitting="logrank", max_features=2, horizons=(6.0,), stability=True)
    assert clone(forest).get_params() == forest.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"splitting": "gini"}, "splitting must be logrank or relative_risk, got 'gini'"),
        ({"n_estimators": 0}, "n_estimators must be at least 1, got 0"),
        ({"min_samples_leaf": 0}, "min_samples_leaf must be at least 1, got 0"),
        ({"max_features": 5}, "max_features must be 1 to 4, the columns of X, got 5"),
        ({"stability": True}, "a multiple of 10, and at least 2000, for a stability band, got 500"),
        ({"stability": True, "n_estimators": 2005}, "a multiple of 10"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    parameters: dict[str, Any], message: str
) -> None:
    """When it is fitted, as scikit-learn wants it."""
    with pytest.raises(ValueError, match=message):
        CompactForest(**parameters).fit(*sample(0, 50))


def test_a_missing_value_is_refused() -> None:
    """Nothing is guessed for it."""
    X, y = sample(0, 50)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        CompactForest(n_estimators=2).fit(X, y)


def test_expected_events_are_the_cumulative_hazard_at_each_own_time() -> None:
    """scikit-survival's Nelson-Aalen, with ties, the events at the time itself included."""
    _, y = sample(1, 200)
    time = np.ceil(y["time"])
    times, hazard = nelson_aalen_estimator(y["event"], time)
    wanted = hazard[np.searchsorted(times, time)]
    found = expected_events(time, y["event"])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)  # the same sums
    assert found.sum() == pytest.approx(y["event"].sum())  # martingale residuals sum to 0
    np.testing.assert_array_equal(
        expected_events(np.array([1.0, 2.0, 3.0]), np.array([False, True, True])), [0, 0.5, 1.5]
    )


def best_split(
    X: NDArray[Any], y: NDArray[Any], count: NDArray[Any], leaf: int
) -> tuple[int, float, float]:
    """Return column, threshold and gain of the best split, tried one by one from the definition.

    LeBlanc & Crowley (1992), full likelihood: a node with D events of which E were expected has
    deviance -D log(D / E), up to what no split changes.
    """
    expected = expected_events(y["time"], y["event"])

    def fit(rows: NDArray[np.bool_]) -> float:
        events, exposure = (count * y["event"])[rows].sum(), (count * expected)[rows].sum()
        return -np.inf if not events else events * np.log(events / exposure)

    found = []
    for j in range(X.shape[1]):
        values = np.unique(X[count > 0, j])
        for low, high in pairwise(values):
            left = X[:, j] <= (low + high) / 2
            sizes = [(count[side] > 0).sum() for side in (left, ~left)]
            if min(sizes) >= leaf:
                gain = fit(left) + fit(~left) - fit(np.ones(len(X), bool))
                found.append((gain, j, (low + high) / 2))
    gain, j, threshold = max(found)
    return j, threshold, gain


def test_splits_are_those_of_the_full_likelihood() -> None:
    """Each tree's first split is the best of all, tried one by one from the definition."""
    X, y = sample(2, 80)
    forest = CompactForest(n_estimators=12, min_samples_leaf=7, max_features=None).fit(X, y)
    draws = Draws.of(80, None, 12, None, 0)
    for k, tree in enumerate(forest.trees_):
        count = draws.count(k)
        column, threshold, _ = best_split(X, y, count, 7)
        assert tree.feature[0] == column
        assert tree.threshold[0] == pytest.approx(threshold)
        assert (forest.out_of_bag_[k] == (count == 0)).all()


def test_every_leaf_holds_an_event() -> None:
    """So trees are the shallower the fewer the events: a leaf says something of the hazard."""
    X, y = sample(3, 300)
    depth = {}
    for events in (300, 20):
        y["event"] = np.random.default_rng(0).permutation(300) < events
        for splitting in ("relative_risk", "logrank"):
            forest = CompactForest(n_estimators=20, splitting=splitting, min_samples_leaf=5)
            forest.fit(X, y)
            depth[splitting, events] = np.mean([tree.max_depth for tree in forest.trees_])
            if splitting == "relative_risk":
                assert (forest.mortality_ > 0).all()
    assert depth["relative_risk", 20] < depth["relative_risk", 300]
    assert depth["relative_risk", 20] < depth["logrank", 20]


def test_both_splittings_find_the_same_patients_at_risk() -> None:
    """On data with true effects their scores rank new patients alike."""
    X, y = sample(4, 400)
    new, _ = sample(5, 200)
    scores = [
        CompactForest(n_estimators=100, splitting=s).fit(X, y).predict(new)
        for s in ("relative_risk", "logrank")
    ]
    assert stats.spearmanr(*scores).statistic > 0.97


def test_step_functions_read_as_the_curves() -> None:
    """scikit-survival's way to ask gives the same numbers."""
    X, y = sample(6, 100)
    forest = CompactForest(n_estimators=10).fit(X, y)
    curves = forest.predict_curves(X[:3])
    np.testing.assert_array_equal(forest.predict_survival_function(X[:3], True), curves)
    for function, curve in zip(forest.predict_survival_function(X[:3]), curves, strict=True):
        np.testing.assert_array_equal(function(forest.times_), curve)
        assert function.domain[1] == y["time"].max()


def test_little_bags_share_half_of_the_patients() -> None:
    """Ten trees to a half; patients whole; the next bag has another half."""
    groups = np.repeat(np.arange(40), 3)
    draws = Draws.of(120, groups, LEAST_TREES, LEAST_TREES // BAG, 0)
    drawn = np.array([draws.count(k) for k in range(3 * BAG)])
    by_patient = drawn.reshape(3 * BAG, 40, 3)
    assert (by_patient == by_patient[:, :, :1]).all()
    assert (drawn.sum(axis=1) == 60).all()
    assert drawn.max() == 1
    bags = drawn.reshape(3, BAG, -1)
    assert (bags == bags[:, :1]).all()
    assert (bags[0, 0] != bags[1, 0]).any()

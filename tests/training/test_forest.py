"""The compact forest gives scikit-survival's answers, kept in a fraction of the room."""

from __future__ import annotations

import numpy as np
import pytest
from sksurv.ensemble import RandomSurvivalForest
from sksurv.util import Surv

from riskscore.study import load_study
from tests.conftest import simulate
from training.cohort import check_cohort
from training.encoding import StudyEncoder
from training.evaluate import concordance
from training.forest import CompactForest, Follow, grid_times, leaf_curves


def cohort(n: int, seed: int, decimals: int = 1):  # type: ignore[no-untyped-def]
    """Return design and outcome of simulated patients."""
    names = ("tumor_number", "vascular_invasion", "treatment", "age")
    checked = check_cohort(simulate(n, seed, decimals), load_study("deb-tace-hcc"), "os", names)
    Z = StudyEncoder(checked.predictors, forms=False).fit(checked.X).transform(checked.X)
    return Z, checked.y


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_curves_and_scores_are_scikit_survivals(decimals: int) -> None:
    """With many ties, some and none, at every event time."""
    Z, y = cohort(200, 11, decimals)
    ours = CompactForest(
        splitting="logrank",
        n_estimators=60,
        min_samples_leaf=4,
        max_times=10_000,
        n_jobs=1,
        random_state=7,
    ).fit(Z, y)
    theirs = RandomSurvivalForest(
        60, min_samples_leaf=4, min_samples_split=8, random_state=7, oob_score=True
    ).fit(Z, y)
    new = np.vstack([Z, np.column_stack([Z[:, :3], Z[:, 3] + 0.5])])
    curves = theirs.predict_survival_function(new, return_array=True)[:, theirs.is_event_time_]
    # Leaf curves are stored as float32: 6e-8 each, less in the mean.
    np.testing.assert_allclose(ours.predict_curves(new), curves, atol=1e-7)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new), rtol=1e-6)  # float32
    assert not ours.thinned_
    oob = ours.predict_out_of_bag(Z)
    np.testing.assert_allclose(oob, theirs.oob_prediction_, rtol=1e-6)  # float32


def test_a_leaf_worked_by_hand() -> None:
    """Two leaves, a row drawn twice, a row not drawn, a leaf that dies out.

    Event times 1, 2, 4. Leaf 0: deaths at 1 (drawn twice) and 4, censored at 3. Leaf 1: deaths at
    2 and 4, and a death at 1 that was not drawn.
    """
    time = np.array([1.0, 1.0, 2.0, 3.0, 4.0, 4.0])
    event = np.array([True, True, True, False, True, True])
    leaf = np.array([0, 1, 1, 0, 0, 1])
    count = np.array([2, 0, 1, 1, 1, 1])
    found = leaf_curves(leaf, 2, count, Follow.of(time, event, np.array([1.0, 2.0, 4.0])))
    np.testing.assert_allclose(
        found.survival, [[1 / 2, 1 / 2, 0], [1, 1 / 2, 0]], atol=1e-7
    )  # float32
    # Nelson-Aalen summed over the three times: 3 x 2/4 + 1 x 1/1, and 2 x 1/2 + 1 x 1/1.
    np.testing.assert_allclose(found.mortality, [2.5, 2.0], rtol=1e-7)  # float32


def test_a_leaf_without_events_keeps_everybody_alive() -> None:
    """Its curve is 1, also when all left before the first event time."""
    follow = Follow.of(np.array([1.0, 2.0]), np.array([False, True]), np.array([2.0]))
    found = leaf_curves(np.array([0, 1]), 2, np.array([1, 1]), follow)
    np.testing.assert_array_equal(found.survival, [[1], [0]])
    np.testing.assert_array_equal(found.mortality, [0, 1])


def test_a_thinned_grid_contains_the_horizons_and_reads_the_same_curve() -> None:
    """At the times that are kept nothing changes."""
    Z, y = cohort(400, 5, 6)
    common = {"n_estimators": 20, "n_jobs": 1, "random_state": 1}
    full = CompactForest(max_times=10_000, **common).fit(Z, y)
    thin = CompactForest(max_times=50, horizons=(6.0, 12.0, 18.0, 24.0), **common).fit(Z, y)
    assert thin.thinned_
    assert len(thin.times_) <= 50
    assert {6.0, 12.0, 18.0, 24.0} <= set(thin.times_.tolist())
    at = np.searchsorted(full.times_, thin.times_, side="right") - 1
    # Leaf curves are stored as float32; the thinned sums were added in another order.
    np.testing.assert_allclose(thin.predict_curves(Z), full.predict_curves(Z)[:, at], atol=1e-7)
    np.testing.assert_array_equal(thin.predict(Z), full.predict(Z))


def test_a_thinned_grid_has_no_wide_gaps() -> None:
    """Few events at the end of a long follow-up do not leave years without a grid time."""
    rng = np.random.default_rng(0)
    events = np.sort(rng.exponential(20, 3000))
    times, _ = grid_times(events, 150, (6.0, 12.0))
    assert len(times) <= 150
    wide = np.diff(times) > 0.03 * events[-1]
    # A gap is only as wide as the events leave it.
    for a, b in zip(times[:-1][wide], times[1:][wide], strict=True):
        assert ((events > a) & (events < b)).sum() <= 2


def test_a_grid_has_room_for_its_horizons() -> None:
    """More horizons than times asked for are kept all the same."""
    horizons = tuple(float(h) for h in range(2, 14))
    times, _ = grid_times(np.arange(1.0, 100.0), 10, horizons)
    assert set(horizons) <= set(times.tolist())


def test_a_grid_ends_at_the_last_event() -> None:
    """A horizon beyond the last event time adds nothing."""
    times, thinned = grid_times(np.arange(1.0, 100.0), 20, (6.5, 150.0))
    assert thinned
    assert times[0] == 1
    assert times[-1] == 99
    assert 6.5 in times
    assert 150.0 not in times


def test_the_number_of_threads_does_not_change_the_forest() -> None:
    """The same seed gives the same forest on any machine."""
    Z, y = cohort(120, 3)
    one, two = (CompactForest(n_estimators=20, n_jobs=n).fit(Z, y) for n in (1, 2))
    np.testing.assert_array_equal(one.survival_, two.survival_)


def test_patients_are_drawn_whole_where_rows_repeat() -> None:
    """A patient is out of bag with all rows or none, and noise is not learnt through siblings."""
    rng = np.random.default_rng(2)
    patients, visits = 150, 6
    Z = np.repeat(rng.normal(size=(patients, 3)), visits, axis=0)
    time = np.repeat(rng.exponential(10, patients), visits) + 0.01
    y = Surv.from_arrays(np.ones(len(time), bool), time)
    groups = np.repeat(np.arange(patients), visits)
    forest = CompactForest(n_estimators=100, n_jobs=1, min_samples_leaf=12).fit(Z, y, groups)
    by_patient = forest.out_of_bag_.reshape(100, patients, visits)
    assert (by_patient.all(axis=2) == by_patient.any(axis=2)).all()
    share = forest.out_of_bag_.mean()
    assert abs(share - np.exp(-1)) < 0.02  # (1 - 1/n)^n
    from sksurv.metrics import concordance_index_censored

    c = concordance_index_censored(y["event"], time, forest.predict_out_of_bag(Z))[0]
    assert abs(c - 0.5) < 0.08  # pure noise; standard error 0.03
    rows = CompactForest(n_estimators=100, n_jobs=1, min_samples_leaf=12).fit(Z, y)
    leaked = concordance_index_censored(y["event"], time, rows.predict_out_of_bag(Z))[0]
    assert leaked > 0.8  # what drawing rows would have claimed


def test_a_row_that_every_tree_drew_has_no_out_of_bag_score() -> None:
    """It is NaN, and the concordance leaves it out."""
    Z, y = cohort(60, 1)
    forest = CompactForest(n_estimators=1, n_jobs=1).fit(Z, y)
    score = forest.predict_out_of_bag(Z)
    assert (np.isnan(score) == ~forest.out_of_bag_[0]).all()
    checked = check_cohort(
        simulate(60, 1), load_study("deb-tace-hcc"), "os",
        ("tumor_number", "vascular_invasion", "treatment", "age"),
    )  # fmt: skip
    assert 0 <= concordance(checked, score) <= 1

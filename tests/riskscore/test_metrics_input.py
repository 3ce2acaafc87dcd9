"""What is wrong is said at the door, with the remedy; what cannot be had, in a note."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from riskscore import metrics
from riskscore.errors import InputError, ModelError
from riskscore.metrics import (
    brier_score,
    calibration,
    concordance,
    d_calibration,
    evaluate,
    integrated_brier,
    kaplan_meier,
    net_benefit,
    royston_d,
    time_dependent_auc,
)

TIME = np.array([1.0, 2, 3, 4, 5, 6])
EVENT = np.array([1, 1, 0, 1, 1, 0], dtype=bool)
SURVIVAL = np.array([0.2, 0.3, 0.6, 0.5, 0.8, 0.7])
SCORE = np.array([6.0, 5, 3, 4, 1, 2])
NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": [1, 2, 3]}, "event must have one entry a patient, 3, got 6; align the arrays"),
        ({"time": [1, NAN, 3, 4, 5, 6]}, "row 2: time must be a finite number"),
        ({"time": [1, 2, -3, 4, 5, 6]}, "row 3: time must not be negative, got -3.0; count from"),
        ({"time": ["a"] * 6}, "time must be numbers; convert it to float"),
        ({"time": [[1.0, 2]] * 3}, "time must be one array of numbers, not empty"),
        ({"time": [], "event": []}, "time must be one array of numbers, not empty"),
        ({"event": [1, 2, 0, 1, 1, 0]}, "event must be one array of true and false"),
        ({"event": ["yes"] * 6}, "event must be one array of true and false"),
        ({"event": [0] * 6}, "event is false for all 6 patients: nothing happened; validate on"),
        ({"risk_score": [1, 2]}, "risk_score must have one entry a patient, 6, got 2"),
        ({"risk_score": [1, 2, NAN, 3, 4, 5]}, "row 3: risk_score must be a finite number"),
        ({"survival": [0.5] * 5}, "survival must have one entry a patient, 6, got 5"),
        ({"survival": [[0.5, 0.4]] * 6}, "survival must have one column a horizon, 1, got 2"),
        ({"survival": [0.5, 1.2, 0.3, 0.1, 0, 1]}, "row 2: survival must be 0 to 1"),
        ({"survival": [0.5, NAN, 0.3, 0.1, 0, 1]}, "row 2: survival must be a finite number"),
        (
            {"survival": [[0.1, 0.9]] * 6, "horizons": [2, 4]},
            "row 1: survival must not rise with time; .* give survival, not risk",
        ),
        (
            {"horizons": 6},
            "horizons must lie before the longest follow-up, 6, got 6.0; choose an e",
        ),
        ({"horizons": 0.5}, "horizons must not lie before the first event, 1, got 0.5; choose a l"),
        ({"horizons": NAN}, "horizons must be a finite number"),
        ({"horizons": [4, 2], "survival": [[0.5, 0.4]] * 6}, "horizons must ascend; sort them"),
        ({"groups": [1, 1, 1]}, "groups must have one entry a patient, 6, got 3"),
        ({"groups": [1, 2, 3, NAN, 5, 6]}, "row 4: groups must not be missing; name every row's"),
        ({"groups": ["a", None, "b", "b", "c", "d"]}, "row 2: groups must not be missing"),
        ({"groups": ["a"] * 6}, "groups must hold two or more groups; leave it out"),
        ({"level": 95}, "level must be between 0 and 1, got 95"),
        ({"thresholds": [0.2, 1.0]}, "thresholds must be risks between 0 and 1, ascending"),
        ({"grid": [1, 2]}, "grid and grid_survival belong together; give both or neither"),
        (
            {"grid": [2], "grid_survival": SURVIVAL},
            "grid must have two times or more, got 1; give a finer grid",
        ),
        ({"survival_at_time": SCORE}, "survival_at_time must be 0 to 1, got 6.0; give the prob"),
        ({"n_bootstrap": -1}, "n_bootstrap must be 0 or more, got -1"),
        ({"n_knots": 7}, "n_knots must be 3, 4 or 5, got 7; take 3"),
        ({"n_groups": 1}, "n_groups must be 2 or more, got 1; take 5"),
    ],
)
def test_each_mistake_is_named(change: dict[str, Any], said: str) -> None:
    """Field, rule, value, remedy."""
    right: dict[str, Any] = {
        "time": TIME, "event": EVENT, "survival": SURVIVAL, "risk_score": SCORE, "horizons": 2.5,
        "n_bootstrap": 0,
    }  # fmt: skip
    assert evaluate(**right).n == 6
    with pytest.raises(InputError, match=said):
        evaluate(**right | change)


def test_every_problem_is_told_at_once() -> None:
    """A caller mends them in one go."""
    with pytest.raises(InputError) as caught:
        time_dependent_auc([-1, 2], [1, 5, 0], [1, 2], 1)
    assert [problem.field for problem in caught.value.problems] == ["event", "event", "time"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: concordance(TIME, EVENT, SCORE, weighting="harel"), "weighting must be 'harrell'"),  # type: ignore[arg-type]
        (lambda: concordance(TIME, EVENT, SCORE, tau=0), "tau must be positive, got 0.0"),
        (lambda: kaplan_meier(TIME, EVENT, 7), "at must lie within follow-up, 0 to 6, got 7.0"),
        (lambda: d_calibration(TIME, EVENT, SURVIVAL, bins=1), "bins must be 2 or more, got 1"),
        (lambda: calibration(TIME, EVENT, SURVIVAL, 2.5, n_knots=2), "n_knots must be 3, 4 or 5"),
        (lambda: calibration(TIME, EVENT, SURVIVAL, 2.5, n_groups=0), "n_groups must be 2 or"),
        (lambda: net_benefit(TIME, EVENT, SURVIVAL, 2.5, thresholds=0), "thresholds must be risks"),
        (lambda: integrated_brier(TIME, EVENT, SURVIVAL, 2.5), "grid must have two times"),
        (lambda: brier_score(TIME, EVENT, SURVIVAL, 9), "before the longest follow-up, 6, got 9"),
    ],
)
def test_each_function_checks_its_own(call: Any, said: str) -> None:
    """The door is the same for those who come alone."""
    with pytest.raises(InputError, match=said):
        call()


def test_nobody_to_compare() -> None:
    """The only event comes last: no one outlived it."""
    with pytest.raises(ModelError, match="no two patients can be compared"):
        concordance([1, 2, 3], [0, 0, 1], [1, 2, 3])
    with pytest.raises(ModelError, match="no two patients can be compared"):
        concordance(TIME, EVENT, SCORE, tau=0.5)


def test_royston_needs_scores_that_differ_and_overlap() -> None:
    """No spread, or scores that part the events without exception: no finite coefficient."""
    with pytest.raises(ModelError, match="do not differ between patients"):
        royston_d(TIME, EVENT, np.ones(6))
    with pytest.raises(ModelError, match="part the events perfectly"):
        royston_d([1, 2, 3, 4], [1, 1, 1, 1], [4, 3, 2, 1])


def test_what_cannot_be_had_is_none_and_noted() -> None:
    """A constant prediction has no slope and no curve; the rest is still told."""
    found = evaluate(TIME, EVENT, np.full(6, 0.5), np.ones(6), 2.5, n_bootstrap=25)
    at = found.horizons[0].calibration
    assert (at.slope, at.curve, at.ici, found.royston) == (None, None, None, None)
    assert found.harrell is not None
    assert found.harrell.value == 0.5
    assert any(note.startswith("no slope: the predictions do not differ") for note in at.notes)
    assert any(note.startswith("no smooth curve: ") for note in at.notes)
    assert "1 risk groups instead of 5: too few predictions differ" in at.notes
    assert any(note.startswith("no Royston's D: ") for note in found.notes)
    assert "horizon 2.5: only 2 events by then; read with care" in found.notes
    assert "horizon 2.5: only 4 patients beyond it; read with care" in found.notes


def test_a_horizon_before_which_the_predictions_part_the_events_has_no_slope() -> None:
    """Later events overlap, but those up to the horizon do not: no finite slope, and a note."""
    survival = np.array([0.1, 0.3, 0.6, 0.8, 0.5, 0.7])[:, None].repeat(2, axis=1)
    early, late = calibration(TIME, EVENT, survival, [2.5, 5.5], n_bootstrap=0)
    assert (early.slope, early.ici) == (None, None)
    assert any(note.startswith("no slope: no finite maximum") for note in early.notes)
    assert late.slope is not None


def test_predictions_that_hardly_differ_are_judged() -> None:
    """A ridge that is too strong: a slope of hundreds, and a hazard at log(-log(S)) = 0 of none."""
    random = np.random.default_rng(3)
    x, time = random.normal(0, 1, 200), random.exponential(1, 200)
    survival = np.exp(-0.01 * np.exp(0.001 * x))
    [at] = calibration(time * np.exp(-x), np.ones(200), survival, 1.0, n_bootstrap=20)
    assert at.slope is not None
    assert at.slope.value == pytest.approx(1000, rel=0.3)
    assert at.ici is not None
    assert at.ici.value == pytest.approx(at.observed.value - at.expected, rel=0.05)


def test_predictions_of_0_and_1_are_moved_and_counted() -> None:
    """Their complementary log-log is infinite."""
    survival = np.array([0.3, 0.0, 0.6, 0.5, 1.0, 0.7])
    [found] = calibration(TIME, EVENT, survival, 4.5, n_bootstrap=0)
    assert "2 predicted risks of 0 (or below 1e-06) or 1 were moved inwards for Cox" in found.notes
    assert found.slope is not None


def test_a_risk_group_nobody_of_which_is_followed_says_so() -> None:
    """The highest risk group is censored before the horizon: its Kaplan-Meier is unknown."""
    time = np.array([1, 1, 5, 5, 2, 6, 6, 3, 7.0, 8])
    event = np.array([0, 0, 1, 0, 1, 0, 1, 1, 0, 0])
    survival = np.array([0.1, 0.1, 0.3, 0.3, 0.5, 0.5, 0.7, 0.7, 0.9, 0.9])
    [found] = calibration(time, event, survival, 4, n_bootstrap=0)
    assert np.isnan(found.groups[-1].observed.value)
    assert "risk group 5: nobody in it was followed to 4" in found.notes
    [curve] = net_benefit(time, event, survival, 4, thresholds=[0.8])
    assert np.isnan(curve.model.value[0])


def test_two_columns_that_are_one_do_not_determine_a_fit() -> None:
    """The small Cox regression refuses rather than guesses."""
    from riskscore.metrics._cox import fit_cox
    from riskscore.metrics._outcome import Outcome

    with pytest.raises(ModelError, match="do not determine the coefficients"):
        fit_cox(Outcome(TIME, EVENT), np.column_stack([SCORE, SCORE]))


def test_everything_public_has_its_errors_told() -> None:
    """A reader of the help sees what is raised."""
    for name in metrics.__all__:
        assert "Raises\n" in (getattr(metrics, name).__doc__ or ""), name


def test_any_small_cohort_is_answered_or_refused() -> None:
    """Nobody at risk, all tied, risks of 0 and 1, fits at infinity: no warning, no other error."""
    answered = 0
    for seed in (*range(120), 124, 997, 1513):  # the last three once broke the fit
        random = np.random.default_rng(seed)
        n = int(random.integers(1, 14))
        time = random.integers(0, 6, n).astype(float)
        event = random.random(n) < random.random()
        score = random.integers(0, 4, n).astype(float)
        horizons = np.sort(random.choice([0.5, 1, 2, 3, 4], 2, replace=False))
        risks = random.choice([0, 0.1, 0.3, 0.5, 0.9, 1, random.random()], (n, 2))
        survival = np.sort(risks, axis=1)[:, ::-1]
        groups = random.integers(0, 4, n) if seed % 3 == 0 else None
        try:
            found = evaluate(
                time, event, survival, score, horizons, groups=groups, grid=horizons,
                grid_survival=survival, survival_at_time=survival[:, 0],
                n_bootstrap=25 * (seed % 2), thresholds=[0.05, 0.3, 0.9],
            )  # fmt: skip
        except InputError:
            continue
        answered += 1
        json.dumps(found.to_dict(), allow_nan=False)
        for at in found.horizons:
            assert -1e-12 <= at.auc.value <= 1 + 1e-12  # a ratio of sums, to the last bits
    assert answered > 30

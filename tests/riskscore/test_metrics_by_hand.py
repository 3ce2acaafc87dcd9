"""Cases small enough to work by hand."""

from __future__ import annotations

import numpy as np
import pytest

from riskscore.metrics import (
    brier_score,
    concordance,
    d_calibration,
    integrated_brier,
    kaplan_meier,
    net_benefit,
    time_dependent_auc,
)
from tests.riskscore.simulated import EXACT

# Seven patients: two events tie at 2, an event ties with a censoring at 4, two scores tie.
TIME = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 6.0])
EVENT = np.array([1, 1, 1, 0, 1, 0, 0], dtype=bool)
SCORE = np.array([5.0, 5.0, 2.0, 3.0, 3.0, 4.0, 1.0])
RISK = np.array([0.9, 0.6, 0.3, 0.5, 0.5, 0.4, 0.1])


def test_kaplan_meier_by_hand() -> None:
    """6/7 at 1, times 4/6 at 2, times 2/3 at 4, where the censored patient is still at risk."""
    for at, expected in {0.5: 1, 1: 6 / 7, 2: 4 / 7, 3: 4 / 7, 4: 8 / 21, 6: 8 / 21}.items():
        assert kaplan_meier(TIME, EVENT, at).value == pytest.approx(expected, abs=EXACT)


def test_harrell_by_hand() -> None:
    """All pairs, one by one.

    The event at 1 (score 5) meets 2 2 3 4 4 6: one equal, five lower. The events at 2 do not meet
    each other; score 5 meets four lower; score 2 meets one lower and three higher. The event at 4
    (score 3) meets the censoring at 4 (higher) and 6 (lower).
    """
    found = concordance(TIME, EVENT, SCORE)
    assert (found.concordant, found.discordant, found.tied_score) == (5 + 4 + 1 + 1, 3 + 1, 1)
    assert found.value == pytest.approx(11.5 / 16, abs=EXACT)


def test_uno_by_hand() -> None:
    """G is 1 until the censoring at 3, where 4 are exposed: the event at 4 weighs (4/3)**2.

    It is in order once, out of order once.
    """
    found = concordance(TIME, EVENT, SCORE, weighting="uno")
    weight = (4 / 3) ** 2
    assert found.concordant == pytest.approx(10 + weight, abs=EXACT)
    assert found.discordant == pytest.approx(3 + weight, abs=EXACT)
    assert found.value == pytest.approx((10.5 + weight) / (14 + 2 * weight), abs=EXACT)
    before = concordance(TIME, EVENT, SCORE, weighting="uno", tau=3.5)
    assert before.value == pytest.approx(10.5 / 14, abs=EXACT)


def test_auc_by_hand() -> None:
    """At 5 the one patient beyond has the lowest score but one case's weight counts 4/3.

    At 3.5 the cases 5, 5, 2 meet the controls 3, 4, 1: 3 + 3 + 1 of 9 pairs.
    """
    early, late = time_dependent_auc(TIME, EVENT, SCORE, [3.5, 5])
    assert early.value == pytest.approx(7 / 9, abs=EXACT)
    assert late.value == pytest.approx(1, abs=EXACT)


def test_brier_by_hand() -> None:
    """At 3.5: cases 0.9, 0.6, 0.3 weigh 1; beyond are 0.5, 0.4, 0.1, each weighing 4/3."""
    [found] = brier_score(TIME, EVENT, 1 - RISK, 3.5)
    cases = 0.1**2 + 0.4**2 + 0.7**2
    beyond = (0.5**2 + 0.4**2 + 0.1**2) * 4 / 3
    assert found.brier.value == pytest.approx((cases + beyond) / 7, abs=EXACT)
    assert found.null.value == pytest.approx(4 / 7 * 3 / 7, abs=EXACT)
    assert found.ipa.value == pytest.approx(1 - (cases + beyond) / 7 / (12 / 49), abs=EXACT)


def test_integrated_brier_by_hand() -> None:
    """Each score holds until the next time of the grid; before the first it is 0."""
    at = brier_score(TIME, EVENT, np.tile(1 - RISK[:, None], 2), [2, 3.5], n_bootstrap=0)
    found = integrated_brier(TIME, EVENT, np.tile(1 - RISK[:, None], 2), [2, 3.5], n_bootstrap=0)
    assert found.brier.value == pytest.approx(1.5 * at[0].brier.value / 3.5, abs=EXACT)


def test_net_benefit_by_hand() -> None:
    """At 3.5 and threshold 0.5: patients 1, 2, 4, 5 are high-risk, and two of those four die.

    Share 4/7, Kaplan-Meier among them 1/2: (4/7) (1/2 - 1/2) = 0. At 0.55 two are, and both die.
    """
    [found] = net_benefit(TIME, EVENT, 1 - RISK, 3.5, thresholds=[0.5, 0.55, 0.95])
    assert found.high_risk == pytest.approx((4 / 7, 2 / 7, 0), abs=EXACT)
    assert found.model.value == pytest.approx((0, 2 / 7, 0), abs=EXACT)
    odds = 0.55 / 0.45
    assert found.treat_all.value[1] == pytest.approx(3 / 7 - 4 / 7 * odds, abs=EXACT)


def test_net_benefit_of_risk_not_of_survival() -> None:
    """A perfect model has the share of events as its benefit; its reverse has less than none."""
    dies = np.arange(10) < 3
    time, event = np.where(dies, 1.0, 3.0), dies
    [right] = net_benefit(time, event, np.where(dies, 0.1, 0.9), 2, thresholds=[0.5])
    [wrong] = net_benefit(time, event, np.where(dies, 0.9, 0.1), 2, thresholds=[0.5])
    assert right.model.value[0] == pytest.approx(0.3, abs=EXACT)
    assert wrong.model.value[0] == pytest.approx(-0.7, abs=EXACT)


def test_d_calibration_by_hand() -> None:
    """Events count where they fall; a censoring at 0.5 is half in its own of 4 bins, of none else.

    A censoring at 0.6 has 0.1 / 0.6 in [0.5, 0.75) and 0.25 / 0.6 in each of the two below.
    """
    found = d_calibration([1, 2, 3, 4], [1, 1, 0, 0], [0.9, 0.25, 0.5, 0.6], bins=4)
    expected = [0.5 + 0.25 / 0.6, 1 + 0.5 + 0.25 / 0.6, 0.1 / 0.6, 1]
    assert found.counts == pytest.approx(expected, abs=EXACT)
    statistic = sum((count - 1) ** 2 for count in expected)
    assert found.statistic == pytest.approx(statistic, abs=EXACT)

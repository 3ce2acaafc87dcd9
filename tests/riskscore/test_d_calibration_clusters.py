"""D-calibration of repeated rows: its level where the curves are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from riskscore.metrics import d_calibration
from riskscore.metrics._distribution import _chi_square_tail


def p_values(seed: int, patients: int = 150) -> tuple[float, float]:
    """Return P with patients as clusters, and with rows taken as independent; true curves.

    One to six rows a patient; in half of the patients they share one chance of an early event.
    """
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(patients), random.integers(1, 7, patients))
    together = (random.random(patients) < 0.5)[of]
    time = np.where(together, random.exponential(1, patients)[of], random.exponential(1, len(of)))
    censored = random.uniform(0.3, 3, len(of))
    observed = np.minimum(time, censored)
    arguments = (observed, time <= censored, np.exp(-observed))
    return d_calibration(*arguments, groups=of).p, d_calibration(*arguments).p


def test_right_curves_are_rejected_in_5_percent() -> None:
    """600 cohorts; rows taken as independent reject several times as many."""
    tested = np.array([p_values(seed) for seed in range(600)])
    rejected = (tested < 0.05).mean(axis=0)
    # 600 cohorts leave a standard error of 0.9 %.
    assert 0.02 < rejected[0] < 0.08
    assert rejected[1] > 0.15


def test_single_rows_are_tested_about_as_by_pearson() -> None:
    """Without censoring the two statistics estimate the same."""
    random = np.random.default_rng(1)
    survival = random.random(5000)
    event = np.ones(5000, dtype=bool)
    time = -np.log(survival)
    pearson = d_calibration(time, event, survival)
    robust = d_calibration(time, event, survival, groups=np.arange(5000))
    # Shares of 5,000 are known to about 5 %.
    assert robust.statistic == pytest.approx(pearson.statistic, rel=0.1)
    assert robust.counts == pearson.counts
    assert robust.p == pytest.approx(pearson.p, abs=0.1)


def test_wrong_curves_are_seen() -> None:
    """Twice the hazard."""
    random = np.random.default_rng(2)
    of = np.repeat(np.arange(200), 3)
    time = random.exponential(1, 600)
    assert d_calibration(time, np.ones(600), np.exp(-2 * time), groups=of).p < 1e-6


def test_the_tail_of_a_chi_square_is_scipy_s() -> None:
    """Whole and broken degrees of freedom, from the middle to the far tail."""
    for df in (0.7, 1.0, 3.4, 9.0, 40.0):
        for x in (1e-6, 0.5, 3.0, 9.0, 60.0, 900.0):
            # 1e-12: lgamma and the exponential of large numbers lose some digits.
            assert _chi_square_tail(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-12)

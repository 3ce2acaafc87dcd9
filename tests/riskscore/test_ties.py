"""Times, scores and risks that differ by rounding alone are ties."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from riskscore.follow_up import read_times
from riskscore.metrics import concordance, evaluate, kaplan_meier, net_benefit
from riskscore.study import load_study
from riskscore.ties import join_scores, join_times, join_values
from tests.conftest import simulate

pytestmark = pytest.mark.numeric

FloatArray = NDArray[np.float64]

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "timefix.json").read_text())
MGUS = pd.read_csv(ORACLE / "mgus2.csv")
YEARS = (MGUS["age"] + MGUS["time"] / 12) - MGUS["age"]
ENDED = MGUS["event"] | MGUS["competing"]


def as_r(time: FloatArray) -> list[float]:
    """Return what the lines of R's `aeqSurv` do, one after another."""
    y = sorted(set(time.tolist()))
    near = np.sqrt(np.finfo(float).eps)
    mean = sum(map(abs, y)) / len(y)
    cuts = [y[0]]
    for before, after in pairwise(y):
        if not (after - before <= near or (after - before) / mean <= near):
            cuts.append(after)
    return [max(c for c in cuts if c <= t) for t in time.tolist()]


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 40),
    age=st.floats(0, 90),
    unit=st.sampled_from([0.01, 1.0, 30.4, 1e6]),
)
def test_times_are_joined_as_r_joins_them(seed: int, n: int, age: float, unit: float) -> None:
    """Differences of two ages, in small and large units."""
    months = np.random.default_rng(seed).integers(1, 30, n)
    time = ((age + months / 12) - age) * unit
    assert join_times(time).tolist() == as_r(time)


def test_as_many_times_are_left_as_in_r() -> None:
    """268 of 331: what rounding split is one time again."""
    assert len(set(YEARS)) == R["exact"]["times"]
    assert len(set(join_times(YEARS.to_numpy()))) == R["joined"]["times"]


def test_figures_of_joined_times_are_those_of_r() -> None:
    """Kaplan-Meier and concordance of mgus2, follow-up being a difference of ages."""
    for at, expected in zip((1.01, 5.01, 10.01), R["joined"]["survival"], strict=True):
        found = kaplan_meier(YEARS, ENDED, at).value
        assert found == pytest.approx(expected, abs=1e-13)  # a product of 268 factors
    order = concordance(YEARS, ENDED, MGUS["age"])
    assert order.value == pytest.approx(R["joined"]["concordance"], abs=1e-13)
    assert order.se == pytest.approx(R["joined"]["concordance_se"], abs=1e-13)


def test_a_time_that_rounding_put_beyond_a_horizon_is_at_it() -> None:
    """24.000000000000004 months are 24, where the study declares that horizon."""
    outcome = load_study("deb-tace-hcc").outcomes["os"]
    frame = pd.DataFrame({outcome.time: [np.nextafter(24, 25), 12 - 1e-12, 3.0]})
    assert read_times(frame, outcome, "month")[0].tolist() == [24.0, 12.0, 3.0]


def test_values_are_joined_only_where_that_is_rounding() -> None:
    """Runs of close values are joined, chains of many are not, nor what is not finite."""
    close = np.array([1.0, 1.0 + 2e-16, 2.0, np.nextafter(3, 4), 3.0])
    assert join_scores(close).tolist() == [1, 1, 2, 3, 3]
    dense = np.linspace(0, 1, 101)
    assert join_values(dense, 0.011).tolist() == dense.tolist()
    assert join_scores(np.zeros(3)).tolist() == [0, 0, 0]
    assert join_scores(np.array([])).tolist() == []
    gaps = join_times(np.array([np.nan, np.inf, 2.0, np.nextafter(2, 3)]))
    np.testing.assert_array_equal(gaps, [np.nan, np.inf, 2, 2])
    assert np.isnan(join_times(np.array([np.nan]))).all()


def test_last_bits_of_times_and_predictions_move_no_figure() -> None:
    """Every figure of a report, with the last bits of everything that goes in shaken."""
    frame = simulate(300, 4)
    time, event = frame["os_months"].to_numpy(), frame["death"].to_numpy()
    # Few profiles, so that many pairs are tied.
    traits = (frame[["tumor_number", "vascular_invasion", "treatment"]] != "no").sum(axis=1)
    score = 0.1 * traits.to_numpy() - 0.3 + (frame["age"] > 60).to_numpy() * 0.7
    horizons = np.array([6.0, 12.0, 24.0])
    survival = np.exp(-np.exp(score)[:, None] * horizons / 30)

    def report(bits: float) -> dict[str, Any]:
        random = np.random.default_rng(7)

        def shaken(values: FloatArray) -> FloatArray:
            return values * (1 + bits * random.integers(-2, 3, values.shape))

        # Only times that are no horizon: `evaluate` compares those as they are.
        at = np.isin(time, horizons)
        found = evaluate(
            np.where(at, time, shaken(time)), event, np.minimum(shaken(survival), 1),
            shaken(score), horizons, survival_at_time=np.minimum(shaken(survival[:, 0]), 1),
            n_bootstrap=30,
        )  # fmt: skip
        return asdict(found)

    exact, moved = report(0.0), report(2.0**-53)
    for name in ("harrell", "uno", "royston"):
        assert moved[name] == exact[name]
    for a, b in zip(exact["horizons"], moved["horizons"], strict=True):
        assert b["auc"] == a["auc"]
        assert b["calibration"]["histogram"] == a["calibration"]["histogram"]
        sizes = ([g["n"] for g in x["calibration"]["groups"]] for x in (a, b))
        assert next(sizes) == next(sizes)
        # Means of 300 shaken risks: nothing but rounding is left.
        benefits = (x["decision"]["model"]["value"] for x in (a, b))
        assert next(benefits) == pytest.approx(next(benefits), abs=1e-12, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(20, 120))
def test_figures_do_not_depend_on_the_order_of_rows(seed: int, n: int) -> None:
    """Permuted rows: ranks to the bit, sums to rounding."""
    random = np.random.default_rng(seed)
    time, event = random.integers(1, 15, n).astype(float), random.random(n) < 0.6
    event[:3], time[:3] = True, (1, 2, 14)
    score = random.integers(0, 6, n) / 7
    order = random.permutation(n)
    first, other = (
        concordance(time[o], event[o], score[o]) for o in (np.arange(n), order)
    )  # fmt: skip
    pairs = ("concordant", "discordant", "tied_score", "value")
    assert [getattr(first, p) for p in pairs] == [getattr(other, p) for p in pairs]
    survival = np.exp(-np.exp(score) / 3)
    curve, again = (
        net_benefit(time[o], event[o], survival[o], 7.0, thresholds=[0.2, 0.3])[0]
        for o in (np.arange(n), order)
    )
    assert again.high_risk == curve.high_risk
    assert again.model.value == pytest.approx(curve.model.value, abs=1e-12, nan_ok=True)

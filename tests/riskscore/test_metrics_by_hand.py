"""Cases small enough to work by hand, and what must hold whatever the data."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from riskscore import metrics
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

EXACT = 1e-12  # fractions worked by hand, divided in double precision

# Seven patients: two events tie at 2, an event ties with a censoring at 4, two scores tie.
TIME = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 6.0])
EVENT = np.array([1, 1, 1, 0, 1, 0, 0], dtype=bool)
SCORE = np.array([5.0, 5.0, 2.0, 3.0, 3.0, 4.0, 1.0])
RISK = np.array([0.9, 0.6, 0.3, 0.5, 0.5, 0.4, 0.1])


def simulated(n: int, seed: int, decimals: int = 1) -> dict[str, Any]:
    """Return a cohort whose predictions are the truth it was drawn from."""
    random = np.random.default_rng(seed)
    score = random.normal(0, 0.8, n)
    death = random.exponential(10 * np.exp(-score))
    censored = random.uniform(2, 25, n)
    horizons = np.array([3.0, 6.0, 9.0])
    return {
        "time": np.maximum(np.minimum(death, censored).round(decimals), 0.1),
        "event": death <= censored,
        "survival": np.exp(-horizons / 10 * np.exp(score)[:, None]),
        "risk_score": score,
        "horizons": horizons,
    }


def test_the_door() -> None:
    """The public names are these."""
    assert metrics.__all__ == [
        "brier_score", "calibration", "concordance", "cumulative_incidence",
        "d_calibration", "evaluate", "integrated_brier", "kaplan_meier", "net_benefit", "royston_d",
        "time_dependent_auc",
    ]  # fmt: skip


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


@pytest.mark.parametrize("bins", [2, 3, 4, 5, 10, 11])
def test_d_calibration_p_value_agrees_with_scipy(bins: int) -> None:
    """Odd and even degrees of freedom."""
    stats = pytest.importorskip("scipy.stats")
    data = simulated(200, 3)
    at_own = np.exp(-data["time"] / 10 * np.exp(data["risk_score"]))
    for survival in (at_own, at_own**1.5, at_own**4):
        found = d_calibration(data["time"], data["event"], survival, bins=bins)
        assert sum(found.counts) == pytest.approx(200, abs=1e-9)  # everybody is shared out once
        expected = stats.chi2.sf(found.statistic, bins - 1)
        assert found.p == pytest.approx(expected, rel=1e-9)  # a finite sum against a series


def test_concordance_counts_every_pair() -> None:
    """The fast count is that of the definition, pair by pair, in exact fractions."""
    random = np.random.default_rng(5)
    for n in (2, 3, 5, 8, 16, 33, 60):
        time = random.integers(1, 9, n).astype(float)
        event = random.random(n) < 0.6
        score = random.integers(0, 6, n).astype(float)
        time[0], event[0] = 0.5, True
        order = sorted(set(time[~event]))
        g, after = Fraction(1), {}
        for at in order:
            censored = int(((time == at) & ~event).sum())
            exposed = int((time >= at).sum() - ((time == at) & event).sum())
            g *= 1 - Fraction(censored, exposed)
            after[at] = g
        for uno in (False, True):
            counts = [Fraction(0)] * 3
            for i, j in itertools.permutations(range(n), 2):
                if event[i] and (time[j] > time[i] or (time[j] == time[i] and not event[j])):
                    before = [after[at] for at in order if at < time[i]]
                    weight = 1 / before[-1] ** 2 if uno and before else Fraction(1)
                    kind = 0 if score[i] > score[j] else 1 if score[i] < score[j] else 2
                    counts[kind] += weight
            found = concordance(time, event, score, weighting="uno" if uno else "harrell")
            ours = (found.concordant, found.discordant, found.tied_score)
            assert ours == pytest.approx([float(c) for c in counts], rel=1e-12, abs=EXACT)


def test_a_perfect_ranking_is_1_and_a_constant_one_half() -> None:
    """The two ends that need no calculation."""
    data = simulated(80, 1)
    time, event = data["time"], data["event"]
    perfect = -(time - 0.01 * event)  # at a tied time the event comes first
    for weighting in ("harrell", "uno"):
        assert concordance(time, event, perfect, weighting=weighting).value == 1  # type: ignore[arg-type]
        constant = concordance(time, event, np.ones(80), weighting=weighting)  # type: ignore[arg-type]
        assert (constant.value, constant.se) == (0.5, 0)
    horizons = data["horizons"]
    for at in time_dependent_auc(time, event, perfect, horizons):
        assert at.value == pytest.approx(1, abs=EXACT)
    for at in time_dependent_auc(time, event, np.ones(80), horizons):
        assert at.value == pytest.approx(0.5, abs=EXACT)


def test_turning_the_score_round_turns_the_concordance_round() -> None:
    """Direction: higher is worse."""
    data = simulated(80, 1)
    ahead = concordance(data["time"], data["event"], data["risk_score"])
    behind = concordance(data["time"], data["event"], -data["risk_score"])
    assert ahead.value > 0.6
    assert behind.value == pytest.approx(1 - ahead.value, abs=EXACT)
    assert behind.se == pytest.approx(ahead.se, abs=EXACT)


def test_kaplan_meier_as_the_prediction_gains_nothing() -> None:
    """IPA 0, observed over expected 1 and intercept about 0."""
    data = simulated(120, 2)
    time, event, horizons = data["time"], data["event"], data["horizons"]
    curve = [kaplan_meier(time, event, at).value for at in horizons]
    survival = np.tile(curve, (120, 1))
    for at in brier_score(time, event, survival, horizons):
        assert at.ipa.value == pytest.approx(0, abs=1e-10)  # one minus a ratio of sums
        assert at.ipa.se == pytest.approx(0, abs=0.03)  # its curve is held, a resample's moves
        assert at.brier.se == pytest.approx(at.null.se, abs=EXACT)
    assert integrated_brier(time, event, survival, horizons).ipa.value == pytest.approx(
        0, abs=1e-10
    )
    for at in calibration(time, event, survival, horizons, n_bootstrap=0):
        assert at.observed_expected.value == pytest.approx(1, abs=1e-10)
        assert at.slope is None
        assert at.intercept is not None
        # Nelson-Aalen (Efron) against -log of the product limit: the same for many patients.
        assert at.intercept.value == pytest.approx(0, abs=0.01)
        assert any("do not differ" in note for note in at.notes)
        assert len(at.groups) == 1


def test_a_true_model_is_calibrated() -> None:
    """5,000 patients drawn from the predictions: every figure near what perfection gives."""
    data = simulated(5000, 4, decimals=6)
    time, event, survival = data["time"], data["event"], data["survival"]
    for at in calibration(time, event, survival, data["horizons"], n_bootstrap=0):
        for estimate, right in ((at.slope, 1), (at.intercept, 0), (at.observed_expected, 1)):
            assert estimate is not None
            assert estimate.se is not None
            assert abs(estimate.value - right) < 3 * estimate.se
        assert at.ici is not None
        assert at.ici.value < 0.02
    own = np.exp(-time / 10 * np.exp(data["risk_score"]))
    assert d_calibration(time, event, own).p > 0.01
    assert d_calibration(time, event, own**2).p < 1e-6
    # D of a normal score with standard deviation s is kappa s = 1.596 s.
    found = royston_d(time, event, data["risk_score"]).d
    assert found.se is not None
    assert abs(found.value - 1.596 * 0.8) < 3 * found.se


def test_the_slope_says_how_extreme_predictions_are() -> None:
    """Predictions with twice the log hazard ratios have half the slope, at every horizon."""
    data = simulated(400, 6)
    plain, twice = (
        calibration(
            data["time"], data["event"],
            np.exp(-data["horizons"] / 200 * np.exp(factor * data["risk_score"])[:, None]),
            data["horizons"], n_bootstrap=0,
        )
        for factor in (1, 2)
    )  # fmt: skip
    for one, other in zip(plain, twice, strict=True):
        assert one.slope is not None
        assert other.slope is not None
        assert other.slope.value == pytest.approx(one.slope.value / 2, rel=1e-6)  # Newton's end
        assert one.slope.value == pytest.approx(plain[0].slope.value, rel=1e-6)  # type: ignore[union-attr]


def test_the_order_of_patients_changes_nothing() -> None:
    """Rows shuffled, every figure the same to the last few bits."""
    data = simulated(90, 7)
    shuffled = np.random.default_rng(1).permutation(90)
    other = {k: v if k == "horizons" else v[shuffled] for k, v in data.items()}
    one, two = (_flat(evaluate(**d, n_bootstrap=0).to_dict()) for d in (data, other))
    assert one == pytest.approx(two, rel=1e-8, abs=1e-10)  # sums in another order


def test_everybody_twice_is_everybody_once_with_clusters() -> None:
    """A cohort written twice, its rows clustered, has the figures and errors of one copy.

    Where the estimate of a copy is that of the cohort: Kaplan-Meier, and what is weighted by it.
    """
    data = simulated(70, 8)
    twice = {k: v if k == "horizons" else np.concatenate([v, v]) for k, v in data.items()}
    groups = np.tile(np.arange(70), 2)
    once = evaluate(**data, groups=np.arange(70), n_bootstrap=30).horizons
    again = evaluate(**twice, groups=groups, n_bootstrap=30).horizons
    for one, two in zip(once, again, strict=True):
        for a, b in (
            (one.auc, two.auc),
            (one.brier.brier, two.brier.brier),
            (one.brier.ipa, two.brier.ipa),  # the bootstrap draws the same clusters
            (one.calibration.observed, two.calibration.observed),
        ):
            assert (a.value, a.se, a.lower, a.upper) == pytest.approx(
                (b.value, b.se, b.lower, b.upper), rel=1e-9
            )  # sums twice as long
        assert one.decision.model.se == pytest.approx(two.decision.model.se, rel=1e-9, nan_ok=True)


def test_standard_errors_agree_with_the_bootstrap() -> None:
    """Influence functions against 600 resamples, where no reference has an error to compare.

    600 resamples know a standard error to 3 %; 12 % is four times that.
    """
    data = simulated(400, 9)
    time, event, horizons = data["time"], data["event"], data["horizons"][1:2]
    survival = data["survival"][:, 1]
    groups = np.arange(400) // 2
    found = net_benefit(time, event, survival, horizons, thresholds=[0.3], groups=groups)[0]
    fit = calibration(time, event, survival, horizons, groups=groups, n_bootstrap=0)[0]
    assert fit.intercept is not None
    random = np.random.default_rng(10)
    draws = []
    for _ in range(600):
        rows = (random.integers(200, size=200)[:, None] * 2 + [0, 1]).ravel()
        resample = time[rows], event[rows], survival[rows], horizons
        curve = net_benefit(*resample, thresholds=[0.3])[0]
        again = calibration(*resample, n_bootstrap=0)[0]
        assert again.intercept is not None
        draws.append((curve.model.value[0], curve.treat_all.value[0], again.intercept.value))
    expected = np.std(draws, axis=0)
    ours = (found.model.se[0], found.treat_all.se[0], fit.intercept.se)
    np.testing.assert_allclose(ours, expected, rtol=0.12)  # see above


def test_evaluate_gathers_what_the_functions_say() -> None:
    """Every part is the function's own answer, and JSON can hold it all."""
    data = simulated(100, 11)
    time, event, horizons = data["time"], data["event"], data["horizons"]
    own = np.exp(-time / 10 * np.exp(data["risk_score"]))
    found = evaluate(
        **data, grid=horizons, grid_survival=data["survival"], survival_at_time=own,
        thresholds=[0.2, 0.4], n_bootstrap=50, seed=3,
    )  # fmt: skip
    given = time, event, data["survival"], horizons
    assert found.harrell == concordance(time, event, data["risk_score"])
    assert found.uno == concordance(
        time, event, data["risk_score"], weighting="uno", tau=horizons[-1]
    )
    assert [at.brier for at in found.horizons] == brier_score(*given, n_bootstrap=50, seed=3)
    assert [at.calibration for at in found.horizons] == calibration(*given, n_bootstrap=50, seed=3)
    assert [at.decision for at in found.horizons] == net_benefit(*given, thresholds=[0.2, 0.4])
    assert found.integrated_brier == integrated_brier(*given, n_bootstrap=50, seed=3)
    assert found.d_calibration == d_calibration(time, event, own)
    assert found.royston == royston_d(time, event, data["risk_score"])
    for k, at in enumerate(found.horizons):
        [auc] = time_dependent_auc(time, event, 1 - data["survival"][:, k], horizons[k])
        assert at.auc == auc
        assert at.events == (event & (time <= at.horizon)).sum()
        assert at.beyond == (time > at.horizon).sum()
    assert found.notes == ()
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_seed_decides_the_bootstrap() -> None:
    """The same seed gives the same intervals, another one others; the values never change."""
    data = simulated(80, 12)
    one, same, other = (evaluate(**data, n_bootstrap=40, seed=s) for s in (1, 1, 2))
    assert one.to_dict() == same.to_dict()  # NaN is None there, and equals itself
    ipa, its = one.horizons[0].brier.ipa, other.horizons[0].brier.ipa
    assert ipa.value == its.value
    assert ipa.lower != its.lower
    curve = one.horizons[0].calibration.curve
    assert curve is not None
    assert all(low <= high for low, high in zip(curve.lower, curve.upper, strict=True))


def test_median_follow_up_is_the_reverse_kaplan_meier() -> None:
    """Censored at 2 of 3, at 4 of 1 after the event at 3 left: 2/3, then 0."""
    data: dict[str, Any] = {
        "time": [1, 2, 3, 4], "event": [1, 0, 1, 0], "survival": [0.2, 0.5, 0.4, 0.8],
        "risk_score": [4, 2, 3, 1], "horizons": 2.5,
    }  # fmt: skip
    assert evaluate(**data, n_bootstrap=0).median_follow_up == 4
    data["event"] = [1, 0, 1, 1]
    assert evaluate(**data, n_bootstrap=0).median_follow_up is None


def _flat(value: object, path: str = "") -> dict[str, float]:
    """Return every number under its path."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = ((str(k), inner) for k, inner in enumerate(value))  # type: ignore[assignment]
    else:
        return {path: float(value)} if isinstance(value, int | float) else {}
    return {k: v for key, inner in pairs for k, v in _flat(inner, f"{path}/{key}").items()}


def test_flat_finds_every_number() -> None:
    """The helper above would otherwise let a comparison of nothing pass."""
    assert _flat({"a": [1, {"b": 2.5}], "c": None}) == {"/a/0": 1.0, "/a/1/b": 2.5}
    assert len(_flat(evaluate(**simulated(90, 7), n_bootstrap=0).to_dict())) > 1000
    assert math.isfinite(evaluate(**simulated(90, 7), n_bootstrap=0).harrell.value)  # type: ignore[union-attr]

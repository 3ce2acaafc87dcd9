"""Where another event may come first, observed risks are Aalen-Johansen's, and a report says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore import InputError, RiskModel, StudyError, load_model
from riskscore.follow_up import read_competing
from riskscore.metrics import calibration, cumulative_incidence, evaluate, kaplan_meier
from riskscore.study import Study, load_study
from riskscore.validation import text, validate
from riskscore.validation.cohort import check_validation_cohort
from tests.agreement import Agreement
from tests.conftest import simulate

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "competing.json").read_text())
MGUS = pd.read_csv(ORACLE / "mgus2.csv")
WEEKS_PER_MONTH = 365.25 / 12 / 7

# Seven patients: events at 1, 2 and 4; deaths at 2 and 3; censored at 3 and 5.
TIME = [1, 2, 2, 3, 3, 4, 5]
EVENT = [1, 1, 0, 0, 0, 1, 0]
DEATH = [0, 0, 1, 1, 0, 0, 0]


def declared(**ttp: Any) -> Study:
    """Return the shipped study, its time to progression changed by keys."""
    tables = load_study("deb-tace-hcc").to_dict()
    tables["outcomes"]["ttp"] |= ttp
    return Study.from_dict(tables)


def test_seven_patients_by_hand() -> None:
    """1/7 at 1; then 6/7 of 1/6; after deaths at 2 and 3, free of both 4/7 and 3/7; half at 4."""
    steps = {0.5: 0, 1: 1 / 7, 2: 2 / 7, 3: 2 / 7, 4: 2 / 7 + 3 / 7 / 2, 5: 1 / 2}
    for at, expected in steps.items():
        found = cumulative_incidence(TIME, EVENT, DEATH, at)
        assert found.value == pytest.approx(expected, abs=1e-15)  # a few sums of fractions
    # Nobody was censored by 2, so it is a share: its jackknife error is the binomial's.
    se = cumulative_incidence(TIME, EVENT, DEATH, 2).se
    assert se == pytest.approx(np.sqrt(2 / 7 * 5 / 7 / 7), abs=1e-15)
    # Censoring the deaths: 6/7, 5/7, then half of it.
    assert 1 - kaplan_meier(TIME, EVENT, 4).value == pytest.approx(1 - 5 / 14)


@pytest.mark.parametrize("who", ["rows", "women", "pairs"])
def test_agrees_with_survfit(who: str, agree: Agreement) -> None:
    """Value, standard error and interval, with ties; with clusters, whose influences are summed."""
    d = MGUS[MGUS["female"] == 1] if who == "women" else MGUS
    groups = d["pair"] if who == "pairs" else None
    for row in R[who]:
        found = cumulative_incidence(d["time"], d["event"], d["competing"], row["at"], groups)
        for name in {"value", "se", "lower", "upper"} & set(row):
            # The same closed formula, summed in another order.
            figure, value = "Aalen-Johansen, error, interval", getattr(found, name)
            agree(figure, "survival::survfit", f"mgus2, {who}", value, row[name], atol=1e-12)
        if "censoring" in row:
            curve = 1 - kaplan_meier(d["time"], d["event"], row["at"]).value
            assert curve == pytest.approx(row["censoring"], abs=1e-12)
            assert found.value < curve


def judged(d: pd.DataFrame, horizon: float, **more: Any) -> Any:
    """Return the calibration of a made-up model; -log(survival) is 0.1 exp(0.02 (age - 70))."""
    survival = np.exp(-0.1 * np.exp(0.02 * (d["age"] - 70)))
    data = (d["time"], d["event"], survival, horizon)
    return calibration(*data, competing=d["competing"], n_bootstrap=0, **more)[0]


@pytest.mark.parametrize("k", [0, 1])
def test_smooth_calibration_is_fine_and_gray_s(k: int, agree: Agreement) -> None:
    """Slope, intercept, knots, curve and its distances are those of finegray, coxph and rcs."""
    expected = R["calibration"][k]
    found = judged(MGUS, expected["horizon"])
    how, data = "finegray, coxph", "mgus2"
    ours = (found.slope.value, found.slope.se, found.intercept.value)
    theirs = [expected[name] for name in ("slope", "slope_se", "intercept")]
    figure = "competing event: slope, error, intercept"
    agree(figure, how, data, ours, theirs, rtol=1e-9)  # the same maximum and sums, ties and all
    figure = "competing event: knots and curve"
    ends = (found.curve.observed[0], found.curve.observed[-1])
    ours = (*found.curve.knots, *ends)
    theirs = [*expected["knots"], expected["low"], expected["high"]]
    agree(figure, how, data, ours, theirs, rtol=1e-9)
    figure = "competing event: ICI, E50, E90"
    ours = (found.ici.value, found.e50.value, found.e90.value)
    agree(figure, how, data, ours, [expected[n] for n in ("ici", "e50", "e90")], rtol=1e-8)


def test_what_follows_the_horizon_changes_nothing_at_it() -> None:
    """Later events of either kind may move or change places: every figure at 120 months stays."""
    d, late = MGUS.copy(), MGUS["time"] > 120
    d.loc[late, ["event", "competing"]] = MGUS.loc[late, ["competing", "event"]].to_numpy()
    d.loc[late, "time"] = 121 + np.random.default_rng(4).permutation(int(late.sum()))
    before, after = (
        [
            (at.observed.se, at.intercept.se, at.slope.value, at.slope.se, at.ici.value),
            at.curve.observed, [group.observed.value for group in at.groups],
        ]
        for at in (judged(MGUS, 120), judged(d, 120))
    )  # fmt: skip
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)  # the same sums


@pytest.mark.parametrize("who", ["untied", "untied_pairs"])
def test_the_errors_are_those_of_rows_and_clusters(who: str, agree: Agreement) -> None:
    """The intercept's is R's hazard differentiated by each row's weight, in steps of 1e-5."""
    d = MGUS.iloc[::4]
    d = d.assign(time=d["time"] + np.arange(1, len(d) + 1) / 1e4)
    groups = d["pair"] // 2 if who == "untied_pairs" else None
    found = judged(d, 120, groups=groups)
    figure = "competing event: slope's error, clustered too"
    ours, theirs = (
        (found.slope.se, found.intercept.se),
        (R[who]["slope_se"], R[who]["intercept_se"]),
    )
    agree(figure, "finegray, coxph", "mgus2", ours[0], theirs[0], rtol=1e-9)  # the same sums
    figure = "competing event: intercept's error"
    agree(figure, "coxph's hazard differentiated", "mgus2", ours[1], theirs[1], rtol=1e-4)


def test_the_smooth_curve_follows_the_cumulative_incidence() -> None:
    """Its mean over patients is Aalen-Johansen's risk, not the larger one of Kaplan-Meier."""
    found = judged(MGUS, 240)
    plain = calibration(MGUS["time"], MGUS["event"], np.full(len(MGUS), 0.9), 240, n_bootstrap=0)[0]
    risk = -np.expm1(-0.1 * np.exp(0.02 * (MGUS["age"] - 70)))
    mean = float(np.interp(risk, found.curve.predicted, found.curve.observed).mean())
    # A mean of fitted risks is the estimate without a model only to first order.
    assert mean == pytest.approx(found.observed.value, abs=0.005)
    assert plain.observed.value - mean > 0.05


def test_the_error_is_the_derivative() -> None:
    """The jackknife is what a weight's small change does: here, by adding copies of a row."""
    rows, copies = np.arange(7), 100_000
    whole = np.repeat(rows, copies)
    parts = [np.array(x) for x in (TIME, EVENT, DEATH)]
    base = cumulative_incidence(*(x[whole] for x in parts), 4).value
    moved = []
    for i in rows:
        more = np.concatenate((whole, np.repeat(i, 100)))
        moved.append((cumulative_incidence(*(x[more] for x in parts), 4).value - base) * 1000)
    found = cumulative_incidence(TIME, EVENT, DEATH, 4).se
    # A forward difference with a step of 0.001: wrong by about that share.
    assert found == pytest.approx(np.sqrt(np.sum(np.square(moved))), rel=2e-3)


def test_with_nothing_competing_it_is_kaplan_meier() -> None:
    """No death at all: the two estimators are one."""
    none = np.zeros(len(MGUS))
    for at in (60, 240):
        found = cumulative_incidence(MGUS["time"], MGUS["event"], none, at).value
        assert found == pytest.approx(1 - kaplan_meier(MGUS["time"], MGUS["event"], at).value)


def test_every_observed_risk_of_calibration_is_aalen_johansen() -> None:
    """Overall and in each group; observed/expected follows; the censoring figure stands beside."""
    random = np.random.default_rng(3)
    survival = random.uniform(0.7, 0.99, len(MGUS))
    t, e, c = MGUS["time"], MGUS["event"], MGUS["competing"]
    [found] = calibration(t, e, survival, 120, competing=c, n_groups=2, n_bootstrap=0)
    row = next(row for row in R["rows"] if row["at"] == 120)
    assert found.observed.value == pytest.approx(row["value"])
    assert found.observed_censoring is not None
    assert found.observed_censoring.value == pytest.approx(row["censoring"])
    assert found.observed_expected.value == pytest.approx(row["value"] / (1 - survival).mean())
    high = 1 - survival > np.median(1 - survival)
    expected = cumulative_incidence(t[high], e[high], c[high], 120)
    assert found.groups[1].observed.value == pytest.approx(expected.value)
    assert found.groups[1].observed.se == pytest.approx(expected.se)
    [plain] = calibration(t, e, survival, 120, n_groups=2, n_bootstrap=0)
    assert plain.observed_censoring is None
    assert plain.observed.value == pytest.approx(row["censoring"])
    assert plain.intercept.value > found.intercept.value  # what censoring overstates


def test_the_overstatement_is_said_in_words() -> None:
    """Both figures at the horizon, their difference, and what still censors."""
    survival = np.linspace(0.7, 0.99, len(MGUS))
    t, e, c = MGUS["time"], MGUS["event"], MGUS["competing"]
    found = evaluate(t, e, survival, 1 - survival, 120, competing=c, n_bootstrap=0)
    # R's 0.0637 and 0.0952.
    said = "observed risk 0.064 (Aalen-Johansen); censoring the competing event it would be 0.095"
    assert any(said in note and "overstates it by 0.031" in note for note in found.notes)
    assert any("Brier" in note and "censor the competing event" in note for note in found.notes)


def test_bad_arrays_are_refused() -> None:
    """Both events at once, other values than 0 and 1, another length, a time beyond follow-up."""
    for competing, rule in (
        (EVENT, "must not be true where event is"),
        ([0, 2, 0, 0, 0, 0, 0], "array of true and false"),
        ([0, 1], "one entry a patient, 7, got 2"),
    ):
        with pytest.raises(InputError, match=rule):
            cumulative_incidence(TIME, EVENT, competing, 3)
    with pytest.raises(InputError, match="within follow-up"):
        cumulative_incidence(TIME, EVENT, DEATH, 6)


def test_a_study_declares_it() -> None:
    """It is read, written back only where declared, and may be another outcome's event."""
    study = declared(competing="death")
    assert study.outcomes["ttp"].competing == "death"
    assert Study.from_dict(study.to_dict()).outcomes == study.outcomes
    assert "competing" not in study.to_dict()["outcomes"]["os"]


@pytest.mark.parametrize("column", ["progression", "ttp_months", "os_months", "age"])
def test_a_column_that_means_something_else_cannot_compete(column: str) -> None:
    """Its own event, a time, a predictor."""
    with pytest.raises(StudyError, match=r"outcomes\.ttp\.competing.*must not be the column of"):
        declared(competing=column)


def progressed() -> pd.DataFrame:
    """Return four patients: progressed and died later; died; censored; progressed."""
    return pd.DataFrame(
        {
            "ttp_months": [3.0, 8.0, 9.0, 4.0],
            "progression": [1, 0, 0, 1],
            "os_months": [7.0, 8.0, 9.0, 20.0],
            "death": [1, 1, 0, 0],
        }
    )


def test_the_first_event_ends_follow_up() -> None:
    """A death after progression does not compete; one without it does."""
    study = declared(competing="death")
    found, problems = read_competing(progressed(), study.outcomes["ttp"], study)
    assert problems == []
    assert found is not None
    assert found.tolist() == [0, 1, 0, 0]
    assert read_competing(progressed(), study.outcomes["os"], study) == (None, [])


@pytest.mark.parametrize(
    ("column", "row", "value", "field", "rule"),
    [
        ("death", 2, 3, "death", "must be 0 or 1"),
        ("death", 2, None, "death", "must not be missing"),
        ("ttp_months", 1, 5.0, "ttp_months", "must be os_months where death is 1"),
        ("ttp_months", 0, 9.0, "ttp_months", "must not be after os_months"),
    ],
)
def test_bad_rows_are_named(column: str, row: int, value: Any, field: str, rule: str) -> None:
    """A last scan taken for the death, an event after it, and what is neither 0 nor 1."""
    study, frame = declared(competing="death"), progressed().astype(object)
    frame.loc[row, column] = value
    _, problems = read_competing(frame, study.outcomes["ttp"], study)
    assert [(p.row, p.field) for p in problems] == [(row + 1, field)]
    assert rule in problems[0].rule


def test_a_missing_column_is_named() -> None:
    """The competing column is the cohort's to give."""
    outcome = declared(competing="death").outcomes["ttp"]
    _, [problem] = read_competing(progressed().drop(columns="death"), outcome)
    assert (problem.field, problem.rule) == ("death", "column is missing")


@pytest.fixture(scope="module")
def model(cox_bundle: Path) -> RiskModel:
    """Return the Cox model of 90 simulated patients."""
    return load_model(cox_bundle)


def test_validation_takes_it_from_the_whole_study(model: RiskModel) -> None:
    """A model fitted before the study said what competes is validated with it; subgroups too."""
    tables = load_study("deb-tace-hcc").to_dict()
    tables["outcomes"]["os"]["competing"] = "transplant"
    study = Study.from_dict(tables)
    frame = simulate(300, seed=11)
    frame["transplant"] = ((frame["death"] == 0) & (frame.index % 2 == 0)).astype(int)
    cohort = check_validation_cohort(frame, model.manifest, study)
    assert cohort.competing is not None
    found = validate(model, cohort, replicates=0)
    assert found.cohort["competing"] == frame["transplant"].sum()
    at = found.evaluation.horizons[2]
    expected = cumulative_incidence(cohort.time, cohort.event, cohort.competing, 18)
    assert at.calibration.observed == expected
    group = next(g for g in found.subgroups if g.predictor == "tumor_number" and g.name == ">3")
    who = cohort.X[:, 0] == 1
    own = cumulative_incidence(cohort.time[who], cohort.event[who], cohort.competing[who], 18)
    risk = 1 - model.answer_encoded(cohort.X[who]).survival[:, 2].mean()
    ratio = group.observed_expected[2]
    assert ratio is not None
    assert ratio.value == pytest.approx(own.value / risk)
    report = text(found)
    assert "Observed risk (Aalen-Johansen)" in report
    assert "(1 - Kaplan-Meier), which overstates it by" in report
    before = validate(model, replace(cohort, competing=None), replicates=0)
    assert "competing" not in before.cohort
    assert "Observed risk (Kaplan-Meier)" in text(before)


@pytest.mark.cohorts
def test_progression_of_real_patients(cohorts: Path) -> None:
    """HCC-TACE-Seg at 24 months: 0.51 with deaths censored, and 0.44 with them counted."""
    d = pd.read_csv(cohorts / "hcc-tace-seg.csv")
    event = d["Censored_0_progressed_1"]
    died = (d["Death_1_StillAliveorLostToFU_0"] == 1) & (event == 0)
    # Whoever died without progression is followed to the death, not to the last scan.
    time = np.where(died, d["OS"], d["TTP"])
    at = 24 * WEEKS_PER_MONTH
    # R 4.2.2, survival 3.5.3: survfit(Surv(time, state) ~ 1) and survfit(Surv(time, event) ~ 1).
    assert 1 - kaplan_meier(time, event, at).value == pytest.approx(0.5067126, abs=1e-7)  # printed
    found = cumulative_incidence(time, event, died, at).value
    assert found == pytest.approx(0.4447927, abs=1e-7)  # digits printed

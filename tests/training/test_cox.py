"""Cox models agree with R, with scikit-survival and with a case worked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from riskscore.errors import ModelError
from riskscore.study import load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort, read_cohort
from training.cox import CoxModel, efron_pass
from training.encoding import StudyEncoder

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "cox.json").read_text())

SEG = ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age")


def fitted(cohort: Cohort) -> tuple[StudyEncoder, CoxModel]:
    """Return the encoder and the model fitted to a cohort."""
    encoder = StudyEncoder(cohort.predictors).fit(cohort.X)
    return encoder, CoxModel().fit(encoder.transform(cohort.X), cohort.y, cohort.groups)


def agree(cohort: Cohort, oracle: dict[str, Any], times: list[float]) -> None:
    """Assert that everything R printed is found again.

    Both solve the same equations; R iterates to 1e-11 of the log-likelihood, which leaves the
    coefficients about 1e-7 apart at worst. The issue of both sides is 1e-6.
    """
    encoder, model = fitted(cohort)
    assert len(cohort.time) == oracle["rows"]
    assert cohort.event.sum() == oracle["events"]
    close = {"rtol": 1e-6, "atol": 1e-9}  # see above
    np.testing.assert_allclose(model.coef_, oracle["coef"], **close)
    se = np.sqrt(np.diag(model.variance_))
    np.testing.assert_allclose(se, oracle["se"], **close)
    naive = np.sqrt(np.diag(model.information_variance_))
    np.testing.assert_allclose(naive, oracle["se_model_based"], **close)
    np.testing.assert_allclose(
        [model.loglik_null_, model.sums_.loglik], oracle["loglik"], rtol=1e-10
    )  # the log-likelihood is flat at its maximum
    records = pd.DataFrame(oracle["newdata"])[[p.name for p in cohort.predictors]]
    curves = model.predict_curves(encoder.transform(records.to_numpy(float)))
    at = np.searchsorted(model.sums_.times, np.array(times) + 1e-9, side="right") - 1
    # With repeated rows R's bounds take the baseline's rows as independent: see test_cox_clusters.
    named = ("survival", "lower", "upper") if cohort.groups is None else ("survival",)
    for found, name in zip(curves, named, strict=False):
        np.testing.assert_allclose(found[:, at], oracle[name], **close)


def test_tied_times_agree_with_r() -> None:
    """240 simulated patients in whole months: Efron coefficients, baseline and curves."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    oracle = R["simulated"]
    names = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", names)
    agree(cohort, oracle, oracle["times"])


def test_clustered_variance_agrees_with_r() -> None:
    """Three rows a patient: the robust variance sums a patient's score residuals."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    frame["patient"] = np.ceil(frame["patient"] / 3)
    declared = load_study("deb-tace-hcc").to_dict()
    declared["study"]["cluster"] = "patient"
    study = type(load_study("deb-tace-hcc")).from_dict(declared)
    names = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
    oracle = R["simulated_clustered"]
    agree(check_cohort(frame, study, "os", names), oracle, oracle["times"])


@pytest.mark.cohorts
def test_hcc_tace_seg_agrees_with_r(cohorts: Path) -> None:
    """105 real patients; R read the source's file by rules of its own."""
    study = load_study("hcc-tace")
    cohort = read_cohort(cohorts / "hcc-tace-seg.csv", study, "os", SEG, "hcc-tace-seg")
    assert cohort.groups is None  # the study has a cluster, but nobody here has two rows
    agree(cohort, R["hcc_tace_seg"], [6, 12, 24, 36])


@pytest.mark.cohorts
@pytest.mark.parametrize("visits", ["first", "all"])
def test_survivalpath_agrees_with_r(cohorts: Path, visits: str) -> None:
    """First visits with the plain variance, all visits clustered on the patient."""
    cohort = read_cohort(
        cohorts / "survivalpath-hcc-visits.csv", load_study("hcc-tace"), "os", None,
        f"survivalpath-{visits}",
    )  # fmt: skip
    agree(cohort, R[f"survivalpath_{visits}"], [6, 12, 24, 36])


def test_all_visits_need_the_robust_variance() -> None:
    """The figures from R show why: several visits a patient are not so many patients."""
    oracle = R["survivalpath_all"]
    ratio = np.array(oracle["se"]) / np.array(oracle["se_model_based"])
    assert ratio.min() > 1.5


def test_a_case_worked_by_hand() -> None:
    """Five patients, one covariate, a tie of two deaths, at coefficient log 2.

    Risks 2 and 1 for z = 1 and 0. At time 1, of A(1) B(0) C(1) D(0) E(1), A and B die: steps with
    risk sets 8 and 8 - 3/2. At time 2 of C D E, C dies: risk set 5. E is censored at 3, D at 2.
    """
    z = np.array([[1.0], [0.0], [1.0], [0.0], [1.0]])
    time = np.array([1.0, 1.0, 2.0, 2.0, 3.0])
    event = np.array([True, True, True, False, False])
    found = efron_pass(z, time, event, np.array([np.log(2)]))
    np.testing.assert_allclose(found.times, [1, 2])
    np.testing.assert_allclose(
        found.loglik, 2 * np.log(2) - np.log(8) - np.log(6.5) - np.log(5), rtol=1e-14
    )
    hazard = [1 / 8 + 1 / 6.5, 1 / 8 + 1 / 6.5 + 1 / 5]
    np.testing.assert_allclose(found.hazard, hazard, rtol=1e-14)
    np.testing.assert_allclose(
        found.hazard_variance, [1 / 64 + 1 / 6.5**2, 1 / 64 + 1 / 6.5**2 + 1 / 25], rtol=1e-14
    )
    means = [6 / 8, (6 - 1) / 6.5, 4 / 5]
    np.testing.assert_allclose(found.information, [[sum(m * (1 - m) for m in means)]], rtol=1e-14)
    np.testing.assert_allclose(
        found.score_residuals.sum(), 2 - sum(means), rtol=1e-13
    )  # the score is the sum of its residuals
    np.testing.assert_allclose(
        found.hazard_mean[-1], [means[0] / 8 + means[1] / 6.5 + means[2] / 5], rtol=1e-14
    )


def test_untied_curves_agree_with_scikit_survival() -> None:
    """Without ties Efron's baseline is Breslow's, scikit-survival's."""
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(300, 3))
    time = rng.exponential(np.exp(-Z @ [0.5, -0.3, 0.0]))
    event = rng.random(300) < 0.7
    y = Surv.from_arrays(event, time)
    ours = CoxModel().fit(Z, y)
    theirs = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(Z, y)
    new = rng.normal(size=(1000, 3))
    expected = np.vstack([f(ours.sums_.times) for f in theirs.predict_survival_function(new)])
    np.testing.assert_allclose(ours.predict_curves(new)[0], expected, atol=1e-9)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new), atol=1e-9)


def test_mean_predicted_risk_is_one_minus_kaplan_meier_without_effects() -> None:
    """A covariate that means nothing leaves the mean curve at Kaplan-Meier's, nearly."""
    from sksurv.nonparametric import kaplan_meier_estimator

    frame = simulate(400, seed=9, decimals=6)
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    encoder, model = fitted(cohort)
    mean = model.predict_curves(encoder.transform(cohort.X))[0].mean(axis=0)
    times, observed = kaplan_meier_estimator(cohort.event, cohort.time)
    at = np.searchsorted(times, model.sums_.times)
    inside = observed[at] > 0.2
    # exp(-H) against a product limit, and a mean of curves against a curve: within 2 points.
    assert np.abs(mean - observed[at])[inside].max() < 0.02


def test_writing_every_row_twice_halves_the_robust_independence() -> None:
    """A patient's two equal rows as a cluster give the variance of the one row."""
    frame = simulate(150, seed=4, decimals=6)
    study = load_study("deb-tace-hcc")
    once = check_cohort(frame, study, "os", ("treatment", "age"))
    Z = StudyEncoder(once.predictors).fit(once.X).transform(once.X)
    single = CoxModel().fit(Z, once.y, np.arange(150))
    double = CoxModel().fit(
        np.repeat(Z, 2, axis=0), np.repeat(once.y, 2), np.repeat(np.arange(150), 2)
    )
    # Efron's ties of equal rows shift the estimate slightly; independence would give a ratio of 2.
    ratio = np.diag(single.variance_) / np.diag(double.variance_)
    np.testing.assert_allclose(ratio, 1, atol=0.1)


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ("collinear", "collinear: b = 1 - a in every row.*leave one of b, a out"),
        (
            "separated",
            r"coefficient of beta \(34 rows, 34 events\) runs away.*leave the predictor out",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(design: str, message: str) -> None:
    """No numbers come out of a model that has no maximum."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, 60).astype(float)
    time = rng.exponential(10, 60) + 1
    event = np.ones(60, bool) if design == "collinear" else z == 1
    Z = np.column_stack([z, 1 - z]) if design == "collinear" else z[:, None]
    names = ("a", "b") if design == "collinear" else ("beta",)
    with pytest.raises(ModelError, match=message):
        CoxModel(names=names).fit(Z, Surv.from_arrays(event, time))

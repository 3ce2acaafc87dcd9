"""Firth's penalised likelihood: by hand, against R, and through to the card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sksurv.util import Surv

from riskscore import load_model
from riskscore.errors import ModelError
from riskscore.study import load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort
from training.commands import coefficient_lines, hypothesis_lines
from training.cox import CoxModel
from training.cox.risk_sets import RiskSets, Ties
from training.fit import Fitted, Settings, fit
from training.validation.procedure import CoxProcedure

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "firth.json").read_text())

NAMES = ("extrahepatic_metastasis", "tumor_number", "treatment", "age")


def veteran() -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the design of `firth.R`: nobody with its last term has an event."""
    d = pd.read_csv(ORACLE / "veteran.csv")
    censored = d["event"] == 0
    alive = censored & (censored.cumsum() % 2 == 1)
    X = np.column_stack([d["karno"], d["age"], alive]).astype(float)
    return X, Surv.from_arrays(~censored, d["time"].astype(float))


def separated(n: int = 120) -> Cohort:
    """Return a cohort in which no patient with metastasis dies."""
    frame = simulate(n, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    return check_cohort(frame, load_study("deb-tace-hcc"), "os", NAMES)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """Return the fit of that cohort, with a few resamples."""
    return fit(separated(), "cox", Settings(penalty="firth", replicates=5))


@pytest.mark.parametrize("deaths", [1, 3, 10])
@pytest.mark.parametrize("with_it", [1, 4])
def test_one_risk_set_worked_by_hand(deaths: int, with_it: int) -> None:
    """All die at once, none of them with the term: (d + 1/2) log(1 - p) + log(p) / 2 is greatest.

    p is the share of the risk that those with the term have; the maximum is at p = 1 / (2 d + 2).
    """
    n = deaths + with_it + 6
    z = (np.arange(n) < with_it).astype(float)
    event = np.arange(n) >= n - deaths
    y = Surv.from_arrays(event, np.where(event, 1.0, 2.0))
    model = CoxModel(penalty="firth", ties="breslow").fit(z[:, None], y)
    expected = np.log((n - with_it) / (with_it * (2 * deaths + 1)))
    assert model.coef_[0] == pytest.approx(expected, abs=1e-8)  # the last step is 1e-9 errors
    p = 1 / (2 * deaths + 2)
    assert model.information_variance_[0, 0] == pytest.approx(
        1 / (deaths * p * (1 - p)), rel=1e-8
    )  # as above


@pytest.mark.parametrize("expected", R["fits"], ids=lambda f: str(f["ties"]))
def test_estimates_and_profile_are_those_of_a_direct_maximisation_in_r(
    expected: dict[str, Any],
) -> None:
    """Coefficients, errors, profile bounds and P values, and the test of the whole model."""
    X, y = veteran()
    model = CoxModel(names=tuple(R["terms"]), penalty="firth", ties=expected["ties"]).fit(X, y)
    rows = model.coefficients()
    # optim stops where the likelihood no longer changes: half of its digits for where that is.
    np.testing.assert_allclose(model.coef_, expected["coef"], rtol=1e-6)
    np.testing.assert_allclose([r.se for r in rows], expected["se"], rtol=1e-6)  # as above
    np.testing.assert_allclose(np.log([r.lower for r in rows]), expected["lower"], rtol=1e-6)
    np.testing.assert_allclose(np.log([r.upper for r in rows]), expected["upper"], rtol=1e-6)
    np.testing.assert_allclose([r.p for r in rows], expected["p"], rtol=1e-6)  # as above
    whole = model.tests_["likelihood_ratio"]
    assert whole.chi_square == pytest.approx(expected["likelihood_ratio"], rel=1e-8)  # as above
    assert set(model.tests_) == {"likelihood_ratio", "score"}


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_gradient_is_that_of_the_log_determinant(ties: Ties) -> None:
    """Against differences of the determinant itself, with tied deaths."""
    random = np.random.default_rng(4)
    Z = random.normal(size=(40, 3))
    sets = RiskSets(Z, np.ceil(random.exponential(4, 40)), random.random(40) < 0.7, ties)
    coef = random.normal(size=3) / 3

    def log_determinant(b: NDArray[np.float64]) -> float:
        return float(np.linalg.slogdet(sets.derivatives(b)[2])[1])

    slope = sets.slope_of_information(coef, np.linalg.inv(sets.derivatives(coef)[2]))
    h = 1e-5
    differences = [
        (log_determinant(coef + d) - log_determinant(coef - d)) / (2 * h) for d in h * np.eye(3)
    ]
    np.testing.assert_allclose(slope, differences, atol=1e-7)  # of a second-order difference


def test_units_and_the_choice_of_reference_change_nothing() -> None:
    """A determinant changes by a constant: the estimates are those of the same model."""
    X, y = veteran()
    plain = CoxModel(penalty="firth").fit(X, y)
    other = CoxModel(penalty="firth").fit(
        np.column_stack([X[:, 0] * 1e4, X[:, 1] + 30 * X[:, 0], 1 - X[:, 2]]), y
    )
    a, b, c = other.coef_
    # The same maximum, found to 1e-9 standard errors from other columns.
    np.testing.assert_allclose([a * 1e4 + 30 * b, b, -c], plain.coef_, rtol=1e-6)


def test_with_many_events_it_is_the_partial_likelihood() -> None:
    """The penalty is of order one, the likelihood of the order of the events."""
    random = np.random.default_rng(0)
    Z = random.normal(size=(4000, 2))
    y = Surv.from_arrays(random.random(4000) < 0.8, random.exponential(np.exp(-Z[:, 0])))
    firth = CoxModel(names=("a", "b"), penalty="firth").fit(Z, y)
    plain = CoxModel(names=("a", "b")).fit(Z, y)
    np.testing.assert_allclose(firth.coef_, plain.coef_, atol=1e-3)  # bias of 1 in 3,000 events
    for one, other in zip(firth.coefficients(), plain.coefficients(), strict=True):
        assert one.lower == pytest.approx(other.lower, rel=2e-3)  # as above
        assert one.upper == pytest.approx(other.upper, rel=2e-3)


def test_a_term_that_no_event_can_judge_is_refused() -> None:
    """Everybody with it leaves before the first event: no penalty helps."""
    y = Surv.from_arrays([False, False, True, True, True, True], [1.0, 1, 2, 3, 4, 5])
    z = np.array([[1.0], [1], [0], [0], [0], [0]])
    with pytest.raises(ModelError, match="says nothing about any event.*merge its levels"):
        CoxModel(penalty="firth").fit(z, y)


def test_a_bundle_of_a_separated_cohort_has_an_interval_that_excludes_1(
    fitted: Fitted, tmp_path: Path
) -> None:
    """The level without events has a finite hazard ratio; what was done is said."""
    fitted.write(tmp_path / "b")
    model = load_model(tmp_path / "b")
    inference = model.bundle.read("inference.json")
    row = inference["coefficients"][1]
    assert row["term"] == "extrahepatic_metastasis[yes]"
    assert row["se"] > 1
    assert 0 < row["lower"] < row["hazard_ratio"] < row["upper"] < 1
    # Not Wald's: the profile is skewed towards 0.
    below, above = np.log([row["hazard_ratio"] / row["lower"], row["upper"] / row["hazard_ratio"]])
    assert below > 1.5 * above
    contrast = inference["contrasts"][1]
    assert [contrast[k] for k in ("lower", "upper", "p")] == [
        row[k] for k in ("lower", "upper", "p")
    ]
    assert inference["penalty"] is None
    assert "Heinze & Schemper" in inference["penalised_likelihood"]["source"]
    assert model.manifest.training["settings"]["penalty"] == "firth"
    assert inference["covariance"] is None
    assert model.manifest.intervals["available"] is False
    assert "Firth's penalised likelihood" in model.manifest.intervals["reason"]
    patient = {"tumor_number": "<=3", "treatment": "deb_tace", "age": 50}
    answer = model.predict(patient | {"extrahepatic_metastasis": "yes"}, times=[12])
    assert 0.8 < answer.survival.loc[0, 12.0] < 1
    assert np.isnan(answer.lower.loc[0, 12.0])
    text = "\n".join(coefficient_lines(inference) + hypothesis_lines(inference))
    assert "no effect: likelihood ratio" in text


def test_validation_repeats_the_penalty(fitted: Fitted) -> None:
    """A resample is separated too: it is fitted, not counted as failed."""
    assert fitted.evaluation["validation"]["replicates"]["failed"] == 0
    cohort = separated()
    rows = np.arange(len(cohort.time))
    refit = CoxProcedure(cohort.predictors, Settings(penalty="firth")).fit(
        cohort, rows, cohort.time
    )
    # Both end at the same maximum; the refit starts elsewhere in last digits only.
    np.testing.assert_allclose(refit.coef, fitted.pipeline["model"].coef_, rtol=1e-9)


def test_repeated_rows_have_estimates_without_errors() -> None:
    """The profile takes rows for independent, and a level without events has no robust variance."""
    cohort = separated()
    X, y = cohort.X, cohort.y
    model = CoxModel(names=NAMES, penalty="firth").fit(X, y, np.arange(len(X)) // 2)
    np.testing.assert_allclose(model.coef_, CoxModel(penalty="firth").fit(X, y).coef_, rtol=1e-12)
    assert np.isnan(model.variance_).all()
    assert model.tests_ == {}
    with pytest.raises(ModelError, match="no standard errors.*rows of a patient are repeated"):
        model.coefficients()


@pytest.mark.parametrize("penalty", ["auto", 0.0])
def test_a_separated_cohort_is_refused_with_firth_as_the_remedy(penalty: Any) -> None:
    """A cross-validated ridge chose the weakest it tried, and a hazard ratio of 5,000 with it."""
    rows = r"extrahepatic_metastasis.* 22 rows|extrahepatic_metastasis\[yes\] \(22 rows, 0 events\)"
    with pytest.raises(ModelError, match=rows) as refusal:
        fit(separated(), "cox", Settings(penalty=penalty))
    assert "--penalty firth" in str(refusal.value)


def test_a_ridge_over_a_separation_says_that_it_alone_limits_the_effect() -> None:
    """A number given by hand is taken, and warned of."""
    weak = fit(separated(), "cox", Settings(penalty=1e-3)).inference
    assert any(
        w.startswith(
            "without the ridge the coefficient of extrahepatic_metastasis[yes] (22 rows, 0"
        )
        for w in weak["warnings"]
    )
    assert any("is beyond belief" in w for w in weak["warnings"])


def test_the_end_of_the_grid_is_said() -> None:
    """Noise chooses the strongest ridge of all; the reader is told."""
    frame = simulate(200, 3)
    frame["age"] = np.random.default_rng(1).permutation(frame["age"])
    frame["treatment"] = np.random.default_rng(0).permutation(frame["treatment"])
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    inference = fit(cohort, "cox", Settings(penalty="auto")).inference
    assert any("the strongest that was tried" in w for w in inference["warnings"])


def test_firth_and_shrinkage_exclude_each_other() -> None:
    """Both take back what the likelihood is too sure of."""
    with pytest.raises(ModelError, match="shrink and a penalty, 'firth', do the same work"):
        Settings(penalty="firth", shrink=True, replicates=50)


def twice() -> Cohort:
    """Return the separated cohort with its metastasis declared and recorded twice."""
    frame = simulate(120, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    frame["vascular_invasion"] = frame["extrahepatic_metastasis"]
    names = ("extrahepatic_metastasis", "vascular_invasion", "treatment", "age")
    return check_cohort(frame, load_study("deb-tace-hcc"), "os", names)


def test_an_alias_does_not_hide_a_separation_from_the_ridge() -> None:
    """The alias stopped the trial fit, and the advice was to fit without a penalty."""
    with pytest.raises(ModelError, match="chose the weakest ridge.*runs away") as refusal:
        fit(twice(), "cox", Settings(penalty="auto"))
    first = "leave extrahepatic_metastasis[yes], which the other terms imply, out with --predictors"
    assert f"{first}, then use --penalty firth" in str(refusal.value)


def test_an_effect_shared_among_aliases_is_judged_whole() -> None:
    """Each half of it could be believed."""
    warnings = " ".join(fit(twice(), "cox", Settings(penalty=0.05)).inference["warnings"])
    assert "vascular_invasion with its aliases (extrahepatic_metastasis[yes]): the haz" in warnings
    assert "without the ridge the coefficient of vascular_invasion[yes] (22 rows, 0 ev" in warnings


def test_the_fit_is_labelled_as_firth_s(fitted: Fitted) -> None:
    """It said "inverse information", as of an ordinary fit, beside bounds of the profile."""
    assert "Firth's penalised likelihood" in fitted.inference["variance"]
    assert "intervals are those of its profile" in fitted.inference["variance"]


def test_firth_s_penalty_of_repeated_rows_is_warned_of() -> None:
    """Each patient twice: the estimate of a level without events grows with the rows."""
    frame = simulate(120, 3)
    frame.loc[frame["extrahepatic_metastasis"] == "yes", "death"] = 0
    frame = pd.concat([frame, frame])
    study = replace(load_study("deb-tace-hcc"), cluster="patient")
    cohort = check_cohort(frame, study, "os", NAMES)
    warnings = fit(cohort, "cox", Settings(penalty="firth")).inference["warnings"]
    assert any("takes rows for independent patients" in text for text in warnings)

"""A ridge shrinks as in R and scikit-survival, is chosen by likelihood, and claims no errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from riskscore import load_model
from riskscore.errors import ModelError
from riskscore.study import load_study
from tests.conftest import simulate
from training.cohort import check_cohort
from training.cox import CoxModel
from training.cox.penalty import FOLDS, choose_penalty
from training.fit import Settings, fit

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "splines.json").read_text())


def simulated(n: int, effect: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return a design of five columns and untied outcomes; the first two have an effect."""
    random = np.random.default_rng(seed)
    Z = random.normal(size=(n, 5)) * [1, 3, 0.2, 1, 1]
    time = random.exponential(np.exp(-effect * (Z[:, 0] + Z[:, 1] / 3)))
    return Z, Surv.from_arrays(random.random(n) < 0.7, time)


@pytest.mark.parametrize("ridge", R["ridges"], ids=lambda r: str(r["penalty"]))
def test_the_ridge_is_that_of_r(ridge: dict[str, list[float]]) -> None:
    """Coefficients per standard deviation, as survival::ridge has them on standardised columns."""
    d = pd.read_csv(ORACLE / "veteran.csv")
    X = d[["karno", "age"]].to_numpy(float)
    model = CoxModel(penalty=ridge["penalty"]).fit(X, Surv.from_arrays(d["event"] == 1, d["time"]))
    # R's penalised iteration stops when the penalised likelihood changes by 1e-13.
    np.testing.assert_allclose(model.coef_ * X.std(axis=0), ridge["coef"], rtol=1e-6)


def test_the_ridge_is_that_of_scikit_survival() -> None:
    """Its alpha, on standardised columns."""
    Z, y = simulated(150, 0.6)
    model = CoxModel(penalty=7.0).fit(Z, y)
    theirs = CoxPHSurvivalAnalysis(alpha=7.0, ties="efron", tol=1e-12).fit(Z / Z.std(axis=0), y)
    np.testing.assert_allclose(model.coef_ * Z.std(axis=0), theirs.coef_, rtol=1e-8)  # solvers


def test_the_likelihood_is_cross_validated_as_published() -> None:
    """One penalty redone with scikit-survival's fits and a likelihood summed patient by patient."""
    Z, y = simulated(60, 0.8)
    Z = Z / Z.std(axis=0)
    found = choose_penalty(Z, y, np.arange(60) // 2, seed=3)
    assert found.folds == FOLDS
    k = 10
    fold = _folds_of(y, np.arange(60) // 2)
    expected = 0.0
    for held in range(FOLDS):
        kept = fold != held
        fitted = CoxPHSurvivalAnalysis(alpha=found.tried[k], tol=1e-12).fit(Z[kept], y[kept])
        expected += _loglik(Z, y, fitted.coef_) - _loglik(Z[kept], y[kept], fitted.coef_)
    assert found.likelihood[k] == pytest.approx(expected, rel=1e-9)  # two solvers, flat maximum
    assert found.penalty == found.tried[np.argmax(found.likelihood)]


def _folds_of(y: np.ndarray, patient: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    from training.cox.penalty import _folds

    fold, folds = _folds(y["event"], patient, 3)
    assert folds == FOLDS
    assert all(len(set(fold[patient == p])) == 1 for p in set(patient))  # a patient has one fold
    died = np.array([y["event"][patient == p].any() for p in range(30)])
    counts = np.bincount(fold[::2][died], minlength=FOLDS)
    assert counts.max() - counts.min() <= 1  # patients with an event are spread evenly
    return fold


def _loglik(Z: np.ndarray, y: np.ndarray, coef: np.ndarray) -> float:  # type: ignore[type-arg]
    lp = Z @ coef
    return float(
        sum(
            lp[i] - np.log(np.exp(lp[y["time"] >= y["time"][i]]).sum())
            for i in np.flatnonzero(y["event"])
        )
    )


def test_noise_is_shrunken_and_a_strong_effect_is_not() -> None:
    """The choice follows the data; the same seed makes the same choice."""
    noise = choose_penalty(*simulated(200, 0.0))
    strong = choose_penalty(*simulated(200, 1.5))
    assert noise.penalty > 30 * strong.penalty
    assert choose_penalty(*simulated(200, 1.5)).penalty == strong.penalty
    assert (np.diff(strong.tried) < 0).all()


def test_asking_a_shrunken_model_for_errors_is_refused() -> None:
    """No standard error, no interval, no P value; survival stays."""
    Z, y = simulated(100, 0.6)
    model = CoxModel(penalty=5.0).fit(Z, y)
    with pytest.raises(ModelError, match=r"ridge penalty \(5\) has no standard errors.*fit with"):
        model.coefficients()
    survival, lower, upper = model.predict_curves(Z[:3])
    assert np.isfinite(survival).all()
    assert np.isnan(lower).all()
    assert np.isnan(upper).all()
    assert model.tests_ == {}


def test_a_shrunken_model_s_bundle_says_that_it_has_no_intervals(tmp_path: Path) -> None:
    """Hazard ratios alone; the manifest tells why; predictions have survival without bounds."""
    cohort = check_cohort(simulate(90, 1), load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    fitted = fit(cohort, "cox", Settings(penalty="auto", seed=4))
    fitted.write(tmp_path / "b")
    model = load_model(tmp_path / "b")
    assert model.manifest.intervals["available"] is False
    assert "ridge penalty" in model.manifest.intervals["reason"]
    inference = model.bundle.read("inference.json")
    assert inference["penalty"]["chosen"].startswith("the best of 25 by 10-fold")
    assert inference["penalty"]["value"] == model.manifest.training["settings"]["penalty"]
    for c in inference["coefficients"]:
        assert c["hazard_ratio"] == pytest.approx(np.exp(c["coef"]))
        assert [c[key] for key in ("se", "lower", "upper", "p")] == [None] * 4
    for key in ("tests", "covariance", "proportional_hazards", "nonlinearity", "association"):
        assert inference[key] is None
    answer = model.predict({"treatment": "deb_tace", "age": 50}, times=[12])
    assert 0 < answer.survival.loc[0, 12.0] < 1
    assert answer.lower is None or np.isnan(answer.lower.loc[0, 12.0])


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf"), "strong"])
def test_a_penalty_is_a_number_or_has_a_name(penalty: object) -> None:
    """Anything else is refused before anything is fitted."""
    with pytest.raises(ModelError, match='penalty must be a number from 0, "auto" or "firth", got'):
        Settings(penalty=penalty)  # type: ignore[arg-type]

"""Metrics agree with R's survival, riskRegression and rms on four cohorts, ties and all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sksurv import metrics as sksurv_metrics
from sksurv.util import Surv

from riskscore.metrics import (
    brier_score,
    calibration,
    concordance,
    integrated_brier,
    kaplan_meier,
    net_benefit,
    royston_d,
    time_dependent_auc,
)
from tests.agreement import Agreement

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "metrics.json").read_text())
COHORTS = ("reconstructed", "lung", "veteran", "tied")

SCORE, SURVFIT, COXPH = "riskRegression::Score", "survival::survfit", "survival::coxph"

CLOSED = {"rtol": 1e-10, "atol": 1e-12}  # the same closed formula, summed in another order
FITTED = {"rtol": 1e-6, "atol": 1e-8}  # both sides solve for coefficients, R to 1e-12 of loglik


class Case(NamedTuple):
    """A cohort with predictions, and what R says of it."""

    time: np.ndarray
    event: np.ndarray
    group: np.ndarray
    score: np.ndarray
    survival: np.ndarray
    horizons: list[float]
    r: dict[str, Any]
    name: str


@pytest.fixture(params=COHORTS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    """Return one cohort."""
    frame = pd.read_csv(ORACLE / "metrics.csv").query("cohort == @request.param")
    columns = [frame[name].to_numpy() for name in ("time", "event", "group", "risk_score")]
    r = R[request.param]
    return Case(*columns, frame[["s1", "s2", "s3"]].to_numpy(), r["horizons"], r, request.param)


def test_concordance_agrees_with_r(case: Case, agree: Agreement) -> None:
    """Harrell's and Uno's, with and without a last time, and with clusters; with SEs."""
    tau = case.horizons[-1]
    for name, keywords in {
        "harrell": {},
        "harrell_clustered": {"groups": case.group},
        "harrell_ymax": {"tau": tau},
        "uno": {"weighting": "uno"},
        "uno_ymax": {"weighting": "uno", "tau": tau},
        "uno_clustered": {"weighting": "uno", "tau": tau, "groups": case.group},
    }.items():
        found = concordance(case.time, case.event, case.score, **keywords)  # type: ignore[arg-type]
        ours, theirs = (found.value, found.se), case.r[name]
        figure = f"{'Uno' if 'uno' in name else 'Harrell'}'s concordance"
        error = f"{figure}: standard error" + (", clustered" if "clustered" in name else "")
        agree(figure, "survival::concordance", case.name, ours[0], theirs[0], **CLOSED)
        agree(error, "survival::concordance", case.name, ours[1], theirs[1], **CLOSED)


def test_auc_agrees_with_riskregression(case: Case, agree: Agreement) -> None:
    """Value and the standard error that counts the estimation of the censoring curve."""
    for k, horizon in enumerate(case.horizons):
        [found] = time_dependent_auc(case.time, case.event, 1 - case.survival[:, k], horizon)
        value, se = case.r["auc"][k]
        agree("AUC", SCORE, case.name, found.value, value, **CLOSED)
        agree("AUC: standard error", SCORE, case.name, found.se, se, **CLOSED)


def test_brier_agrees_with_riskregression(case: Case, agree: Agreement) -> None:
    """Brier score, Kaplan-Meier's own and IPA, and the standard errors of the first two."""
    found = brier_score(case.time, case.event, case.survival, case.horizons, n_bootstrap=0)
    for k, at in enumerate(found):
        for name, score in (("brier", at.brier), ("null", at.null)):
            value, se = case.r[name][k]
            figure = "Brier score" if name == "brier" else "Brier score of Kaplan-Meier"
            agree(figure, SCORE, case.name, score.value, value, **CLOSED)
            agree(f"{figure}: standard error", SCORE, case.name, score.se, se, **CLOSED)
        agree("IPA", SCORE, case.name, at.ipa.value, case.r["ipa"][k], rtol=1e-8)  # a difference


def test_integrated_brier_agrees_with_riskregression(case: Case, agree: Agreement) -> None:
    """The IBS of the model and of Kaplan-Meier, on the horizons as grid."""
    found = integrated_brier(case.time, case.event, case.survival, case.horizons, n_bootstrap=0)
    values = (found.brier.value, found.null.value)
    theirs = (case.r["ibs"][-1], case.r["null_ibs"][-1])
    agree("integrated Brier score", SCORE, case.name, values, theirs, **CLOSED)


def test_kaplan_meier_agrees_with_survfit(case: Case, agree: Agreement) -> None:
    """Curve, Greenwood's error, log-log interval, and the clustered error."""
    for horizon, r in zip(case.horizons, case.r["per_horizon"], strict=True):
        found = kaplan_meier(case.time, case.event, horizon)
        values = [found.value, found.se, found.lower, found.upper]
        agree(
            "Kaplan-Meier, error, interval", SURVFIT, case.name, values, r["kaplan_meier"], **CLOSED
        )
        clustered = kaplan_meier(case.time, case.event, horizon, groups=case.group)
        figure = "Kaplan-Meier: standard error, clustered"
        agree(figure, SURVFIT, case.name, clustered.se, r["clustered_se"], **CLOSED)


@pytest.mark.parametrize("n_knots", [3, 4])
def test_calibration_agrees_with_coxph_and_rcs(case: Case, n_knots: int, agree: Agreement) -> None:
    """Slope, intercept, groups, smooth curve on rms's knots, ICI, E50 and E90."""
    found = calibration(
        case.time, case.event, case.survival, case.horizons,
        n_groups=5, n_knots=n_knots, n_bootstrap=0,
    )  # fmt: skip
    for at, r, survival in zip(found, case.r["per_horizon"], case.survival.T, strict=True):
        assert at.slope is not None
        assert at.intercept is not None
        assert at.curve is not None
        slope, intercept = (at.slope.value, at.slope.se), (at.intercept.value, at.intercept.se)
        agree("calibration slope, error", COXPH, case.name, slope, r["slope"], **FITTED)
        agree("calibration intercept, error", COXPH, case.name, intercept, r["intercept"], **CLOSED)
        ratio = (1 - r["kaplan_meier"][0]) / (1 - survival).mean()
        agree("observed/expected", SURVFIT, case.name, at.observed_expected.value, ratio, **CLOSED)
        smooth = r[f"smooth{n_knots}"]
        knots = np.log(-np.log1p(-np.array(at.curve.knots)))
        figure = "smooth calibration: knots"
        agree(figure, "rms::rcs", case.name, knots, smooth["knots"], rtol=1e-9)  # there and back
        figure = "smooth calibration: curve"
        agree(figure, COXPH, case.name, at.curve.observed, smooth["curve"], **FITTED)
        for name in ("ici", "e50", "e90"):
            value = getattr(at, name).value
            agree(name.upper(), COXPH, case.name, value, smooth[name], **FITTED)
        assert len(at.groups) == len(r["groups"])
        for group, theirs in zip(at.groups, r["groups"], strict=True):
            n, predicted, km, se, lower, upper = theirs
            assert group.n == n
            figure, values = "risk groups", (group.predicted, group.observed.value)
            agree(figure, SURVFIT, case.name, values, (predicted, 1 - km), **CLOSED)
            if 0 < km < 1:  # else there is no log-log interval, here or there
                values = [group.observed.se, group.observed.lower, group.observed.upper]
                limits = (se, 1 - upper, 1 - lower)
                agree("risk groups: error, interval", SURVFIT, case.name, values, limits, **CLOSED)


def test_clustered_slope_agrees_with_coxph(case: Case, agree: Agreement) -> None:
    """The slope's sandwich, score residuals summed within clusters."""
    found = calibration(
        case.time, case.event, case.survival, case.horizons, groups=case.group, n_bootstrap=0
    )
    for at, r in zip(found, case.r["per_horizon"], strict=True):
        assert at.slope is not None
        figure = "calibration slope: standard error, clustered"
        agree(figure, COXPH, case.name, at.slope.se, r["slope_robust_se"], **FITTED)


def test_net_benefit_agrees_with_survfit(case: Case, agree: Agreement) -> None:
    """The definition of Vickers et al., with R's Kaplan-Meier among those at or above."""
    found = net_benefit(
        case.time, case.event, case.survival, case.horizons, thresholds=case.r["thresholds"]
    )
    for at, r in zip(found, case.r["per_horizon"], strict=True):
        agree("net benefit", SURVFIT, case.name, at.model.value, r["net_benefit"], **CLOSED)


def test_royston_agrees_with_r(case: Case, agree: Agreement) -> None:
    """D, its error and R2."""
    found = royston_d(case.time, case.event, case.score)
    values = [found.d.value, found.d.se, found.r2.value]
    agree("Royston's D, error, R2", COXPH, case.name, values, case.r["royston"], **FITTED)


def test_scikit_survival_agrees_where_definitions_do(case: Case, agree: Agreement) -> None:
    """Harrell's always; IPCW figures where no event ties with a censoring.

    scikit-survival weights by G(t), not G(t-), and lets the censored of a tied time leave before
    the events' weights are taken, so times are made distinct, which parts the two by nothing else.
    """
    tied = sksurv_metrics.concordance_index_censored(
        case.event.astype(bool), case.time, case.score, 1e-12
    )[0]
    ours = concordance(case.time, case.event, case.score).value
    sksurv = "scikit-survival"
    agree("Harrell's concordance", sksurv, case.name, ours, tied, atol=1e-12)  # counts of pairs
    untied = f"{case.name}, ties parted"
    time = case.time + np.random.default_rng(1).permutation(len(case.time)) * 1e-4
    y = Surv.from_arrays(case.event.astype(bool), time)
    tau = case.horizons[-1]
    theirs = sksurv_metrics.concordance_index_ipcw(y, y, case.score, tau, 1e-12)[0]
    ours = concordance(time, case.event, case.score, weighting="uno", tau=tau).value
    agree("Uno's concordance", sksurv, untied, ours, theirs, atol=1e-12)  # pairs, weighted alike
    aucs, _ = sksurv_metrics.cumulative_dynamic_auc(y, y, case.score, case.horizons)
    found = time_dependent_auc(time, case.event, case.score, case.horizons)
    agree("AUC", sksurv, untied, [at.value for at in found], aucs, **CLOSED)
    _, briers = sksurv_metrics.brier_score(y, y, case.survival, case.horizons)
    scores = brier_score(time, case.event, case.survival, case.horizons, n_bootstrap=0)
    agree("Brier score", sksurv, untied, [at.brier.value for at in scores], briers, **CLOSED)

"""Curves of cohorts with repeated rows: the joint variance of coefficients and baseline."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import root
from sksurv.util import Surv

from riskscore import load_model
from riskscore.study import Study, load_study
from tests.conftest import PATIENT, simulate
from training.cohort import check_cohort
from training.cox import CoxModel
from training.cox.baseline_variance import model_based
from training.cox.risk_sets import Ties
from training.fit import fit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHAPE, EFFECTS = 1.3, np.array([0.7, -0.5])


def visits(
    seed: int, patients: int, decimals: int = 6, shared: bool = True
) -> tuple[FloatArray, NDArray[Any], IntArray]:
    """Return one to six rows a patient, their outcome and their patient.

    Each row's time is of the proportional hazards model with `EFFECTS`. Rows of a patient share
    their covariates and, in half of the patients, one chance of an early or late event, as visits
    share a death; `shared` False makes all rows independent.
    """
    random = np.random.default_rng(seed)
    rows = random.integers(1, 7, patients)
    of = np.repeat(np.arange(patients), rows)
    traits = (random.random((patients, 2)) < [0.4, 0.5]).astype(float)
    chance = random.exponential(1, len(of))
    if shared:
        together = (random.random(patients) < 0.5)[of]
        chance = np.where(together, random.exponential(1, patients)[of], chance)
        X = traits[of]
    else:
        X = (random.random((len(of), 2)) < [0.4, 0.5]).astype(float)
    time = 12 * (chance * np.exp(-X @ EFFECTS)) ** (1 / SHAPE)
    censored = random.uniform(4, 30, len(of))
    observed = np.maximum(np.minimum(time, censored).round(decimals), 0.1)
    return X, Surv.from_arrays(time <= censored, observed), of


def weighted(
    X: FloatArray, y: NDArray[Any], weight: FloatArray, ties: Ties
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and baseline hazard of weighted rows, in loops over the definition.

    The steps of tied deaths share their weight evenly, as in R's `coxph` with weights.
    """
    event, time = y["event"], y["time"]
    times = np.unique(time[event])

    def steps(coef: FloatArray) -> tuple[FloatArray, list[float]]:
        score, jumps = np.zeros(X.shape[1]), []
        risk = weight * np.exp(X @ coef)
        for t in times:
            dying = event & (time == t)
            each = weight[dying].mean()
            score += weight[dying] @ X[dying]
            jump = 0.0
            for k in range(dying.sum()):
                part = k / dying.sum() if ties == "efron" else 0.0
                left = risk * ((time >= t) - part * dying)
                score -= each * (left @ X) / left.sum()
                jump += each / left.sum()
            jumps.append(jump)
        return score, jumps

    def score_at(coef: FloatArray) -> FloatArray:
        return steps(coef)[0]

    fit = root(score_at, np.zeros(X.shape[1]), tol=1e-12)
    return np.asarray(fit.x), np.cumsum(steps(fit.x)[1])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_influence_is_the_derivative_in_a_cluster_s_weight(ties: Ties) -> None:
    """Twelve patients with tied times; each patient's weight moved by a thousandth."""
    X, y, of = visits(3, 12, decimals=0)
    assert len(np.unique(y["time"][y["event"]])) < y["event"].sum() / 2  # ties in plenty
    model = CoxModel(ties=ties).fit(X, y, of)
    step = 1e-3
    influences = []
    for cluster in np.unique(of):
        ends = []
        for sign in (-1, 1):
            coef, hazard = weighted(X, y, 1 + sign * step * (of == cluster), ties)
            # The baseline of the centre, as the model keeps it.
            log_hazard = np.log(hazard) + model.center_ @ coef
            ends.append(np.concatenate([coef, log_hazard]))
        influences.append((ends[1] - ends[0]) / (2 * step))
    influence = np.array(influences)
    joint = influence.T @ influence
    p = X.shape[1]
    # The quotient of differences is off by about the squared step.
    for ours, theirs in (
        (model.variance_, joint[:p, :p]),
        (model.baseline_variance_.covariance, joint[p:, :p]),
        (model.baseline_variance_.variance, np.diag(joint)[p:]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_cohort_written_twice_has_the_same_intervals() -> None:
    """A copy of every row tells nothing new. Breslow's ties: Efron's tell copies from one row."""
    X, y, of = visits(1, 80)
    once = CoxModel(ties="breslow").fit(X, y, of)
    twice = CoxModel(ties="breslow").fit(np.tile(X, (2, 1)), np.tile(y, 2), np.tile(of, 2))
    for a, b in zip(once.predict_curves(X[:9]), twice.predict_curves(X[:9]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)  # each iteration stops at 1e-10 of an error


def test_single_rows_have_about_the_variance_of_independent_ones() -> None:
    """On 3,000 independent rows of the model the two variances estimate the same."""
    X, y, _ = visits(5, 900, shared=False)
    robust = CoxModel().fit(X, y, np.arange(len(y)))
    naive = model_based(robust.sums_, robust.information_variance_)
    middle = slice(100, -100)
    ratio = np.sqrt(robust.baseline_variance_.variance / naive.variance)[middle]
    assert 0.97 < ratio.min() < ratio.max() < 1.03  # its standard error is about 0.01


def standard_errors(model: CoxModel, X: FloatArray, at: FloatArray) -> FloatArray:
    """Return the standard errors of log(-log survival), of shape (n_patients, n_times)."""
    _, lower, upper = model.predict_curves(X)
    place = np.searchsorted(model.sums_.times, at, side="right") - 1
    widths = np.log(-np.log(lower[:, place])) - np.log(-np.log(upper[:, place]))
    return np.asarray(widths / (2 * 1.959963984540054))


PROFILES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
AT = np.array([3.0, 6.0, 12.0])


def log_hazards(model: CoxModel) -> FloatArray:
    """Return the log cumulative hazards of `PROFILES` at `AT`."""
    place = np.searchsorted(model.sums_.times, AT, side="right") - 1
    lp = (PROFILES - model.center_) @ model.coef_
    return np.asarray(lp[:, None] + np.log(model.sums_.hazard[place]))


def test_standard_errors_are_those_of_a_cluster_bootstrap() -> None:
    """400 patients, 1,000 resamples of patients; the naive errors are a third too small."""
    X, y, of = visits(7, 400)
    model = CoxModel().fit(X, y, of)
    of_patient = [np.flatnonzero(of == k) for k in range(400)]
    random = np.random.default_rng(8)
    drawn = []
    for _ in range(1000):
        rows = np.concatenate([of_patient[k] for k in random.integers(400, size=400)])
        drawn.append(log_hazards(CoxModel().fit(X[rows], y[rows])))
    ratio = standard_errors(model, PROFILES, AT) / np.std(drawn, axis=0)
    # 1,000 resamples leave a standard error of 0.022 on each.
    assert 0.93 < ratio.min() < ratio.max() < 1.07
    assert 0.97 < ratio.mean() < 1.03
    naive = CoxModel().fit(X, y)
    assert (standard_errors(naive, PROFILES, AT) / np.std(drawn, axis=0)).max() < 0.85


def test_intervals_of_curves_cover_the_truth() -> None:
    """600 cohorts of 200 patients with 700 rows; independent rows would cover about 0.8."""
    truth = PROFILES @ EFFECTS
    log_truth = truth[:, None] + SHAPE * np.log(AT / 12)
    covered: list[NDArray[np.bool_]] = []
    naive: list[NDArray[np.bool_]] = []
    for seed in range(600):
        X, y, of = visits(1000 + seed, 200)
        for groups, told in ((of, covered), (None, naive)):
            model = CoxModel().fit(X, y, groups)
            half = 1.959963984540054 * standard_errors(model, PROFILES, AT)
            told.append(np.abs(log_hazards(model) - log_truth) <= half)
    # 0.93 to 0.97 is asked; 600 cohorts leave a standard error of 0.009 on a cell.
    by_cell = np.mean(covered, axis=0)
    assert 0.915 < by_cell.min() < by_cell.max() < 0.98
    assert 0.935 < by_cell.mean() < 0.965
    assert np.mean(naive) < 0.88


def test_memory_and_time_grow_with_rows_plus_times() -> None:
    """100,000 rows with as many event times would be 80 GB by row and time."""
    X, y, of = visits(9, 30_000)
    model = CoxModel().fit(X, y, of)
    variance = model.baseline_variance_.variance
    assert len(variance) > 50_000
    assert np.isfinite(variance).all()
    # A hazard that grows by small steps has a variance that changes by small steps.
    late = variance[1000:-1000]
    assert max(abs(b / a - 1) for a, b in pairwise(late.tolist())) < 0.01


def test_the_bundle_answers_with_the_joint_variance(tmp_path: Path) -> None:
    """Graph, equation and estimator agree, and what takes rows as independent is left out."""
    frame = simulate(300, seed=4)
    frame["patient"] = np.arange(len(frame)) // 3
    declared = load_study("deb-tace-hcc").to_dict()
    declared["study"]["cluster"] = "patient"
    cohort = check_cohort(frame, Study.from_dict(declared), "os", list(PATIENT))
    fitted = fit(cohort, "cox")
    fitted.write(tmp_path / "b")
    model = load_model(tmp_path / "b")
    X = fitted.pipeline["encode"].transform(cohort.X[:40])
    survival, lower, upper = fitted.pipeline["model"].predict_curves(X)
    answered = model.curves(cohort.X[:40])
    for ours, graph in zip((survival, lower, upper), answered, strict=False):
        np.testing.assert_allclose(graph, ours, rtol=1e-9)  # the same sums in another order
    times = np.array([6.0, 12.0, 18.0])
    of_log = model.equation.log_hazards(cohort.X[:40], cohort.X[:40], times)
    errors = standard_errors(fitted.pipeline["model"], X, times)
    np.testing.assert_allclose(np.sqrt(of_log.variance), errors, rtol=1e-6)  # bounds near 0 and 1
    assert "summed by patient" in model.manifest.intervals["method"]
    inference = fitted.inference
    assert set(inference["tests"]) == {"robust_score", "wald"}
    assert "taken together" in inference["proportional_hazards"]["method"]
    assert len(inference["baseline"]["log_hazard_variance"]) == len(inference["baseline"]["times"])
    # A bundle of independent rows has all of this in its other fields.
    frame["patient"] = np.arange(len(frame))
    alone = fit(check_cohort(frame, load_study("deb-tace-hcc"), "os", list(PATIENT)), "cox")
    assert "log_hazard_variance" not in alone.inference["baseline"]
    assert "likelihood_ratio" in alone.inference["tests"]

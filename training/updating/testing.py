"""Which update do the data support? A closed test over four nested models.

The smallest model that the full refit does not beat: the original as it is, a new baseline hazard,
a new baseline and one slope, or new coefficients throughout. Each is tested against the refit, the
smallest first, and the first that stands is chosen. Since each hypothesis contains the one before,
the chance to change a model that is right is the level of the first test, whatever follows. Source:
Vergouwe et al., Statistics in Medicine 36 (2017) 4529, there for logistic models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from riskscore.design import linear_predictor
from riskscore.errors import ModelError
from training.cox.fit import fit_coefficients
from training.cox.hypotheses import ChiSquare, chi_square
from training.cox.model import cluster_sums
from training.cox.risk_sets import Ties
from training.updating.clusters import (
    score_test_of_coefficients,
    score_test_of_direction,
    score_test_of_original,
)

__all__ = [
    "LEVEL",
    "Candidates",
    "Poisson",
    "Slope",
    "closed_test",
    "poisson_maximum",
    "slope_of",
]

FloatArray = NDArray[np.float64]

LEVEL = 0.05

N_ITER = 50
TOLERANCE = 1e-10
"""Of the Newton step, squared and in units of the standard errors."""

SMALLEST = 1e-8
"""A step halved to this is rounding."""

POISSON = "counting process, the model's cumulative hazard the exposure (Poisson)"
PARTIAL = "partial, the baseline hazard free"
ROBUST = "score test, the rows of a patient taken together"


@dataclass(frozen=True)
class Slope:
    """The calibration slope: what multiplies every coefficient. Below 1 risks lay too far apart."""

    value: float
    se: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = float(stats.norm.ppf(0.975)) * self.se
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Candidates:
    """What the closed test found.

    Attributes
    ----------
    chosen : str
        "original", "baseline", "slope" or "refit".
    tests : list of dict
        In the order they were made: `hypothesis`, `against`, `likelihood`, `chi_square`, `df`, `p`
        and `rejected`. After the first that is not rejected no other decides, but all are told.
    intercepts : ndarray of shape (n_intervals,)
        Log of observed over expected events in each interval of time, slope held at 1.
    slope : Slope
        At the maximum of the partial likelihood.
    coef : ndarray of shape (n_terms,)
        Of the refit on the parent's terms.
    log_likelihood : dict of str to float
        Partial, of "baseline" (which is the original's too), "slope" and "refit".
    """

    chosen: str
    tests: list[dict[str, Any]]
    intercepts: FloatArray
    slope: Slope
    coef: FloatArray
    log_likelihood: dict[str, float]


def closed_test(
    design: FloatArray,
    coef: FloatArray,
    exposure: FloatArray,
    counted: NDArray[np.bool_],
    time: FloatArray,
    event: NDArray[np.bool_],
    *,
    ties: Ties = "efron",
    names: tuple[str, ...] = (),
    cluster: NDArray[np.int64] | None = None,
    level: float = LEVEL,
) -> Candidates:
    """Return the smallest update that the data support.

    Parameters
    ----------
    design : ndarray of shape (n_patients, n_terms)
        The original model's terms.
    coef : ndarray of shape (n_terms,)
        Its coefficients.
    exposure : ndarray of shape (n_patients, n_intervals)
        Each patient's expected events by that model in each interval of time, while followed.
    counted : ndarray of shape (n_patients, n_intervals), bool
        Where each event happened; an event beyond the model's own follow-up is nowhere.
    time, event : ndarray of shape (n_patients,)
        The whole follow-up, for the partial likelihood.
    ties : {"efron", "breslow"}
    names : tuple of str
        Of the terms, for error messages.
    cluster : ndarray of shape (n_patients,), optional
        The patient of each row, where rows are repeated.
    level : float
        Below this P a hypothesis is rejected.

    Raises
    ------
    ModelError
        If the refit does not exist: collinear terms, or a coefficient that runs away.

    Notes
    -----
    "original" has a baseline hazard, so its test needs a likelihood with one: that of the counting
    process, whose exposure is the predicted cumulative hazard (Crowson et al., Statistical Methods
    in Medical Research 25 (2016) 1692). Its refit has an intercept for each interval of time and
    every term: df is intervals plus terms. "baseline" and "slope" leave the baseline hazard free,
    as what they write does, so the partial likelihood tests them: df is the terms, and one fewer.
    The original is taken as known; the test says nothing of how surely it was estimated. Where
    rows are repeated, robust score tests of the same hypotheses take the place of the likelihood
    ratios.
    """
    names = names or tuple(f"term {k + 1}" for k in range(len(coef)))
    fit = fit_coefficients(design, time, event, names=names, ties=ties)
    slope, loglik_slope = slope_of(linear_predictor(design, coef), time, event, ties, cluster)
    log_likelihood = {
        "baseline": fit.sets.loglik(coef),
        "slope": loglik_slope,
        "refit": fit.sets.loglik(fit.coef),
    }
    columns = (design - fit.center) @ fit.basis
    if cluster is None:
        gained = poisson_maximum(columns, exposure, counted).gained
        made = [("original", POISSON, chi_square(2 * gained, exposure.shape[1] + len(coef)))]
        for k, name in enumerate(("baseline", "slope")):
            gained = max(log_likelihood["refit"] - log_likelihood[name], 0.0)
            if len(coef) > k:
                made.append((name, PARTIAL, chi_square(2 * gained, len(coef) - k)))
    else:
        made = [
            ("original", POISSON, score_test_of_original(columns, exposure, counted, cluster)),
            ("baseline", PARTIAL, score_test_of_coefficients(fit, coef, cluster)),
        ]
        if len(coef) > 1:
            turned = score_test_of_direction(fit, coef, slope.value, cluster)
            made.append(("slope", PARTIAL, turned))
        made = [(name, f"{likelihood}; {ROBUST}", test) for name, likelihood, test in made]
    tests = [_told(name, likelihood, test, level) for name, likelihood, test in made]
    standing = [t["hypothesis"] for t in tests if not t["rejected"]]
    observed, expected = counted.sum(axis=0), exposure.sum(axis=0)
    return Candidates(
        chosen=standing[0] if standing else "refit",
        tests=tests,
        intercepts=np.log(observed / expected),
        slope=slope,
        coef=fit.coef,
        log_likelihood=log_likelihood,
    )


def slope_of(
    lp: FloatArray,
    time: FloatArray,
    event: NDArray[np.bool_],
    ties: Ties = "efron",
    cluster: NDArray[np.int64] | None = None,
) -> tuple[Slope, float]:
    """Return the calibration slope of a linear predictor, and the log partial likelihood there.

    With `cluster`, the patient of each row, its standard error is the robust one.

    Raises
    ------
    ModelError
        If the linear predictor is the same for everybody, or orders the events without fault.
    """
    centred = lp - lp.mean()
    spread = float(centred.std())
    if spread <= 1e-10 * float(np.abs(lp).max()):
        raise ModelError(
            "every patient of the cohort has the same linear predictor: a slope cannot be found; "
            "use --method baseline"
        )
    fit = fit_coefficients(
        centred[:, None], time, event, names=("the linear predictor",), ties=ties
    )
    variance = float(fit.variance()[0, 0])
    if cluster is not None:
        score = cluster_sums(fit.sets.sums(fit.coef).score_residuals, cluster)
        variance *= variance * float((score**2).sum())
    se = float(np.sqrt(variance))
    return Slope(float(fit.coef[0]), se), fit.sets.loglik(fit.coef)


@dataclass(frozen=True)
class Poisson:
    """Where the likelihood of the counting process is greatest.

    Attributes
    ----------
    intercepts : ndarray of shape (n_intervals,)
    coef : ndarray of shape (n_terms,)
        What is added to the original's coefficients.
    gained : float
        Log likelihood above that of the original as it is; 0 or more.
    """

    intercepts: FloatArray
    coef: FloatArray
    gained: float


def poisson_maximum(Z: FloatArray, exposure: FloatArray, counted: NDArray[np.bool_]) -> Poisson:
    """Multiply predicted hazards by exp(an intercept for each interval + Z c) where it fits best.

    Parameters
    ----------
    Z : ndarray of shape (n_patients, n_terms)
        Deviations from the mean, of like size; no columns for the intercepts alone.
    exposure, counted
        As in `closed_test`; every interval has an event and exposure.

    Notes
    -----
    The log likelihood is sum(d eta - H exp(eta)): the patient's predicted cumulative hazard H takes
    no logarithm, so that an event where the model's step function is still 0 is no trouble. Where
    none is, this is R's `glm(d ~ interval + Z, poisson, offset = log(H))`.
    """
    K, p = exposure.shape[1], Z.shape[1]
    d = counted.astype(np.float64)
    theta = np.concatenate([np.log(d.sum(axis=0) / exposure.sum(axis=0)), np.zeros(p)])

    def at(theta: FloatArray) -> tuple[float, FloatArray]:
        eta = theta[:K] + linear_predictor(Z, theta[K:])[:, None]
        expected = exposure * np.exp(eta)
        return float((d * eta).sum() - expected.sum()), expected

    here, expected = at(theta)
    for _ in range(N_ITER):
        rest = d - expected
        gradient = np.concatenate([rest.sum(axis=0), Z.T @ rest.sum(axis=1)])
        crossed = expected.T @ Z
        information = np.block(
            [
                [np.diag(expected.sum(axis=0)), crossed],
                [crossed.T, (Z.T * expected.sum(axis=1)) @ Z],
            ]
        )
        step = np.linalg.solve(information, gradient)
        if float(step @ gradient) < TOLERANCE:
            return Poisson(theta[:K], theta[K:], max(here + float(exposure.sum()), 0.0))
        there, expected = at(theta + step)
        while not there >= here and np.abs(step).max() > SMALLEST:  # too far, or not a number
            step = step / 2
            there, expected = at(theta + step)
        theta, here = theta + step, there
    raise ModelError("the likelihood of the update has no maximum; use --method baseline or slope")


def _told(hypothesis: str, likelihood: str, test: ChiSquare, level: float) -> dict[str, Any]:
    return {
        "hypothesis": hypothesis,
        "against": "refit",
        "likelihood": likelihood,
        **asdict(test),
        "rejected": test.p < level,
    }

"""A small Cox regression for calibration: few columns, Efron's ties, as R's `coxph`.

Where an event competes it is Fine and Gray's: whoever had the competing event stays among those at
risk, weighted by the probability of still being followed, so that exp(-hazard) is one less the
cumulative incidence. The weights are those of R's `finegray`.

Sources: Fine & Gray, JASA 94 (1999) 496, doi:10.1080/01621459.1999.10474144;
Cox, JRSS B 34 (1972) 187; Efron, JASA 72 (1977) 557, doi:10.1080/01621459.1977.10480613;
Lin & Wei, JASA 84 (1989) 1074 for the clustered variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riskscore.design import linear_predictor
from riskscore.errors import ModelError
from riskscore.metrics._estimates import FloatArray
from riskscore.metrics._kaplan_meier import censoring_survival
from riskscore.metrics._outcome import Outcome, from_right, sums

__all__ = ["CoxFit", "baseline_se", "fit_cox"]

STEPS = 50
"""Newton steps before giving up; a maximum that exists is found in fewer than ten."""

CONVERGED = 1e-10
"""Largest Newton step, in standard errors, at which the maximum counts as found."""


LARGEST = 25.0
"""Largest coefficient per standard deviation of a column that is believed: beyond it the maximum is
at infinity."""


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox regression.

    Attributes
    ----------
    coef : ndarray of shape (p,)
        Log hazard ratios.
    variance : ndarray of shape (p, p)
        Inverse information, or the sandwich where the outcome has clusters or an event competes
        (the weights taken as known, as R's `coxph` on the data of `finegray` does).
    baseline : ndarray of shape (n_times,)
        Efron's cumulative hazard at each distinct time, for columns at `center` and offset of 0.
    center : ndarray of shape (p,)
        Mean of the columns. At columns of 0 the hazard may be no number: predictions that hardly
        differ have a large slope, and lie far from 0.
    """

    coef: FloatArray
    variance: FloatArray
    baseline: FloatArray
    center: FloatArray


def fit_cox(
    outcome: Outcome,
    X: FloatArray,
    offset: FloatArray | None = None,
    start: FloatArray | None = None,
) -> CoxFit:
    """Return the Cox regression of an outcome on the columns of X, shape (n, p).

    `offset` is a column whose coefficient is 1. With no columns only the baseline is found.

    Raises
    ------
    ModelError
        If the columns do not determine the coefficients, or there is no finite maximum.
    """
    risk_sets = _RiskSets(outcome)
    fixed = np.zeros(len(outcome)) if offset is None else offset
    centre, scale = X.mean(axis=0), X.std(axis=0)
    if not (scale > 1e-12 * np.maximum(1, np.abs(centre))).all():
        raise ModelError("the predictions do not differ between patients: nothing can be fitted")
    z = (X - centre) / scale  # large values must not overflow the exponential
    coef = np.zeros(X.shape[1]) if start is None else start * scale
    loglik, gradient, information = risk_sets.likelihood(z, coef, fixed)
    for _ in range(STEPS):
        _check_determined(information)
        step = np.linalg.solve(information, gradient)
        if float(gradient @ step) <= CONVERGED**2:
            break
        step *= min(1.0, 5 / np.abs(step).max())  # further than the curvature here can tell
        while True:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found = risk_sets.likelihood(z, coef + step, fixed)
            rises = np.isfinite(found[0]) and found[0] >= loglik - 1e-12 * abs(loglik)
            if rises or np.abs(step).max() < 1e-12:
                break
            step /= 2
        coef = coef + step
        loglik, gradient, information = found
        if not rises or np.abs(coef).max() > LARGEST:
            raise ModelError("no finite maximum: the predictions part the events perfectly")
    else:
        raise ModelError(f"the Cox regression did not converge in {STEPS} steps")
    variance = np.linalg.inv(information) if len(coef) else information
    if risk_sets.robust and len(coef):
        scores = risk_sets.scores(z, coef, fixed)
        summed = np.stack([outcome.clustered(column) for column in scores.T], axis=1)
        variance = variance @ (summed.T @ summed) @ variance
    baseline = risk_sets.baseline(linear_predictor(z, coef) + fixed)
    return CoxFit(coef / scale, variance / np.outer(scale, scale), baseline, centre)


def _check_determined(information: FloatArray) -> None:
    """Raise where some combination of the columns is the same for all who were ever compared."""
    if not len(information):
        return
    curvature = np.linalg.eigvalsh(information)
    if not curvature[0] > 1e-12 * max(1.0, curvature[-1]):
        raise ModelError("the columns do not determine the coefficients")


def baseline_se(outcome: Outcome, offset: FloatArray, place: int) -> tuple[float, float]:
    """Return the cumulative hazard at a distinct time with all coefficients known, and its SE.

    `offset` is the known log hazard ratio; the hazard is that of an offset of 0. The standard error
    is R's `survfit.coxph`; with clusters or a competing event the infinitesimal jackknife.
    """
    risk_sets = _RiskSets(outcome)
    centre = float(offset.mean())  # large offsets must not overflow the exponential
    total = risk_sets.sums(np.exp(offset - centre))[risk_sets.at <= place]
    hazard = float((1 / total).sum())
    if not risk_sets.robust:
        se = float(np.sqrt((1 / total**2).sum()))
    else:
        influence = outcome.clustered(risk_sets.baseline_influence(offset - centre, place))
        se = float(np.sqrt((influence**2).sum()))
    return hazard * float(np.exp(-centre)), se * float(np.exp(-centre))


class _RiskSets:
    """Events in time order, each with its Efron fraction, and sums over those at risk.

    The k-th of d events at one time meets a risk set from which k/d of each of the d is removed.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        events = np.flatnonzero(outcome.event)
        self.events = events[np.argsort(outcome.index[events], kind="stable")]
        self.at = outcome.index[self.events]  # place among the distinct times
        first = np.searchsorted(self.at, self.at)
        self.fraction = (np.arange(len(self.at)) - first) / outcome.deaths[self.at]
        self.robust = outcome.cluster is not None or outcome.competing is not None
        # Whoever had the competing event at D weighs followed(t) / followed(D) at a later t.
        self.followed = self.stays = np.zeros(0)
        if outcome.competing is not None:
            either = Outcome(outcome.time, outcome.event | outcome.competing)
            self.followed = np.concatenate(([1.0], censoring_survival(either)[:-1]))
            self.stays = outcome.competing / self.followed[outcome.index]

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the Efron-reduced sum over the risk set of each event, by column."""
        outcome = self.outcome
        columns = values.reshape(len(values), -1).T
        found = np.empty((len(columns), len(self.at)))
        for k, column in enumerate(columns):
            everyone = from_right(outcome.count(column))
            if outcome.competing is not None:
                gone = np.cumsum(outcome.count(column * self.stays))
                everyone[1:] += self.followed[1:] * gone[:-1]
            tied = outcome.count(column * outcome.event)
            found[k] = everyone[self.at] - self.fraction * tied[self.at]
        return found.T.reshape(len(self.at), *values.shape[1:])

    def likelihood(
        self, z: FloatArray, coef: FloatArray, fixed: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return the log partial likelihood, its gradient and the information."""
        eta = linear_predictor(z, coef) + fixed
        hazard = np.exp(eta)
        p = z.shape[1]
        total = self.sums(hazard)
        mean = self.sums(hazard[:, None] * z) / total[:, None]
        upper = [(i, j) for i in range(p) for j in range(i, p)]
        products = np.stack([hazard * z[:, i] * z[:, j] for i, j in upper], axis=1) if p else z
        second = (self.sums(products) / total[:, None]).sum(axis=0)
        information = np.zeros((p, p))
        for (i, j), value in zip(upper, second, strict=True):
            information[i, j] = information[j, i] = value
        information -= mean.T @ mean
        loglik = float(eta[self.events].sum() - np.log(total).sum())
        return loglik, (z[self.events] - mean).sum(axis=0), information

    def baseline(self, eta: FloatArray) -> FloatArray:
        """Return Efron's cumulative hazard at each distinct time."""
        jumps = sums(self.at, 1 / self.sums(np.exp(eta)), len(self.outcome.times))
        found: FloatArray = np.cumsum(jumps)
        return found

    def baseline_influence(self, eta: FloatArray, place: int) -> FloatArray:
        """Return how the baseline at a distinct time changes with each patient's weight."""
        outcome, hazard = self.outcome, np.exp(eta)
        total = self.sums(hazard)
        n_times = len(outcome.times)
        by = self.at <= place
        drift = np.cumsum(sums(self.at, by / total**2, n_times))[outcome.index]
        spared = sums(self.at, by * self.fraction / total**2, n_times)[outcome.index]
        own = sums(self.at, by / total, n_times) / np.maximum(outcome.deaths, 1)
        found: FloatArray = outcome.event * (own[outcome.index] + hazard * spared) - hazard * drift
        return found - hazard * self.later(sums(self.at, by / total**2, n_times))

    def later(self, values: FloatArray) -> FloatArray | float:
        """Return what each patient meets after a competing event, of values at distinct times."""
        outcome = self.outcome
        if outcome.competing is None:
            return 0.0
        met = np.cumsum(self.followed * values)
        found: FloatArray = self.stays * (met[-1] - met[outcome.index])
        return found

    def scores(self, z: FloatArray, coef: FloatArray, fixed: FloatArray) -> FloatArray:
        """Return each patient's score residual, of shape (n, p)."""
        outcome = self.outcome
        hazard = np.exp(linear_predictor(z, coef) + fixed)
        total = self.sums(hazard)
        mean = self.sums(hazard[:, None] * z) / total[:, None]
        n_times, index = len(outcome.times), outcome.index

        def summed(values: FloatArray) -> FloatArray:
            return sums(self.at, values, n_times)

        jump, spared = summed(1 / total), summed(self.fraction / total)
        found = np.empty_like(z)
        for k in range(z.shape[1]):
            met = summed(mean[:, k]) / np.maximum(outcome.deaths, 1)
            drift = summed(mean[:, k] / total)
            spared_drift = summed(self.fraction * mean[:, k] / total)
            compensator = z[:, k] * np.cumsum(jump)[index] - np.cumsum(drift)[index]
            compensator += z[:, k] * self.later(jump) - self.later(drift)
            relief = z[:, k] * spared[index] - spared_drift[index]
            found[:, k] = (
                outcome.event * (z[:, k] - met[index] + hazard * relief) - hazard * compensator
            )
        return found

"""The survival statistics a published table prints, from rows: plain and readable, not fast.

The search has its own arithmetic; a finished cohort is judged by this module, and the tests judge
both by R, lifelines and scikit-survival.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import ModelError

__all__ = ["CoxFit", "Curve", "cox", "kaplan_meier", "logrank"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

HALF = 0.5
DENSITY_STEP = 0.05
"""How far from one half the curve is read to estimate its density at the median (Collett)."""
NEWTON_STEPS = 25
LARGEST = 300.0
"""A log hazard beyond this is no estimate, and its exponential would soon overflow."""
NOISE = 1e-12
"""Forgives the rounding of a product of fractions where a curve meets one half."""


@dataclass(frozen=True)
class Curve:
    """A Kaplan-Meier curve at its distinct event times.

    Attributes
    ----------
    times, survival : ndarray of shape (events,)
        Ascending times; the probability of being event-free just after each.
    variance : ndarray of shape (events,)
        Greenwood's sum, the variance of log(survival).
    """

    times: FloatArray
    survival: FloatArray
    variance: FloatArray

    @property
    def median(self) -> float:
        """First time at which survival is at most one half; infinite if it never is."""
        below = np.flatnonzero(self.survival <= HALF + NOISE)
        return float(self.times[below[0]]) if below.size else float("inf")

    def median_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval of the median by inverting the log-log interval of the curve.

        A limit that the curve does not reach is infinite (Brookmeyer and Crowley 1982,
        doi:10.2307/2530286, with the transformation that R calls "log-log").
        """
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        inside = (self.survival > 0) & (self.survival < 1)
        log_survival = np.log(self.survival, where=inside, out=np.full_like(self.survival, -1.0))
        spread = z * np.sqrt(self.variance) / np.abs(log_survival)
        limits = []
        for sign in (1.0, -1.0):  # the lower band crosses one half first
            band = np.where(inside, self.survival ** np.exp(sign * spread), self.survival)
            crossed = np.flatnonzero(band <= HALF)
            limits.append(float(self.times[crossed[0]]) if crossed.size else float("inf"))
        return limits[0], limits[1]

    def symmetric_median_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return median -+ z SE, the form SPSS prints.

        The SE is Greenwood's of the curve at the median, over a density read off the curve where it
        is `DENSITY_STEP` above and below one half (Collett, Modelling Survival Data in Medical
        Research, section 2.4). NaN if the curve does not reach that far down.
        """
        above = np.flatnonzero(self.survival >= HALF + DENSITY_STEP - NOISE)
        below = np.flatnonzero(self.survival <= HALF - DENSITY_STEP + NOISE)
        if not above.size or not below.size:
            return float("nan"), float("nan")
        high, low = above[-1], below[0]
        drop = self.survival[high] - self.survival[low]
        density = drop / (self.times[low] - self.times[high])
        at = np.searchsorted(self.times, self.median)
        se = self.survival[at] * np.sqrt(self.variance[at]) / density
        reach = NormalDist().inv_cdf(0.5 + confidence / 2) * float(se)
        return self.median - reach, self.median + reach


def kaplan_meier(time: FloatArray, event: BoolArray) -> Curve:
    """Return the Kaplan-Meier curve.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    """
    times = np.unique(time[event])
    at_risk = (time[:, None] >= times).sum(axis=0)
    died = ((time[:, None] == times) & event[:, None]).sum(axis=0)
    left = at_risk - died
    terms = np.divide(died, at_risk * left, where=left > 0, out=np.zeros(len(times)))
    return Curve(times, np.cumprod(left / at_risk), np.cumsum(terms))


def logrank(time: FloatArray, event: BoolArray, group: BoolArray) -> float:
    """Return the chi-square (1 degree of freedom) of the log-rank test between two groups."""
    times = np.unique(time[event])
    at_risk = time[:, None] >= times
    died = (time[:, None] == times) & event[:, None]
    n, n1 = at_risk.sum(axis=0), at_risk[group].sum(axis=0)
    d, d1 = died.sum(axis=0), died[group].sum(axis=0)
    expected = d * n1 / n
    variance = expected * (1 - n1 / n) * (n - d) / np.maximum(n - 1, 1)
    return float((d1 - expected).sum() ** 2 / variance.sum())


@dataclass(frozen=True)
class CoxFit:
    """Coefficients of a Cox model with their standard errors (log hazard, higher is worse)."""

    coef: FloatArray
    se: FloatArray

    @property
    def hazard_ratio(self) -> FloatArray:
        """Exponentials of the coefficients."""
        return np.asarray(np.exp(self.coef))

    @property
    def z(self) -> FloatArray:
        """Coefficients over their standard errors."""
        return np.asarray(self.coef / self.se)


def cox(time: FloatArray, event: BoolArray, x: FloatArray, ties: str = "efron") -> CoxFit:
    """Fit a Cox model by Newton's method.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    x : ndarray of shape (n, p)
    ties : {"efron", "breslow"}

    Raises
    ------
    ModelError
        If the iteration does not settle, as with a predictor that separates the events.
    """
    deaths = np.flatnonzero(event)
    same = time[deaths] == time[deaths][:, None]
    rank = np.tril(same, -1).sum(axis=1)
    share = rank / same.sum(axis=1) if ties == "efron" else np.zeros(len(deaths))
    weight = (time >= time[deaths][:, None]).astype(float)
    weight -= share[:, None] * ((time == time[deaths][:, None]) & event)
    x = x - x.mean(axis=0)  # changes no coefficient, and keeps the exponentials small
    beta = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        log_hazard = x @ beta
        if np.abs(log_hazard).max() > LARGEST:
            break
        risk = weight * np.exp(log_hazard)
        total = risk.sum(axis=1)
        mean = risk @ x / total[:, None]
        square = np.einsum("dn,np,nq->pq", risk / total[:, None], x, x)
        information = square - mean.T @ mean
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, (x[deaths] - mean).sum(axis=0))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            return CoxFit(beta, np.sqrt(np.diag(np.linalg.inv(information))))
    raise ModelError("the Cox model did not converge: a predictor may separate the events")

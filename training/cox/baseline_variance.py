"""Joint variance of a Cox model's coefficients and of its log cumulative baseline hazard.

With z a patient's deviation from the centre of the design, the variance of the logarithm of the
patient's cumulative hazard at time t is z'Vz + 2 z'c(t) + v(t): V the variance of the coefficients,
c(t) their covariance with the logarithm of the baseline hazard, v(t) the variance of the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cox.risk_sets import HazardInfluence, RiskSetSums

__all__ = ["BaselineVariance", "clustered", "model_based"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BaselineVariance:
    """What the coefficients' variance lacks for the variance of a curve.

    Attributes
    ----------
    covariance : ndarray of shape (n_event_times, n_terms)
        Of the log cumulative baseline hazard with each coefficient.
    variance : ndarray of shape (n_event_times,)
        Of the log cumulative baseline hazard.
    """

    covariance: FloatArray
    variance: FloatArray


def model_based(sums: RiskSetSums, V: FloatArray) -> BaselineVariance:
    """Return the joint variance of independent rows, that of R's `survfit` on a `coxph` object.

    Parameters
    ----------
    sums : RiskSetSums
        At the coefficients.
    V : ndarray of shape (n_terms, n_terms)
        Variance of the coefficients.
    """
    mean = sums.hazard_mean / sums.hazard[:, None]
    covariance = -(mean @ V)
    variance = sums.hazard_variance / sums.hazard**2 - np.einsum("tq,tq->t", covariance, mean)
    return BaselineVariance(covariance, variance)


def clustered(
    sums: RiskSetSums,
    influence: HazardInfluence,
    of_coef: FloatArray,
    cluster: NDArray[np.intp],
) -> BaselineVariance:
    """Return the joint variance of rows that are independent between clusters only.

    Parameters
    ----------
    sums : RiskSetSums
        At the coefficients.
    influence : HazardInfluence
        Of each row on the baseline hazard, the coefficients held.
    of_coef : ndarray of shape (n_clusters, n_terms)
        Influence of each cluster on the coefficients.
    cluster : ndarray of shape (n_rows,)
        Number of each row's cluster, from 0.

    Notes
    -----
    The infinitesimal jackknife: influences on coefficients and baseline are summed by cluster, and
    the sums' products give the joint variance. R's `survfit` sums the coefficients' by cluster and
    takes the baseline's rows as independent. A cluster's influence on the hazard is linear in the
    integral of the risk sets' 1 / sum^2 between the times of the cluster's rows, so its square is
    known at all times from sums over rows: time and memory grow with rows plus event times, not
    with their product. Sources: Lin & Wei, JASA 84 (1989) 1074, doi:10.1080/01621459.1989.10478874;
    Reid & Crepeau, Biometrika 72 (1985) 1, doi:10.1093/biomet/72.1.1.
    """
    n_times = len(sums.times)
    drift = influence.drift
    # The rows of a cluster together, each cluster's in order of time.
    order = np.lexsort((influence.passed, cluster))
    passed, of = influence.passed[order], cluster[order]
    risk, settled = influence.risk[order], influence.settled[order]
    total = np.bincount(of, risk)
    first = np.concatenate(([True], of[1:] != of[:-1]))
    begin = np.maximum.accumulate(np.where(first, np.arange(len(of)), 0))

    def before(values: FloatArray) -> FloatArray:
        """Return the sum over the cluster's earlier rows."""
        summed = np.concatenate(([0.0], np.cumsum(values)))
        earlier: FloatArray = summed[:-1] - summed[begin]
        return earlier

    def over_time(steps: FloatArray) -> FloatArray:
        """Return the running sum of what changes when a row's time has come."""
        running: FloatArray = np.cumsum(np.bincount(passed, steps, minlength=n_times)[:n_times])
        return running

    # A cluster's influence on the hazard at t: settled rows' constant less the open rows' risk
    # times the drift.
    constant = before(settled)
    at_risk = total[of] - before(risk)
    constant_after, at_risk_after = constant + settled, at_risk - risk
    squares = over_time(constant_after**2 - constant**2)
    products = over_time(constant_after * at_risk_after - constant * at_risk)
    risks = total @ total + over_time(at_risk_after**2 - at_risk**2)
    held = squares - 2 * drift * products + drift**2 * risks
    crossed = np.empty((n_times, of_coef.shape[1]))
    for k, own in enumerate(of_coef.T):
        still = own @ total - over_time(own[of] * risk)
        crossed[:, k] = over_time(own[of] * settled) - drift * still
    V = of_coef.T @ of_coef
    a = sums.hazard_mean
    variance = held - 2 * np.einsum("tq,tq->t", a, crossed) + np.einsum("tq,qr,tr->t", a, V, a)
    return BaselineVariance((crossed - a @ V) / sums.hazard[:, None], variance / sums.hazard**2)

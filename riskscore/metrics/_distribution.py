"""D-calibration and Royston's D: is the whole predicted curve right, and how far it parts patients.

Sources: Haider, Hoehn, Davis & Greiner, JMLR 21 (2020) 85; Royston & Sauerbrei, Stat Med 23 (2004)
723, doi:10.1002/sim.1621; Rao & Scott, Annals of Statistics 12 (1984) 46,
doi:10.1214/aos/1176346391.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from riskscore.errors import InputError, Problem
from riskscore.metrics._cox import fit_cox
from riskscore.metrics._estimates import Estimate, FloatArray, quantile, wald
from riskscore.metrics._outcome import Outcome, check_outcome, check_score, sums

__all__ = [
    "DCalibration", "RoystonD", "d_calibration", "d_calibration_of", "royston_d", "royston_d_of",
]  # fmt: skip

TERMS = 10_000
"""Most terms of a series; some tens are used."""


@dataclass(frozen=True, slots=True)
class DCalibration:
    """Where patients' own times fall on their own predicted curves; evenly, if those are right.

    Attributes
    ----------
    counts : tuple of float
        Patients by survival at their own time, from 0 to 1 in equal bins; a censored patient is
        shared out over the bins the event may yet fall into.
    statistic, p : float
        Pearson's chi-square against even bins, and its P value on bins - 1 degrees of freedom. A
        small P speaks against the curves; heavy censoring evens the bins and hides what is wrong.
        Where patients have several rows, both are corrected for that as by Rao and Scott.
    """

    counts: tuple[float, ...]
    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class RoystonD:
    """Separation of the risk scores on the log hazard scale.

    Attributes
    ----------
    d : Estimate
        Log hazard ratio between the halves with higher and lower scores, if those were normal; 0 is
        none, negative the wrong way round.
    r2 : Estimate
        Explained variation on the log hazard scale, 0 to 1.
    """

    d: Estimate
    r2: Estimate


def d_calibration(
    time: ArrayLike,
    event: ArrayLike,
    survival_at_time: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    bins: int = 10,
) -> DCalibration:
    """Return the D-calibration of predicted curves.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival_at_time : array-like of shape (n,)
        Each patient's predicted probability of being event-free at the patient's own time.
    groups : array-like of shape (n,), optional
        Clusters for the test.
    bins : int
        Equal bins from 0 to 1, two or more.

    Raises
    ------
    InputError
        If the data break a rule or a survival is not 0 to 1.

    Examples
    --------
    >>> d_calibration([1, 2], [1, 0], [0.8, 0.5], bins=2).counts
    (1.0, 1.0)
    """
    outcome = check_outcome(time, event, groups)
    survival = check_score(outcome, survival_at_time, "survival_at_time")
    if bins < 2:
        raise InputError([Problem(None, "bins", "must be 2 or more", bins, "take 10")])
    return d_calibration_of(outcome, survival, bins)


def d_calibration_of(outcome: Outcome, survival: FloatArray, bins: int = 10) -> DCalibration:
    """Return the D-calibration of checked arrays.

    Raises
    ------
    InputError
        If a survival is not 0 to 1.
    """
    if survival.min() < 0 or survival.max() > 1:
        value = survival.min() if survival.min() < 0 else survival.max()
        rule, remedy = "must be 0 to 1", "give the probability of being event-free"
        raise InputError([Problem(None, "survival_at_time", rule, float(value), remedy)])
    # The number of edges that are not above: 0.7 is the edge 7 / 10, not the last bit below it.
    edges = np.arange(1, bins) / bins
    bin_of = np.searchsorted(edges, survival + 1e-12, side="right")
    lower = bin_of / bins
    ever = np.where(survival > 0, survival, 1.0)  # survival 0: the event is in the lowest bin
    partly = np.where(survival > 0, (survival - lower) / ever, 1.0)
    counts = sums(bin_of, np.where(outcome.event, 1.0, partly), bins)
    whole = sums(bin_of, np.where(outcome.event | (survival == 0), 0.0, 1 / (bins * ever)), bins)
    counts += np.append(np.cumsum(whole[::-1])[::-1][1:], 0.0)  # into every bin below one's own
    even = len(survival) / bins
    statistic, df = float(((counts - even) ** 2).sum() / even), float(bins - 1)
    if outcome.cluster is not None:
        own = np.arange(bins) == bin_of[:, None]
        below = np.arange(bins) < bin_of[:, None]
        shares = own * np.where(outcome.event, 1.0, partly)[:, None]
        shares += below * np.where(outcome.event | (survival == 0), 0.0, 1 / (bins * ever))[:, None]
        beyond = shares - 1 / bins
        summed = np.stack([outcome.clustered(column) for column in beyond.T], axis=1)
        spread = summed.T @ summed / even
        # Rao and Scott: Pearson's statistic is a sum of chi-squares, each times a root of this
        # matrix; one chi-square of the same mean and variance takes their place.
        first, second = float(np.trace(spread)), float((spread**2).sum())
        statistic, df = statistic * first / second, first**2 / second
    return DCalibration(tuple(counts.tolist()), statistic, _chi_square_tail(statistic, df))


def _chi_square_tail(x: float, df: float) -> float:
    """Return the probability of a chi-square above x; df may be any number above 0."""
    a, half = df / 2, x / 2
    if not half > 0:
        return 1.0
    front = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1:  # the series of the part below
        term = total = 1 / a
        for k in range(1, TERMS):
            term *= half / (a + k)
            total += term
            if term < total * 1e-17:
                break
        return max(1 - front * total, 0.0)
    # The continued fraction of the part above, by Lentz's method.
    b = half + 1 - a
    c, d = 1e300, 1 / b
    value = d
    for k in range(1, TERMS):
        b += 2
        d = 1 / (k * (a - k) * d + b)
        c = b + k * (a - k) / c
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return min(front * value, 1.0)


def royston_d(
    time: ArrayLike,
    event: ArrayLike,
    risk_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> RoystonD:
    """Return Royston and Sauerbrei's D and its explained variation.

    The Cox coefficient of the scores' expected normal order statistics, (rank - 3/8) / (n + 1/4);
    equal scores share the mean of theirs. R's `survival::royston`.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    risk_score : array-like of shape (n,)
        Higher is worse; only the order matters.
    groups : array-like of shape (n,), optional
        Clusters for the standard error.
    level : float
        Coverage of the intervals; that of `r2` is that of `d`, transformed.

    Raises
    ------
    InputError
        If the data break a rule.
    ModelError
        If all scores are equal, or they part the events perfectly.

    Examples
    --------
    >>> round(royston_d([1, 2, 3, 4], [1, 1, 0, 1], [4, 2, 3, 1]).d.value, 3)
    2.453
    """
    outcome = check_outcome(time, event, groups)
    return royston_d_of(outcome, check_score(outcome, risk_score), level)


def royston_d_of(outcome: Outcome, score: FloatArray, level: float) -> RoystonD:
    """Return Royston's D of checked arrays."""
    n = len(score)
    normal = NormalDist().inv_cdf
    expected = np.array([normal((k - 0.375) / (n + 0.25)) for k in range(1, n + 1)])
    _, index, size = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    total = np.concatenate(([0.0], np.cumsum(expected)))
    z = ((total[ends] - total[ends - size]) / size)[index]
    kappa = math.sqrt(8 / math.pi)
    fit = fit_cox(outcome, z[:, None])
    se = kappa * math.sqrt(fit.variance[0, 0])
    value = kappa * float(fit.coef[0])
    reach = quantile(level) * se

    noise = math.pi**2 / 6  # variance of the log of an exponential time

    def explained(d: float) -> float:
        return (d / kappa) ** 2 / (noise + (d / kappa) ** 2)

    least, most = sorted((explained(value - reach), explained(value + reach)))
    if abs(value) < reach:  # the interval of D holds 0
        least = 0.0
    slope = 2 * abs(value) / kappa**2 * noise / (noise + (value / kappa) ** 2) ** 2
    r2 = Estimate(explained(value), slope * se, least, most)
    return RoystonD(wald(value, se, level), r2)

"""Kaplan-Meier curves of events and of censoring, and how one patient moves them: one place.

Sources: Kaplan & Meier, JASA 53 (1958) 457, doi:10.1080/01621459.1958.10501452; influence
functions as in Blanche, Dartigues & Jacqmin-Gadda, Stat Med 32 (2013) 5381, doi:10.1002/sim.5958.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskscore.errors import InputError, Problem
from riskscore.metrics._estimates import Estimate, FloatArray, quantile
from riskscore.metrics._outcome import Outcome, check_outcome, from_right

__all__ = [
    "Censoring", "censoring_survival", "event_free", "kaplan_meier", "survival_influence",
]  # fmt: skip


def kaplan_meier(
    time: ArrayLike,
    event: ArrayLike,
    at: float,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return the Kaplan-Meier probability of being event-free at a time, with its interval.

    The interval is log-log. The standard error is Greenwood's, or with `groups` the clustered
    infinitesimal jackknife, as in R's `survfit` with `cluster`.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    at : float
        When; not beyond the longest follow-up.
    groups : array-like of shape (n,), optional
        Which rows belong together.
    level : float
        Coverage of the interval.

    Raises
    ------
    InputError
        If the data break a rule, or `at` lies beyond the longest follow-up.

    Examples
    --------
    >>> round(kaplan_meier([1, 2, 3, 4], [1, 0, 1, 0], 3).value, 4)
    0.375
    """
    outcome = check_outcome(time, event, groups)
    if not 0 <= at <= outcome.time.max():
        rule = f"must lie within follow-up, 0 to {outcome.time.max():g}"
        raise InputError([Problem(None, "at", rule, float(at), "choose an earlier time")])
    everyone = np.ones(len(outcome), dtype=bool)
    return event_free(outcome, at, everyone, level)


def event_free(
    outcome: Outcome, at: float, who: NDArray[np.bool_], level: float = 0.95
) -> Estimate:
    """Return the event-free probability among some of the patients, log-log interval.

    NaN where nobody is followed to `at` and the last one was censored.
    """
    deaths = outcome.count(outcome.event & who)
    at_risk = from_right(outcome.count(who))
    stop = outcome.place(at) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = (deaths / np.maximum(at_risk, 1))[:stop]
        value = float(np.prod(1 - hazard))
        if value > 0 and not (outcome.time[who] >= at).any():
            return Estimate(math.nan)
        if value in (0.0, 1.0):
            return Estimate(value)
        if outcome.cluster is None:
            greenwood = np.where(deaths > 0, deaths / (at_risk * (at_risk - deaths)), 0.0)[:stop]
            se = value * math.sqrt(greenwood.sum())
        else:
            influence = survival_influence(outcome, at, who)
            se = math.sqrt(float((outcome.clustered(influence) ** 2).sum()))
    spread = quantile(level) * se / abs(value * math.log(value))
    return Estimate(value, se, value ** math.exp(spread), value ** math.exp(-spread))


def survival_influence(outcome: Outcome, at: float, who: NDArray[np.bool_]) -> FloatArray:
    """Return how Kaplan-Meier at a time changes with each patient's weight, of shape (n,).

    The derivative of the product limit itself, so exact with ties; 0 for those not in `who`.
    """
    deaths = outcome.count(outcome.event & who)
    at_risk = from_right(outcome.count(who))
    stop = outcome.place(at) + 1
    left = np.where(at_risk > deaths, at_risk - deaths, np.inf)  # nobody left: survival is 0
    own = 1 / left
    own[stop:] = 0
    shared = deaths / np.maximum(at_risk, 1) * own
    value = np.prod(1 - (deaths / np.maximum(at_risk, 1))[:stop])
    moved = value * (np.cumsum(shared)[outcome.index] - outcome.event * own[outcome.index])
    found: FloatArray = np.where(who, moved, 0.0)
    return found


def censoring_survival(outcome: Outcome, weight: FloatArray | None = None) -> FloatArray:
    """Return G just after each distinct time: the probability of not being censored by then.

    At a tied time events leave first: whoever has the event at a time is not at risk of being
    censored at it. `weight` counts each patient (a bootstrap resample); 1 without it.
    """
    if weight is None:
        deaths, censored, at_risk = outcome.deaths, outcome.censored, outcome.at_risk
    else:
        deaths = outcome.count(weight * outcome.event)
        censored = outcome.count(weight * ~outcome.event)
        at_risk = from_right(deaths + censored)
    exposed = at_risk - deaths
    # Where nobody is exposed nobody is censored either.
    return np.asarray(np.cumprod(1 - censored / np.maximum(exposed, 1)), dtype=np.float64)


@dataclass(frozen=True)
class Censoring:
    """The censoring curve and its weights, for inverse-probability weighting.

    Attributes
    ----------
    outcome : Outcome
    after : ndarray
        G just after each distinct time.
    before : ndarray of shape (n,)
        G just before each patient's time.
    """

    outcome: Outcome
    after: FloatArray
    before: FloatArray

    @classmethod
    def of(cls, outcome: Outcome, weight: FloatArray | None = None) -> Censoring:
        """Return the censoring curve of an outcome."""
        after = censoring_survival(outcome, weight)
        return cls(outcome, after, np.concatenate(([1.0], after))[outcome.index])

    def weights(self, horizon: float) -> FloatArray:
        """Return each patient's weight at a horizon, of shape (n,).

        1 / G(time-) for an event by the horizon, 1 / G(horizon) for whoever is followed beyond it,
        0 for whoever was censored before.
        """
        place = self.outcome.place(horizon)
        at_horizon = self.after[place] if place >= 0 else 1.0
        beyond = self.outcome.time > horizon
        found: FloatArray = np.zeros(len(self.before))
        case = self.outcome.event & ~beyond
        found[case] = 1 / self.before[case]
        found[beyond] = 1 / at_horizon if at_horizon > 0 else np.nan
        return found

    def influence(self, weighted: FloatArray, horizon: float) -> FloatArray:
        """Return what estimating G adds to each patient's influence on a mean of `weighted`.

        The martingale of censoring, with all who are observed at a time at risk of being censored
        at it, events too: that is riskRegression's, the reference. Among untied times it is exact.

        Parameters
        ----------
        weighted : ndarray of shape (n,)
            Each patient's term, divided by G just before the event (by the horizon) or by G at the
            horizon (beyond it); 0 for whoever was censored before.
        horizon : float
            When.
        """
        outcome, n = self.outcome, len(self.before)
        drift = np.cumsum(n * outcome.censored / outcome.at_risk**2)
        drift_before = np.concatenate(([0.0], drift))
        place = outcome.place(horizon)
        own = ~outcome.event * n / outcome.at_risk[outcome.index] - drift[outcome.index]
        by = outcome.time <= horizon
        case = np.where(by, weighted, 0.0)
        seen = np.cumsum(outcome.count(case * drift_before[outcome.index]))[outcome.index]
        later = outcome.count(case)
        ahead = (later.sum() - np.cumsum(later))[outcome.index]
        at_horizon = np.where(by, own, -drift[place]) if place >= 0 else np.zeros(n)
        found: FloatArray = (own * ahead - seen + at_horizon * weighted[~by].sum()) / n
        return found

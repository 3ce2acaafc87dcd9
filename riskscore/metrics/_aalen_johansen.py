"""Cumulative incidence where another event may come first: Aalen-Johansen's estimator.

1 - Kaplan-Meier censors the competing event, and so answers what would happen if nobody had it. A
patient who died cannot progress any more: the share that does progress is the cumulative incidence.

Source: Aalen & Johansen, Scand J Stat 5 (1978) 141; Putter, Fiocco & Geskus, Stat Med 26 (2007)
2389, doi:10.1002/sim.2712.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskscore.errors import InputError, Problem
from riskscore.metrics._estimates import Estimate, FloatArray, quantile
from riskscore.metrics._kaplan_meier import event_free
from riskscore.metrics._outcome import Outcome, check_outcome, from_right

__all__ = ["censoring_risk", "cumulative_incidence", "incidence", "observed_risk"]


def cumulative_incidence(
    time: ArrayLike,
    event: ArrayLike,
    competing: ArrayLike,
    at: float,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return the probability of having had the event by a time, with its interval.

    The standard error is the infinitesimal jackknife, with `groups` summed within them; the
    interval is symmetric in log(-log(risk)). Both are those of R's `survfit` of a factor with
    `conf.type = "log-log"`.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    competing : array-like of shape (n,)
        Whether follow-up ends with the competing event; never together with `event`.
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
    Without the competing event at 2 it would be 1 - (3/4) (1/2) = 0.625.

    >>> cumulative_incidence([1, 2, 3, 4], [1, 0, 1, 0], [0, 1, 0, 0], 3).value
    0.5
    """
    outcome = check_outcome(time, event, groups, competing)
    if not 0 <= at <= outcome.time.max():
        rule = f"must lie within follow-up, 0 to {outcome.time.max():g}"
        raise InputError([Problem(None, "at", rule, float(at), "choose an earlier time")])
    return incidence(outcome, at, np.ones(len(outcome), dtype=bool), level)


def observed_risk(
    outcome: Outcome, at: float, who: NDArray[np.bool_], level: float = 0.95
) -> Estimate:
    """Return the risk by a time among some patients: by Aalen-Johansen if anything competes."""
    found = incidence if outcome.competing is not None else censoring_risk
    return found(outcome, at, who, level)


def censoring_risk(
    outcome: Outcome, at: float, who: NDArray[np.bool_], level: float = 0.95
) -> Estimate:
    """Return 1 - Kaplan-Meier, which censors whatever competes; log-log interval of survival."""
    survival = event_free(outcome, at, who, level)
    # The larger event-free survival is the smaller risk.
    lower = None if survival.upper is None else 1 - survival.upper
    upper = None if survival.lower is None else 1 - survival.lower
    return Estimate(1 - survival.value, survival.se, lower, upper)


def incidence(outcome: Outcome, at: float, who: NDArray[np.bool_], level: float = 0.95) -> Estimate:
    """Return the cumulative incidence among some patients of a checked outcome.

    NaN where nobody is followed to `at` and the last one was censored; without standard error where
    it is 0 or 1.
    """
    assert outcome.competing is not None
    either = outcome.event | outcome.competing
    events = outcome.count(outcome.event & who)
    ends = outcome.count(either & who)
    at_risk = from_right(outcome.count(who))
    stop = outcome.place(at) + 1
    for counts in (events, ends):
        counts[stop:] = 0  # what happens later does not matter
    exposed = np.maximum(at_risk, 1)
    after = np.cumprod(1 - ends / exposed)
    before = np.concatenate(([1.0], after[:-1]))
    steps = before * events / exposed
    value = float(steps.sum())
    if after[-1] > 0 and not (outcome.time[who] >= at).any():
        return Estimate(math.nan)
    if not events.any() or math.isclose(value, 1.0, abs_tol=1e-12):
        return Estimate(value)
    moved = np.where(who, _influence(outcome, either, ends, at_risk, before, steps, stop), 0.0)
    se = math.sqrt(float((outcome.clustered(moved) ** 2).sum()))
    spread = quantile(level) * se / abs(value * math.log(value))
    return Estimate(value, se, value ** math.exp(spread), value ** math.exp(-spread))


def _influence(
    outcome: Outcome,
    either: NDArray[np.bool_],
    ends: FloatArray,
    at_risk: FloatArray,
    before: FloatArray,
    steps: FloatArray,
    stop: int,
) -> FloatArray:
    """Return how the incidence changes with each patient's weight, of shape (n,).

    The derivative of the estimator itself, so exact with ties. A patient moves the event's hazard
    while at risk, and, through the curve of those free of both events, every later step.
    """
    index, exposed = outcome.index, np.maximum(at_risk, 1)
    left = np.where(at_risk > ends, at_risk - ends, np.inf)  # nobody left: nothing comes later
    ahead = (steps.sum() - np.cumsum(steps)) / left
    hazard = before / exposed
    ahead[stop:] = hazard[stop:] = 0
    shared = np.cumsum(ends / exposed * ahead - steps / exposed)
    found: FloatArray = shared[index] - either * ahead[index] + outcome.event * hazard[index]
    return found

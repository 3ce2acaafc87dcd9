"""Decision curves: is treating whoever the model calls high-risk better than treating all or none.

Sources: Vickers & Elkin, Med Decis Making 26 (2006) 565, doi:10.1177/0272989X06295361; censoring:
Vickers, Cronin, Elkin & Gonen, BMC Med Inform Decis Mak 8 (2008) 53, doi:10.1186/1472-6947-8-53.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskscore.errors import InputError, Problem
from riskscore.metrics._estimates import Band, Estimate, FloatArray, wald
from riskscore.metrics._kaplan_meier import event_free, survival_influence
from riskscore.metrics._outcome import Outcome, check_horizons, check_outcome, check_risk

__all__ = ["DecisionCurve", "check_thresholds", "net_benefit", "net_benefit_of"]


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit at a horizon, by threshold; treating none has net benefit 0.

    Attributes
    ----------
    horizon : float
    thresholds : tuple of float
        Risk from which on a patient is treated.
    high_risk : tuple of float
        Share of patients at or above the threshold.
    model : Band
        Net benefit of treating those: true positives minus false positives at the threshold's odds,
        as a share of all patients. NaN where none of them is followed to the horizon.
    treat_all : Band
        Net benefit of treating everybody.
    """

    horizon: float
    thresholds: tuple[float, ...]
    high_risk: tuple[float, ...]
    model: Band
    treat_all: Band


def net_benefit(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    horizons: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> list[DecisionCurve]:
    """Return the decision curve at each horizon.

    A patient is high-risk if the risk, 1 - survival, is at or above the threshold. The share of the
    high-risk who have the event by the horizon is 1 - Kaplan-Meier among them.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival : array-like of shape (n, k)
        Predicted probability of being event-free at each horizon (not the risk).
    horizons : array-like of shape (k,) or float
        Ascending.
    thresholds : array-like, optional
        Risks between 0 and 1, ascending; 0.01 to 0.99 in steps of 0.01.
    groups : array-like of shape (n,), optional
        Clusters for the standard errors.
    level : float
        Coverage of the intervals, from each patient's influence on the net benefit.

    Raises
    ------
    InputError
        If the data break a rule, or a horizon has no event before it or nobody beyond it.

    Examples
    --------
    >>> time, event, survival = [1, 2, 3, 4], [1, 1, 0, 1], [0.1, 0.4, 0.7, 0.9]
    >>> [found] = net_benefit(time, event, survival, 2.5, thresholds=[0.2])
    >>> round(found.model.value[0], 4), round(found.treat_all.value[0], 4)
    (0.4375, 0.375)
    """
    outcome = check_outcome(time, event, groups)
    at = check_horizons(outcome, horizons)
    risk = check_risk(outcome, survival, len(at))
    chosen = check_thresholds(thresholds)
    return [net_benefit_of(outcome, risk[:, k], float(h), chosen, level) for k, h in enumerate(at)]


def check_thresholds(thresholds: ArrayLike | None) -> FloatArray:
    """Return checked thresholds, or the usual ones.

    Raises
    ------
    InputError
        If one is not between 0 and 1, or they do not ascend.
    """
    if thresholds is None:
        return np.arange(1, 100) / 100
    found = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if not (found.size and ((found > 0) & (found < 1)).all() and (np.diff(found) > 0).all()):
        rule = "must be risks between 0 and 1, ascending"
        raise InputError([Problem(None, "thresholds", rule, str(found)[:80], "give 0.1, 0.2, say")])
    return found


def net_benefit_of(
    outcome: Outcome, risk: FloatArray, horizon: float, thresholds: FloatArray, level: float
) -> DecisionCurve:
    """Return the decision curve of checked arrays at one checked horizon."""
    # A threshold of 0.3 and a risk of 1 - 0.7 are meant to be equal, and differ in the last bit.
    model = [
        _benefit(outcome, risk >= threshold - 1e-12, horizon, threshold, level)
        for threshold in thresholds.tolist()
    ]
    everyone = np.ones(len(outcome), dtype=bool)
    survival = event_free(outcome, horizon, everyone).value
    influence = survival_influence(outcome, horizon, everyone)
    treat_all = [
        _estimate(outcome, everyone, survival, influence, threshold, level)
        for threshold in thresholds.tolist()
    ]
    high = [float((risk >= threshold - 1e-12).mean()) for threshold in thresholds.tolist()]
    return DecisionCurve(
        horizon, tuple(thresholds.tolist()), tuple(high), Band.of(model), Band.of(treat_all)
    )


def _benefit(
    outcome: Outcome, high: NDArray[np.bool_], horizon: float, threshold: float, level: float
) -> Estimate:
    if not high.any():
        return Estimate(0.0, 0.0, 0.0, 0.0)
    survival = event_free(outcome, horizon, high).value
    if math.isnan(survival):
        return Estimate(math.nan)
    influence = survival_influence(outcome, horizon, high)
    return _estimate(outcome, high, survival, influence, threshold, level)


def _estimate(
    outcome: Outcome,
    high: NDArray[np.bool_],
    survival: float,
    influence: FloatArray,
    threshold: float,
    level: float,
) -> Estimate:
    """Return share * ((1 - S) - S p / (1 - p)), which is share * (1 - S / (1 - p))."""
    worth = 1 - survival / (1 - threshold)
    value = float(high.mean()) * worth
    moved = high * worth - value - high.sum() * influence / (1 - threshold)
    return wald(value, outcome.standard_error(moved), level)

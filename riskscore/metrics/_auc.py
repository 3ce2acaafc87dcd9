"""Cumulative/dynamic AUC: who has the event by a horizon against who is event-free beyond it.

Sources: Uno et al., JASA 102 (2007) 527, doi:10.1198/016214507000000149; Hung & Chiang, Can J Stat
38 (2010) 8, doi:10.1002/cjs.10046; standard error: Blanche, Dartigues & Jacqmin-Gadda, Stat Med 32
(2013) 5381, doi:10.1002/sim.5958, as riskRegression's `Score` with a Kaplan-Meier censoring model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from riskscore.metrics._estimates import Estimate, FloatArray, wald
from riskscore.metrics._kaplan_meier import Censoring
from riskscore.metrics._outcome import check_horizons, check_outcome, check_score

__all__ = ["auc_of", "time_dependent_auc"]


def time_dependent_auc(
    time: ArrayLike,
    event: ArrayLike,
    risk_score: ArrayLike,
    horizons: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> list[Estimate]:
    """Return the AUC at each horizon: 0.5 is chance, 1 is perfect.

    The probability that a patient with the event by the horizon has a higher score than one who is
    event-free beyond it; equal scores count one half. Weighted by the inverse probability of not
    being censored (Kaplan-Meier).

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    risk_score : array-like of shape (n,)
        Higher is worse: a risk score, or the risk at the horizon.
    horizons : array-like of shape (k,) or float
        Ascending.
    groups : array-like of shape (n,), optional
        Clusters for the standard error.
    level : float
        Coverage of the intervals, symmetrical and cut at 0 and 1.

    Raises
    ------
    InputError
        If the data break a rule, or a horizon has no event before it or nobody beyond it.

    Examples
    --------
    >>> [found] = time_dependent_auc([1, 2, 3, 4], [1, 1, 0, 1], [4, 2, 3, 1], 2.5)
    >>> found.value
    0.75
    """
    outcome = check_outcome(time, event, groups)
    score = check_score(outcome, risk_score)
    censoring = Censoring.of(outcome)
    return [auc_of(censoring, score, at, level) for at in check_horizons(outcome, horizons)]


def auc_of(censoring: Censoring, score: FloatArray, horizon: float, level: float) -> Estimate:
    """Return the AUC of checked arrays at one checked horizon."""
    outcome, n = censoring.outcome, len(score)
    weight = censoring.weights(horizon)
    beyond = outcome.time > horizon
    case, control = np.where(beyond, 0.0, weight), np.where(beyond, weight, 0.0)
    cases, controls = case.sum() / n, control.sum() / n
    lower_controls = _below(score, control) / n
    higher_cases = _below(-score, case) / n
    value = float((case * lower_controls).sum() / n / (cases * controls))
    as_case = case * (lower_controls - value * controls)
    influence = as_case + control * (higher_cases - value * cases)
    # The controls' weight, 1 / G(horizon), cancels from the ratio: only the cases' is estimated.
    influence += censoring.influence(as_case, horizon)
    se = outcome.standard_error(influence / (cases * controls))
    return wald(value, se, level, 0, 1)


def _below(score: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weight of those with a lower score, and half of those with the same."""
    values, index = np.unique(score, return_inverse=True)
    total = np.bincount(index, weight, len(values))
    found: FloatArray = (np.cumsum(total) - total / 2)[index]
    return found

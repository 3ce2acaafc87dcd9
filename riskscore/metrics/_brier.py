"""Brier score: how far predicted risks are from what happened; its gain over Kaplan-Meier.

Sources: Graf et al., Stat Med 18 (1999) 2529; Gerds & Schumacher, Biom J 48 (2006) 1029,
doi:10.1002/bimj.200610301; IPA: Kattan & Gerds, Diagn Progn Res 2 (2018) 7,
doi:10.1186/s41512-018-0029-2. Definitions as riskRegression's `Score` with a Kaplan-Meier censoring
model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskscore.errors import InputError, Problem
from riskscore.metrics._bootstrap import Resamples
from riskscore.metrics._estimates import Estimate, FloatArray, percentile, wald
from riskscore.metrics._kaplan_meier import Censoring
from riskscore.metrics._outcome import (
    Outcome,
    check_horizons,
    check_outcome,
    check_risk,
    from_right,
)

__all__ = [
    "BrierScore", "IntegratedBrier", "brier_of", "brier_score", "integrated_brier",
    "integrated_brier_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BrierScore:
    """The Brier score at a horizon, Kaplan-Meier's own, and the gain of one over the other.

    Attributes
    ----------
    horizon : float
    brier : Estimate
        Mean squared distance of the predicted risk from 1 (event by the horizon) or 0; lower is
        better, 0 is perfect.
    null : Estimate
        The same for everybody's risk being 1 - Kaplan-Meier.
    ipa : Estimate
        Index of prediction accuracy, 1 - brier / null: 1 is perfect, 0 no better than Kaplan-Meier,
        negative worse. Its interval is the bootstrap's.
    """

    horizon: float
    brier: Estimate
    null: Estimate
    ipa: Estimate


@dataclass(frozen=True, slots=True)
class IntegratedBrier:
    """The Brier score's mean over time, up to the last time of the grid.

    Attributes
    ----------
    tau : float
        Last time of the grid.
    brier, null, ipa : Estimate
        As in `BrierScore`, from the integrals; every interval is the bootstrap's.
    """

    tau: float
    brier: Estimate
    null: Estimate
    ipa: Estimate


def brier_score(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    horizons: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_bootstrap: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> list[BrierScore]:
    """Return the Brier score and the index of prediction accuracy at each horizon.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival : array-like of shape (n, k)
        Predicted probability of being event-free at each horizon (not the risk).
    horizons : array-like of shape (k,) or float
        Ascending.
    groups : array-like of shape (n,), optional
        Clusters for the standard errors; the bootstrap draws them whole.
    n_bootstrap, seed : int
        Resamples for the interval of the IPA, 0 for none; whatever the number of a resample, its
        draws follow from it and the seed.
    level : float
        Coverage of the intervals.

    Raises
    ------
    InputError
        If the data break a rule, or a horizon has no event before it or nobody beyond it.

    Examples
    --------
    >>> [found] = brier_score([1, 2, 3, 4], [1, 1, 0, 1], [0.1, 0.4, 0.7, 0.9], 2.5)
    >>> round(found.brier.value, 4), found.null.value, round(found.ipa.value, 2)
    (0.0675, 0.25, 0.73)
    """
    outcome = check_outcome(time, event, groups)
    at = check_horizons(outcome, horizons)
    risk = check_risk(outcome, survival, len(at))
    return brier_of(Censoring.of(outcome), risk, at, Resamples(outcome, n_bootstrap, seed), level)


def brier_of(
    censoring: Censoring,
    risk: FloatArray,
    horizons: FloatArray,
    counts: Resamples,
    level: float,
) -> list[BrierScore]:
    """Return the scores of checked arrays; `counts` are the bootstrap's."""
    errors = _Errors(censoring.outcome, risk, horizons)
    brier, null = errors.scores()
    draws = np.array([errors.scores(count) for count in counts]).reshape(-1, 2, len(horizons))
    ipa = _gain(draws[:, 0], draws[:, 1])
    found = []
    for k, horizon in enumerate(horizons):
        weight = censoring.weights(float(horizon))
        outlook = np.full(len(risk), errors.null_risk()[k])
        own, nulls = (
            wald(float(value), _se(censoring, weight, of, float(horizon)), level, 0)
            for value, of in ((brier[k], risk[:, k]), (null[k], outlook))
        )
        gain = percentile(float(1 - brier[k] / null[k]), ipa[:, k], level)
        found.append(BrierScore(float(horizon), own, nulls, gain))
    return found


def integrated_brier(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    grid: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_bootstrap: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> IntegratedBrier:
    """Return the Brier score averaged over time, from 0 to the grid's last time.

    riskRegression's IBS: each grid time's score holds until the next, that of time 0 is 0, and the
    area is divided by the last time. A coarse grid is a coarse integral.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival : array-like of shape (n, m)
        Predicted probability of being event-free at each time of the grid.
    grid : array-like of shape (m,)
        Ascending times, two or more; the last is where the integral ends.
    groups, n_bootstrap, seed, level
        As in `brier_score`.

    Raises
    ------
    InputError
        If the data break a rule, the grid has fewer than two times, or one beyond which nobody is
        followed.

    Examples
    --------
    >>> found = integrated_brier([1, 2, 3, 4], [1, 1, 0, 1], [[0.9, 0.8, 0.7]] * 4, [1, 2, 3])
    >>> round(found.brier.value, 4), found.tau
    (0.1833, 3.0)
    """
    outcome = check_outcome(time, event, groups)
    at = check_horizons(outcome, grid, "grid")
    risk = check_risk(outcome, survival, len(at))
    return integrated_brier_of(outcome, risk, at, Resamples(outcome, n_bootstrap, seed), level)


def integrated_brier_of(
    outcome: Outcome,
    risk: FloatArray,
    grid: FloatArray,
    counts: Resamples,
    level: float,
) -> IntegratedBrier:
    """Return the integrals of checked arrays; `counts` are the bootstrap's."""
    if len(grid) < 2:
        rule = "must have two times or more"
        raise InputError([Problem(None, "grid", rule, len(grid), "give a finer grid")])
    errors = _Errors(outcome, risk, grid)
    share = np.append(np.diff(grid), 0.0) / grid[-1]
    draws = np.array([errors.scores(count) @ share for count in counts]).reshape(-1, 2)
    brier, null = errors.scores() @ share
    return IntegratedBrier(
        float(grid[-1]),
        percentile(float(brier), draws[:, 0], level),
        percentile(float(null), draws[:, 1], level),
        percentile(float(1 - brier / null), _gain(draws[:, 0], draws[:, 1]), level),
    )


class _Errors:
    """Squared errors by patient and horizon, ready to be weighted again and again."""

    def __init__(self, outcome: Outcome, risk: FloatArray, horizons: FloatArray) -> None:
        beyond = outcome.time[:, None] > horizons
        self.outcome = outcome
        self.case = np.where(~beyond & outcome.event[:, None], (1 - risk) ** 2, 0.0)
        self.beyond = np.where(beyond, risk**2, 0.0)
        self.places = np.searchsorted(outcome.times, horizons, side="right") - 1

    def scores(self, count: FloatArray | None = None) -> FloatArray:
        """Return the Brier score and Kaplan-Meier's, (2, k); NaN where a resample has none."""
        censoring = Censoring.of(self.outcome, count)
        size = len(self.case) if count is None else count.sum()
        weight = np.ones(len(self.case)) if count is None else count
        # G is 0 only where a resample leaves nobody: such a patient was not drawn.
        inverse = np.where(
            weight > 0, weight / np.where(censoring.before > 0, censoring.before, 1), 0
        )
        at_horizon = censoring.after[self.places]
        with np.errstate(divide="ignore", invalid="ignore"):
            brier = (inverse @ self.case + weight @ self.beyond / at_horizon) / size
        null = self.null_risk(count)
        # The weights make Kaplan-Meier of the outcome itself, so its own score is S (1 - S).
        return np.array([brier, null * (1 - null)])

    def null_risk(self, count: FloatArray | None = None) -> FloatArray:
        """Return 1 - Kaplan-Meier at each horizon."""
        outcome = self.outcome
        deaths, at_risk = outcome.deaths, outcome.at_risk
        if count is not None:
            deaths, at_risk = outcome.count(count * outcome.event), from_right(outcome.count(count))
        survival = np.cumprod(1 - deaths / np.maximum(at_risk, 1))[self.places]
        return np.asarray(1 - survival, dtype=np.float64)


def _gain(brier: FloatArray, null: FloatArray) -> FloatArray:
    """Return 1 - brier / null, NaN where a resample has no event and Kaplan-Meier no error."""
    return 1 - brier / np.where(null > 0, null, np.nan)


def _se(censoring: Censoring, weight: FloatArray, risk: FloatArray, horizon: float) -> float:
    """Return the standard error of a Brier score from each patient's influence on it."""
    outcome = censoring.outcome
    residual = weight * np.where(outcome.time > horizon, risk, 1 - risk) ** 2
    influence = residual - residual.mean() + censoring.influence(residual, horizon)
    return outcome.standard_error(influence)

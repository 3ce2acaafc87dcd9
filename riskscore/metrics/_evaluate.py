"""Everything at once: one typed result, ready for JSON, from which every plot can be drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from riskscore.errors import InputError, ModelError, Problem
from riskscore.metrics._auc import auc_of
from riskscore.metrics._bootstrap import Resamples
from riskscore.metrics._brier import BrierScore, IntegratedBrier, brier_of, integrated_brier_of
from riskscore.metrics._calibration import Calibration, calibration_of, check_settings
from riskscore.metrics._concordance import Concordance, concordance_of
from riskscore.metrics._distribution import DCalibration, RoystonD, d_calibration_of, royston_d_of
from riskscore.metrics._estimates import Estimate, FloatArray, quantile
from riskscore.metrics._kaplan_meier import Censoring
from riskscore.metrics._net_benefit import DecisionCurve, check_thresholds, net_benefit_of
from riskscore.metrics._outcome import (
    Outcome,
    check_horizons,
    check_outcome,
    check_risk,
    check_score,
)
from riskscore.ties import HALF

__all__ = ["AtHorizon", "Evaluation", "evaluate"]

FEW_EVENTS = 10
"""Fewer events than this by a horizon, and what is said about it is noise."""


@dataclass(frozen=True, slots=True)
class AtHorizon:
    """What holds at one horizon.

    Attributes
    ----------
    horizon : float
    events : int
        Events by the horizon.
    beyond : int
        Patients followed beyond it.
    auc : Estimate
        Cumulative/dynamic AUC of the risk at the horizon.
    brier : BrierScore
    calibration : Calibration
    decision : DecisionCurve
    """

    horizon: float
    events: int
    beyond: int
    auc: Estimate
    brier: BrierScore
    calibration: Calibration
    decision: DecisionCurve


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good predictions were for one cohort.

    Attributes
    ----------
    n, events : int
        Rows, and events among them.
    clusters : int or None
        Clusters (patients), where rows belong together.
    median_follow_up : float or None
        Median time to censoring (reverse Kaplan-Meier); None where it is not reached.
    longest_follow_up : float
    level : float
        Coverage of every interval.
    n_bootstrap, seed : int
    harrell, uno : Concordance or None
    tau : float
        Uno's concordance counts events up to here: the last horizon.
    royston : RoystonD or None
    integrated_brier : IntegratedBrier or None
        Where a grid was given.
    d_calibration : DCalibration or None
        Where survival at the patients' own times was given.
    horizons : tuple of AtHorizon
    notes : tuple of str
        What could not be had, or should be read with care.
    """

    n: int
    events: int
    clusters: int | None
    median_follow_up: float | None
    longest_follow_up: float
    level: float
    n_bootstrap: int
    seed: int
    harrell: Concordance | None
    uno: Concordance | None
    tau: float
    royston: RoystonD | None
    integrated_brier: IntegratedBrier | None
    d_calibration: DCalibration | None
    horizons: tuple[AtHorizon, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return dictionaries, lists, numbers and None: what JSON can hold, NaN being None."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def evaluate(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    risk_score: ArrayLike,
    horizons: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    competing: ArrayLike | None = None,
    grid: ArrayLike | None = None,
    grid_survival: ArrayLike | None = None,
    survival_at_time: ArrayLike | None = None,
    thresholds: ArrayLike | None = None,
    n_groups: int | None = None,
    n_knots: int = 3,
    n_bootstrap: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Evaluation:
    """Return every metric of a set of predictions, each with its interval.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival : array-like of shape (n, k)
        Predicted probability of being event-free at each horizon (not the risk).
    risk_score : array-like of shape (n,)
        Higher is worse; for concordance and D.
    horizons : array-like of shape (k,) or float
        Ascending, each with an event before it and a patient beyond it.
    groups : array-like of shape (n,), optional
        Clusters (patients with several rows), for standard errors and bootstrap.
    competing : array-like of shape (n,), optional
        Whether follow-up ends with a competing event; never together with `event`. Calibration
        is then one of cumulative incidences; everything else censors it, and the notes say so.
    grid, grid_survival : array-like of shape (m,) and (n, m), optional
        Times, and survival at them, for the integrated Brier score.
    survival_at_time : array-like of shape (n,), optional
        Survival at each patient's own time, for D-calibration.
    thresholds : array-like, optional
        Of the decision curves.
    n_groups, n_knots
        As in `calibration`.
    n_bootstrap, seed : int
        Resamples of every bootstrap interval; the same ones for all.
    level : float
        Coverage of every interval.

    Raises
    ------
    InputError
        If the data break a rule, or a horizon has no event before it or nobody beyond it.

    Examples
    --------
    >>> survival = [0.2, 0.3, 0.6, 0.5, 0.8, 0.7]
    >>> score = [6, 5, 3, 4, 1, 2]
    >>> time, event = [1, 2, 3, 4, 5, 6], [1, 1, 0, 1, 1, 0]
    >>> found = evaluate(time, event, survival, score, 3.5, n_bootstrap=0)
    >>> round(found.harrell.value, 3), found.horizons[0].auc.value
    (0.917, 1.0)
    """
    quantile(level)
    check_settings(n_groups, n_knots)
    outcome = check_outcome(time, event, groups, competing)
    at = check_horizons(outcome, horizons)
    risk = check_risk(outcome, survival, len(at))
    score = check_score(outcome, risk_score)
    chosen = check_thresholds(thresholds)
    if (grid is None) != (grid_survival is None):
        rule, remedy = "and grid_survival belong together", "give both or neither"
        raise InputError([Problem(None, "grid", rule, None, remedy)])
    notes = _warnings(outcome, at)

    def attempt(what: str, find: Callable[[], Any]) -> Any:
        try:
            return find()
        except ModelError as error:
            notes.append(f"no {what}: {error}")
            return None

    integrated = own = None
    counts = Resamples(outcome, n_bootstrap, seed)
    if grid is not None and grid_survival is not None:
        times = check_horizons(outcome, grid, "grid")
        over_grid = check_risk(outcome, grid_survival, len(times), "grid_survival")
        integrated = integrated_brier_of(outcome, over_grid, times, counts, level)
    if survival_at_time is not None:
        own = d_calibration_of(outcome, check_score(outcome, survival_at_time, "survival_at_time"))
    censoring, tau = Censoring.of(outcome), float(at[-1])
    briers = brier_of(censoring, risk, at, counts, level)
    each = []
    for k, horizon in enumerate(at.tolist()):
        by = outcome.time <= horizon
        each.append(
            AtHorizon(
                horizon,
                int((outcome.event & by).sum()),
                int((~by).sum()),
                auc_of(censoring, risk[:, k], horizon, level),
                briers[k],
                calibration_of(outcome, risk[:, k], horizon, counts, level, n_groups, n_knots),
                net_benefit_of(outcome, risk[:, k], horizon, chosen, level),
            )
        )
    notes += _competing_notes(outcome, [at_horizon.calibration for at_horizon in each])
    return Evaluation(
        len(outcome),
        int(outcome.event.sum()),
        None if outcome.cluster is None else int(outcome.cluster.max()) + 1,
        _median_follow_up(outcome),
        float(outcome.time.max()),
        level,
        n_bootstrap,
        seed,
        attempt("concordance", lambda: concordance_of(outcome, score, False, None, level)),
        attempt("Uno's concordance", lambda: concordance_of(outcome, score, True, tau, level)),
        tau,
        attempt("Royston's D", lambda: royston_d_of(outcome, score, level)),
        integrated,
        own,
        tuple(each),
        tuple(notes),
    )


def _warnings(outcome: Outcome, horizons: FloatArray) -> list[str]:
    notes = []
    for horizon in horizons.tolist():
        by = outcome.time <= horizon
        events, beyond = int((outcome.event & by).sum()), int((~by).sum())
        if events < FEW_EVENTS:
            notes.append(f"horizon {horizon:g}: only {events} events by then; read with care")
        if beyond < FEW_EVENTS:
            notes.append(f"horizon {horizon:g}: only {beyond} patients beyond it; read with care")
    return notes


def _competing_notes(outcome: Outcome, found: list[Calibration]) -> list[str]:
    """Return what a curve that censors the competing event overstates, and what still does so."""
    if outcome.competing is None:
        return []
    notes = []
    for c in found:
        assert c.observed_censoring is not None
        censoring, observed = c.observed_censoring.value, c.observed.value
        notes.append(
            f"horizon {c.horizon:g}: observed risk {observed:.3f} (Aalen-Johansen); censoring the "
            f"competing event it would be {censoring:.3f} (1 - Kaplan-Meier), which overstates it "
            f"by {censoring - observed:.3f}"
        )
    return [
        *notes,
        "a model that was fitted with the competing event censored predicts the risk had nobody "
        "had it: observed/expected falls below 1 for that reason alone",
        "concordance, AUC, Brier score, IPA, D-calibration, Royston's D and net benefit censor the "
        "competing event; calibration does not",
    ]


def _median_follow_up(outcome: Outcome) -> float | None:
    """Return when the reverse Kaplan-Meier curve, events being censored, reaches one half."""
    reverse = np.cumprod(1 - outcome.censored / outcome.at_risk)
    reached = np.flatnonzero(reverse <= HALF)
    return float(outcome.times[reached[0]]) if len(reached) else None


def _plain(value: Any) -> Any:
    """Return lists for tuples and None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

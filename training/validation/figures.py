"""Every index of one set of predictions on one set of patients: figures alone, and fast.

Definitions are those of `riskscore.metrics`, where the intervals are; a test holds the two
together. Here a set of patients is prepared once and judged again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskscore.design import linear_predictor
from riskscore.errors import ModelError
from riskscore.metrics._auc import auc_of
from riskscore.metrics._concordance import influence_of
from riskscore.metrics._kaplan_meier import Censoring
from riskscore.metrics._outcome import Outcome
from riskscore.metrics._smooth import LEAST, MOST
from riskscore.metrics._spline import default_knots, spline_columns
from training.cohort import Cohort
from training.cox.risk_sets import RiskSets
from training.cox.solver import maximise

__all__ = ["AT", "OVERALL", "PAIRS", "THRESHOLDS", "Figures", "Plan", "Sample", "nagelkerke"]

FloatArray = NDArray[np.float64]

PAIRS = ("right", "wrong", "same")
"""Shares of comparable pairs by the order of their scores; a concordance is right + same / 2."""

OVERALL = (
    "concordance", "dxy", "r2_nagelkerke", "slope", "integrated_brier", "integrated_ipa", *PAIRS
)  # fmt: skip
AT = ("auc", "brier", "ipa", "observed_expected", "slope", "ici", "e50", "e90")

THRESHOLDS = np.arange(1, 20) / 20
"""Of the decision curves."""

GRID = 40
"""Most times at which the Brier score is integrated."""

POINTS = 50
"""Points of a calibration curve."""

KNOTS = 3
"""Of the smooth calibration curve, as in `riskscore.metrics.calibration`."""


@dataclass(frozen=True)
class Plan:
    """When and where figures are taken: the same for every replicate.

    Attributes
    ----------
    horizons : ndarray of shape (n_horizons,)
    times : ndarray of shape (n_times,)
        The grid of the integrated Brier score and the horizons, ascending.
    points : ndarray of shape (n_horizons, POINTS)
        Predicted risks at which the calibration curves are taken.
    """

    horizons: FloatArray
    times: FloatArray
    points: FloatArray

    @classmethod
    def of(cls, cohort: Cohort) -> Plan:
        """Return the plan of a cohort, its points not yet placed.

        Raises
        ------
        ModelError
            If no horizon has an event before it and a patient beyond it.
        """
        first, last = cohort.time[cohort.event].min(), cohort.time.max()
        horizons = np.array([h for h in cohort.outcome.horizons if first <= h < last])
        if not len(horizons):
            raise ModelError(
                "no horizon can be judged: each needs an event up to it and a patient followed "
                f"beyond it; the first event is at {first:g}, the longest follow-up {last:g}, got "
                f"horizons {', '.join(f'{h:g}' for h in cohort.outcome.horizons)}; declare others "
                f"in the study's outcomes, or check the unit of the times"
            )
        events = np.unique(cohort.time[cohort.event])
        events = events[events <= horizons[-1]]
        chosen = np.unique(np.linspace(0, len(events) - 1, min(GRID, len(events))).astype(int))
        times = np.unique(np.concatenate((events[chosen], horizons)))
        return cls(horizons, times, np.empty((len(horizons), 0)))

    def with_points(self, survival: FloatArray) -> Plan:
        """Return the plan with points from the lowest to the highest risk of these predictions."""
        risk = 1 - survival[:, self.at]
        points = np.linspace(risk.min(axis=0), risk.max(axis=0), POINTS).T
        return Plan(self.horizons, self.times, points)

    @cached_property
    def at(self) -> NDArray[np.intp]:
        """Places of the horizons among the times."""
        return np.searchsorted(self.times, self.horizons)

    @cached_property
    def share(self) -> FloatArray:
        """What each time's Brier score counts in the mean up to the last time."""
        found: FloatArray = np.append(np.diff(self.times), 0.0) / self.times[-1]
        return found


class Figures(NamedTuple):
    """The indexes, NaN where one cannot be had.

    Attributes
    ----------
    overall : ndarray of shape (len(OVERALL),)
    at : ndarray of shape (n_horizons, len(AT))
    curve : ndarray of shape (n_horizons, n_points)
        Observed risk, smoothed, where the predicted is the plan's point.
    benefit : ndarray of shape (n_horizons, len(THRESHOLDS))
        Net benefit of the model.
    """

    overall: FloatArray
    at: FloatArray
    curve: FloatArray
    benefit: FloatArray


class Sample:
    """A set of patients, repeats allowed, on which predictions are judged.

    Parameters
    ----------
    time, event : ndarray of shape (n,)
    plan : Plan
    """

    def __init__(self, time: FloatArray, event: NDArray[np.bool_], plan: Plan) -> None:
        self.outcome = Outcome(time, event)
        self.plan = plan
        self.n = len(time)
        self.order = np.argsort(time, kind="stable")
        self.first = np.searchsorted(time[self.order], self.outcome.times)
        self.events = event[self.order].astype(np.float64)

    @cached_property
    def censoring(self) -> Censoring:
        """The censoring curve."""
        return Censoring.of(self.outcome)

    @cached_property
    def place(self) -> NDArray[np.intp]:
        """Place of each of the plan's times among the distinct times; -1 before the first."""
        return np.searchsorted(self.outcome.times, self.plan.times, side="right") - 1

    @cached_property
    def beyond(self) -> NDArray[np.bool_]:
        """Whether each patient is followed beyond each time, of shape (n, n_times)."""
        found: NDArray[np.bool_] = self.outcome.time[:, None] > self.plan.times
        return found

    @cached_property
    def weight(self) -> FloatArray:
        """Each patient's weight at each time, by the inverse probability of not being censored."""
        event, place = self.outcome.event, self.place
        after = np.where(place >= 0, self.censoring.after[place], 1.0)
        after[after <= 0] = np.nan  # nobody is left to be followed so far
        inverse = np.where(event, 1 / np.where(event, self.censoring.before, 1.0), 0.0)
        found: FloatArray = np.where(self.beyond, 1 / after, inverse[:, None])
        return found

    @cached_property
    def survival(self) -> FloatArray:
        """Kaplan-Meier at the plan's times."""
        curve = np.cumprod(1 - self.outcome.deaths / self.outcome.at_risk)
        return np.where(self.place >= 0, curve[self.place], 1.0)

    @cached_property
    def until(self) -> list[Outcome]:
        """The outcome administratively censored at each horizon."""
        return [self.outcome.until(horizon) for horizon in self.plan.horizons.tolist()]

    @cached_property
    def judged(self) -> list[bool]:
        """Whether each horizon has an event up to it and a patient beyond it."""
        beyond = self.beyond[:, self.plan.at]
        case = self.outcome.event[:, None] & ~beyond
        found: list[bool] = (np.any(case, axis=0) & np.any(beyond, axis=0)).tolist()
        return found

    def figures(
        self, score: FloatArray, survival: FloatArray, r2: float = np.nan, slope: bool = True
    ) -> Figures:
        """Return every index of these predictions.

        Parameters
        ----------
        score : ndarray of shape (n,)
            Higher is worse.
        survival : ndarray of shape (n, n_times)
            At the plan's times.
        r2 : float
            Nagelkerke's, where it is known from the fit.
        slope : bool
            Whether a slope of the score itself means anything: for a linear predictor it does.
        """
        overall = np.full(len(OVERALL), np.nan)
        overall[6:] = right, wrong, same = self.pairs(score)
        overall[:2] = right + same / 2, right - wrong
        if slope:
            overall[2:4] = self.r2_and_slope(score)
        if not np.isnan(r2):
            overall[2] = r2
        risk = 1 - survival
        brier = (self.weight * np.where(self.beyond, risk, 1 - risk) ** 2).mean(axis=0)
        null = self.survival * (1 - self.survival)
        shares = self.plan.share
        overall[4] = brier @ shares
        overall[5] = _gain(float(overall[4]), float(null @ shares))
        at = np.full((len(self.plan.horizons), len(AT)), np.nan)
        curve = np.full(self.plan.points.shape, np.nan)
        benefit = np.full((len(at), len(THRESHOLDS)), np.nan)
        for h, k in enumerate(self.plan.at.tolist()):
            if not self.judged[h]:
                continue
            here = risk[:, k]
            at[h, :4] = (
                auc_of(self.censoring, here, float(self.plan.horizons[h]), 0.95).value,
                brier[k],
                _gain(brier[k], null[k]),
                (1 - self.survival[k]) / here.mean() if here.mean() > 0 else np.nan,
            )
            at[h, 4], at[h, 5:8], curve[h] = self.calibration(cloglog(here), here, h)
            benefit[h] = self.net_benefit(here, k)
        return Figures(overall, at, curve, benefit)

    def pairs(self, score: FloatArray) -> tuple[float, float, float]:
        """Return the shares of comparable pairs whose order is right, wrong, the same score.

        NaN where no two patients can be compared.
        """
        try:
            _, (right, wrong, same) = influence_of(
                self.outcome, score, self.outcome.event.astype(np.float64)
            )
        except ModelError:
            return np.nan, np.nan, np.nan
        total = right + wrong + same
        return right / total, wrong / total, same / total

    def r2_and_slope(self, score: FloatArray) -> tuple[float, float]:
        """Return Nagelkerke's R2 and the coefficient of the score alone in a Cox model.

        Both as R's `rms::validate`.
        """
        fit = _cox(self.outcome, score[:, None], np.ones(1))
        if fit is None:
            return np.nan, np.nan
        sets, coef = fit
        null = sets.loglik(np.zeros(1))
        return nagelkerke(2 * (sets.loglik(coef) - null), null, self.n), float(coef[0])

    def calibration(
        self, x: FloatArray, risk: FloatArray, h: int
    ) -> tuple[float, tuple[float, float, float], FloatArray]:
        """Return slope; ICI, E50 and E90; and the curve, of follow-up up to a horizon alone.

        Parameters
        ----------
        x : ndarray of shape (n,)
            log(-log(survival)) at the horizon.
        risk : ndarray of shape (n,)
        h : int
            Place of the horizon.
        """
        points, seen = self.plan.points[h], self.until[h]
        nothing = np.full(len(points), np.nan)
        line = _cox(seen, x[:, None], np.ones(1))
        slope = np.nan if line is None else float(line[1][0])
        knots = default_knots(x, KNOTS)
        columns = spline_columns(x, knots)
        fit = line
        if len(knots):
            # A spline is near the line; where there is none, near predictions that are right.
            near = np.zeros(columns.shape[1])
            near[0] = 1.0 if line is None else slope
            fit = _cox(seen, columns, near)
        if fit is None:
            return slope, (np.nan, np.nan, np.nan), nothing
        sets, coef = fit
        hazard, center = float(sets.baseline(coef)[-1]), columns.mean(axis=0)

        def smoothed(columns: FloatArray) -> FloatArray:
            with np.errstate(over="ignore"):
                score = linear_predictor(columns - center, coef)
                found: FloatArray = -np.expm1(-hazard * np.exp(score))
            return found

        gap = np.abs(smoothed(columns) - risk)
        e50, e90 = np.quantile(gap, (0.5, 0.9))
        curve = smoothed(spline_columns(cloglog(points), knots)) if len(points) else nothing
        return slope, (float(gap.mean()), float(e50), float(e90)), curve

    def net_benefit(self, risk: FloatArray, k: int) -> FloatArray:
        """Return the net benefit at each threshold, at the time of place `k`."""
        stop = int(self.place[k]) + 1
        high = (risk[self.order, None] >= THRESHOLDS - 1e-12).astype(np.float64)
        leaving = np.add.reduceat(high, self.first, axis=0)
        deaths = np.add.reduceat(high * self.events[:, None], self.first, axis=0)
        at_risk = np.cumsum(leaving[::-1], axis=0)[::-1]
        survival = np.prod(1 - deaths[:stop] / np.maximum(at_risk[:stop], 1), axis=0)
        # Nobody of the high-risk is followed so far, and not all had the event.
        followed = at_risk[np.searchsorted(self.outcome.times, self.plan.times[k])] > 0
        survival = np.where(followed | (survival == 0), survival, np.nan)
        share = high.mean(axis=0)
        found: FloatArray = np.where(share > 0, share * (1 - survival / (1 - THRESHOLDS)), 0.0)
        return found


def _cox(
    outcome: Outcome, columns: FloatArray, near: FloatArray
) -> tuple[RiskSets, FloatArray] | None:
    """Return risk sets of the centred columns and their coefficients, sought near some values.

    None where the columns do not determine them or there is no maximum.
    """
    Z = columns - columns.mean(axis=0)
    scale = Z.std(axis=0)
    if not (scale > 1e-12 * np.maximum(1, np.abs(columns).max(axis=0))).all():
        return None
    sets = RiskSets(Z / scale, outcome.time, outcome.event)
    found = maximise(sets, start=near * scale)
    if not found.converged:
        return None
    return sets.in_units(scale), found.coef / scale


def cloglog(risk: FloatArray) -> FloatArray:
    """Return log(-log(1 - risk)), the risk kept within what can be told from 0 and 1."""
    found: FloatArray = np.log(-np.log1p(-np.clip(risk, LEAST, MOST)))
    return found


def nagelkerke(likelihood_ratio: float, null: float, n: int) -> float:
    """Return Nagelkerke's R2 of a likelihood-ratio statistic."""
    return float(-np.expm1(-likelihood_ratio / n) / -np.expm1(2 * null / n))


def _gain(brier: float, null: float) -> float:
    return 1 - brier / null if null > 0 else np.nan

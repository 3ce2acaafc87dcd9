"""The smooth calibration curve: Cox on a spline of the predictions, and its distance from them.

The regression sees follow-up to the horizon alone: the outcome it is given is administratively
censored there. Where an event competes it is Fine and Gray's, and the curve one of cumulative
incidence.

Sources: Austin, Harrell & van Klaveren, Stat Med 39 (2020) 2714, doi:10.1002/sim.8570; with a
competing event Austin et al., Diagn Progn Res 6 (2022) 2, doi:10.1186/s41512-021-00114-6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riskscore.design import linear_predictor
from riskscore.errors import ModelError
from riskscore.metrics._bootstrap import Resamples
from riskscore.metrics._cox import CoxFit, fit_cox
from riskscore.metrics._estimates import Estimate, FloatArray, percentile
from riskscore.metrics._outcome import Outcome
from riskscore.metrics._spline import default_knots, spline_columns

__all__ = ["LEAST", "MOST", "CalibrationCurve", "smooth_curve"]

LEAST, MOST = 1e-6, 1 - 1e-15
"""Predicted risks are kept within these: the complementary log-log of 0 and 1 is infinite, and that
of a tiny risk so far out that one such patient would decide the fit."""

POINTS = 50
"""Points of a smooth curve, evenly spaced between the lowest and the highest predicted risk."""


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Observed against predicted risk, smoothed; the interval is pointwise, by bootstrap.

    Attributes
    ----------
    predicted, observed : tuple of float
        Points of the curve.
    lower, upper : tuple of float
        Limits; empty without a bootstrap.
    knots : tuple of float
        Predicted risks at which the spline has its knots; empty where it is a line.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    knots: tuple[float, ...]


def smooth_curve(
    outcome: Outcome,
    risk: FloatArray,
    x: FloatArray,
    counts: Resamples,
    level: float,
    n_knots: int,
    notes: list[str],
) -> tuple[Estimate, Estimate, Estimate, CalibrationCurve]:
    """Return ICI, E50, E90 and the curve, bootstrapped with the knots held where they are.

    `outcome` ends at the horizon, so that the last cumulative hazard is that of the horizon.
    """
    knots = default_knots(x, n_knots)
    if not len(knots):
        notes.append("the smooth curve is a line: too few predictions differ for a spline")
    grid = np.linspace(risk.min(), risk.max(), POINTS)
    columns = spline_columns(x, knots)
    kept = np.clip(grid, LEAST, MOST)
    grid_columns = spline_columns(np.log(-np.log1p(-kept)), knots)
    fit = fit_cox(Outcome(outcome.time, outcome.event, competing=outcome.competing), columns)

    def distances(observed: FloatArray, predicted: FloatArray) -> tuple[float, float, float]:
        gap = np.abs(observed - predicted)
        e50, e90 = np.quantile(gap, (0.5, 0.9))
        return float(gap.mean()), float(e50), float(e90)

    curve = _curve(grid_columns, fit)
    figures = distances(_curve(columns, fit), risk)
    draws, curves = np.full((len(counts), 3), np.nan), np.full((len(counts), POINTS), np.nan)
    for k, count in enumerate(counts):
        rows = np.repeat(np.arange(len(count)), count.astype(np.intp))
        competing = None if outcome.competing is None else outcome.competing[rows]
        drawn = Outcome(outcome.time[rows], outcome.event[rows], competing=competing)
        if not drawn.event.any():
            continue
        try:
            again = fit_cox(drawn, columns[rows], start=fit.coef)
        except ModelError:  # this resample has no maximum: percentile leaves it out
            continue
        draws[k] = distances(_curve(columns[rows], again), risk[rows])
        curves[k] = _curve(grid_columns, again)
    ici, e50, e90 = (percentile(figures[j], draws[:, j], level) for j in range(3))
    done = curves[np.isfinite(curves).all(axis=1)]
    limits = (
        np.quantile(done, (0.5 - level / 2, 0.5 + level / 2), axis=0) if len(done) >= 20 else ()
    )
    lower, upper = (tuple(limit.tolist()) for limit in limits) if len(limits) else ((), ())
    at_knots = tuple((-np.expm1(-np.exp(knots))).tolist())
    points = tuple(grid.tolist()), tuple(curve.tolist())
    return ici, e50, e90, CalibrationCurve(*points, lower, upper, at_knots)


def _curve(columns: FloatArray, fit: CoxFit) -> FloatArray:
    """Return the risk at the last time that the regression gives to rows of its columns."""
    with np.errstate(over="ignore"):  # an infinite hazard is a risk of 1
        ratio = np.exp(linear_predictor(columns - fit.center, fit.coef))
        found: FloatArray = -np.expm1(-fit.baseline[-1] * ratio)
    return found

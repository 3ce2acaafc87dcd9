"""Kaplan-Meier curves by arm, as numbers: points, medians, numbers at risk, log-rank."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sksurv.compare import compare_survival

from training.cohort import Cohort
from training.reconstruction.statistics import Curve, kaplan_meier

__all__ = ["survival", "ticks"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_TICKS = 8
STEPS = {"month": (1, 2, 3, 6, 12, 24, 60), "week": (1, 2, 4, 8, 13, 26, 52, 104)}
"""Distances a reader expects on an axis of months or weeks; other axes count 1, 2, 5."""


def survival(cohort: Cohort, arms: Sequence[str], arm: NDArray[np.intp]) -> dict[str, Any]:
    """Return the curves of a cohort by arm, and the log-rank test between them.

    Parameters
    ----------
    cohort : Cohort
    arms : sequence of str
    arm : ndarray of shape (n,)
        Each row's place in `arms`.

    Notes
    -----
    A median is the first time at which survival is at most one half, as SPSS has it; where a curve
    runs level at exactly one half R returns the middle of the step. `interval` inverts the curve's
    log-log interval; `symmetric_interval` is median -+ 1.96 SE, the form SPSS prints. A limit that
    is not reached is infinite, null in JSON. Median follow-up is by the reverse Kaplan-Meier.
    """
    shown = ticks(float(cohort.time.max()), cohort.study.time_unit)
    return {
        "outcome": cohort.outcome.name,
        "label": cohort.outcome.label,
        "follow_up": {
            "longest": float(cohort.time.max()),
            "median": _reverse_median(cohort.time, cohort.event),
        },
        "ticks": shown,
        "arms": [
            _arm(level, cohort, arm == a, shown, cohort.outcome.horizons)
            for a, level in enumerate(arms)
        ],
        "logrank": _logrank(cohort, arm),
    }


def ticks(longest: float, unit: str) -> list[float]:
    """Return round times from 0 to at most the longest, no more than `MOST_TICKS` of them.

    Examples
    --------
    >>> ticks(36, "month"), ticks(900, "day")
    ([0, 6, 12, 18, 24, 30, 36], [0, 200, 400, 600, 800])
    """
    known = STEPS.get(unit, ())
    step = next((s for s in known if longest / s < MOST_TICKS), None)
    if step is None:
        scale = 10.0 ** np.floor(np.log10(longest / MOST_TICKS))
        step = next(s * scale for s in (1, 2, 5, 10) if longest / (s * scale) < MOST_TICKS)
    count = int(longest / step + 1e-9) + 1
    found = [i * step for i in range(count)]
    return [int(t) if float(t).is_integer() else float(t) for t in found]


def _arm(
    level: str, cohort: Cohort, members: BoolArray, at: Sequence[float], horizons: Sequence[float]
) -> dict[str, Any]:
    time, event = cohort.time[members], cohort.event[members]
    curve = kaplan_meier(time, event)
    lower, upper = _band(curve)
    return {
        "level": level,
        "n": len(time),
        "events": int(event.sum()),
        "longest": float(time.max()),
        "median": curve.median,
        "interval": curve.median_interval(),
        "symmetric_interval": _symmetric(curve),
        "at_horizons": [_at(curve, lower, upper, h, float(time.max())) for h in horizons],
        "at_risk": [int((time >= t).sum()) for t in at],
        "times": curve.times.tolist(),
        "survival": curve.survival.tolist(),
        "lower": lower.tolist(),
        "upper": upper.tolist(),
        "censored": np.unique(time[~event]).tolist(),
    }


def _symmetric(curve: Curve) -> tuple[float, float]:
    """Return median -+ z SE; NaN where everybody is dead at the median, so that it has no SE."""
    if (curve.survival[curve.times <= curve.median] == 0).any():
        return float("nan"), float("nan")
    return curve.symmetric_median_interval()


def _band(curve: Curve, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the pointwise log-log interval of the curve; NaN once nobody is left."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    inside = (curve.survival > 0) & (curve.survival < 1)
    log_survival = np.log(curve.survival, where=inside, out=np.full_like(curve.survival, np.nan))
    spread = z * np.sqrt(curve.variance) / np.abs(log_survival)
    return curve.survival ** np.exp(spread), curve.survival ** np.exp(-spread)


def _at(
    curve: Curve, lower: FloatArray, upper: FloatArray, time: float, longest: float
) -> dict[str, Any]:
    """Return survival at a time, with nothing said beyond the arm's follow-up."""
    found: dict[str, Any] = {"time": time, "survival": None, "lower": None, "upper": None}
    last = int(np.searchsorted(curve.times, time, side="right")) - 1
    if last < 0:
        return {**found, "survival": 1.0} if time <= longest else found
    if time > longest and curve.survival[last] > 0:
        return found
    return {
        "time": time,
        "survival": float(curve.survival[last]),
        "lower": float(lower[last]),
        "upper": float(upper[last]),
    }


def _logrank(cohort: Cohort, arm: NDArray[np.intp]) -> dict[str, Any] | None:
    """Return the log-rank test; None where no two arms can be compared.

    As in R, an arm that nobody was left in when the first event came takes no degree of freedom.
    """
    first = cohort.time[cohort.event].min()
    watched = np.isin(arm, np.unique(arm[cohort.time >= first]))
    df = len(np.unique(arm[watched])) - 1
    if df < 1:
        return None
    try:
        statistic = float(compare_survival(cohort.y[watched], arm[watched])[0])
    except np.linalg.LinAlgError:  # at every event one arm alone was left, so nothing was compared
        return None
    return {"chi_square": statistic, "df": df, "p": float(stats.chi2.sf(statistic, df))}


def _reverse_median(time: FloatArray, event: BoolArray) -> float:
    """Return the median follow-up; infinite where too few were censored to tell."""
    return kaplan_meier(time, ~event).median

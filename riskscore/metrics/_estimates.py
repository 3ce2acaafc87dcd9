"""A figure with its interval, and how intervals are made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem

__all__ = [
    "Band",
    "Estimate",
    "FloatArray",
    "IntArray",
    "on_log_scale",
    "percentile",
    "quantile",
    "wald",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its standard error and its interval.

    Attributes
    ----------
    value : float
        The figure on the data at hand.
    se : float or None
        Standard error on the figure's own scale; None where none is defined.
    lower, upper : float or None
        Limits of the interval; None where none is defined.
    """

    value: float
    se: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A curve of estimates, column by column as a drawing wants them.

    Attributes
    ----------
    value, se, lower, upper : tuple of float
        As in `Estimate`, a place a point; NaN where the figure does not exist.
    """

    value: tuple[float, ...]
    se: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def of(cls, points: Iterable[Estimate]) -> Band:
        """Return the band of a curve's points."""
        rows = [(p.value, p.se, p.lower, p.upper) for p in points]
        columns = (
            [math.nan if v is None else v for v in column] for column in zip(*rows, strict=True)
        )
        return cls(*(tuple(column) for column in columns))


def quantile(level: float) -> float:
    """Return the normal quantile of a two-sided interval.

    Examples
    --------
    >>> round(quantile(0.95), 4)
    1.96
    """
    if not 0 < level < 1:
        problem = Problem(None, "level", "must be between 0 and 1", level, "give 0.95, say")
        raise InputError([problem])
    return NormalDist().inv_cdf(0.5 + level / 2)


def wald(
    value: float, se: float, level: float, least: float = -math.inf, most: float = math.inf
) -> Estimate:
    """Return value and interval, symmetrical and cut at what the figure can be."""
    reach = quantile(level) * se
    return Estimate(value, se, max(value - reach, least), min(value + reach, most))


def on_log_scale(value: float, se_log: float, level: float) -> Estimate:
    """Return a positive ratio, its interval symmetrical on the log scale."""
    factor = math.exp(quantile(level) * se_log)
    return Estimate(value, value * se_log, value / factor, value * factor)


def percentile(value: float, draws: FloatArray, level: float) -> Estimate:
    """Return value, the draws' standard deviation and their percentile interval.

    Draws that are NaN (resamples in which the figure does not exist) are left out; with fewer than
    20 left there is no interval.
    """
    kept = draws[np.isfinite(draws)]
    if len(kept) < 20:
        return Estimate(value)
    lower, upper = np.quantile(kept, (0.5 - level / 2, 0.5 + level / 2))
    return Estimate(value, float(kept.std(ddof=1)), float(lower), float(upper))

"""Ties: values that differ by rounding alone are one value.

Times that are differences of ages or dates, and predictions that a matrix product or a runtime
computed, differ in their last bits where they are meant to be equal. Which of two such values is
larger is chance, and another chance on another processor: no tie, rank or cut may hang on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HALF", "RISK_TOLERANCE", "join_scores", "join_times", "join_values"]

FloatArray = NDArray[np.float64]

TIME_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))
"""R's `timefix`: 1.5e-8, of the unit of time and of the mean of the distinct times."""

SCORE_TOLERANCE = 1e-12
"""Of the median size of the scores: some thousand times what rounding leaves of a sum of terms."""

RISK_TOLERANCE = 1e-14
"""Of risks, which are 1 less a survival: rounding moves either by about 1e-16."""

HALF = 0.5 + 1e-12
"""One half of a curve that is a product of many factors: it reaches 0.5 but for the last bits."""


def join_times(time: FloatArray, horizons: Sequence[float] = ()) -> FloatArray:
    """Return times in which those that differ by rounding alone are equal, as R's `aeqSurv`.

    Parameters
    ----------
    time : ndarray of shape (n,)
        What is not finite stays as it is.
    horizons : sequence of float
        A time that differs from one of these by rounding alone becomes it.

    Returns
    -------
    ndarray of shape (n,)
        Neighbours no further apart than `TIME_TOLERANCE` become the first of them.

    Examples
    --------
    >>> join_times(np.array([0.1 + 0.2, 0.3, 65.3 - 65.0, 1.0]))
    array([0.3, 0.3, 0.3, 1. ])
    >>> join_times(np.array([66.1 - 64.1, 3.0]), horizons=[2.0])
    array([2., 3.])
    """
    finite = np.isfinite(time)
    if not finite.any():
        return time
    values = np.unique(time[finite])
    reach = TIME_TOLERANCE * max(1.0, float(np.abs(values).mean()))
    first = values[np.concatenate(([True], np.diff(values) > reach))]
    joined = time.copy()
    joined[finite] = first[np.searchsorted(first, time[finite], side="right") - 1]
    for horizon in horizons:
        joined[np.abs(joined - horizon) <= reach] = horizon
    return joined


def join_scores(score: FloatArray) -> FloatArray:
    """Return risk scores in which those that differ by rounding alone are equal.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Finite numbers.

    Examples
    --------
    >>> join_scores(np.array([0.1 + 0.2, 0.3, 0.4]))
    array([0.3, 0.3, 0.4])
    """
    if not len(score):
        return score
    return join_values(score, SCORE_TOLERANCE * float(np.median(np.abs(score))))


def join_values(values: FloatArray, tolerance: float) -> FloatArray:
    """Return values in which those no further apart than a tolerance are equal: to the least.

    A chain of neighbours that is wider than the tolerance as a whole stays as it is: so many values
    so close together are no rounding.

    Examples
    --------
    >>> join_values(np.array([0.0, 0.1, 1.0, 1.1, 1.2]), 0.15)
    array([0. , 0. , 1. , 1.1, 1.2])
    """
    ordered = np.unique(values)
    close = np.diff(ordered) <= tolerance
    if not close.any():
        return values
    starts = np.flatnonzero(np.concatenate(([True], ~close)))
    ends = np.append(starts[1:], len(ordered)) - 1
    rounding = ordered[ends] - ordered[starts] <= tolerance
    chain = np.repeat(np.arange(len(starts)), ends - starts + 1)
    joined = np.where(rounding[chain], ordered[starts][chain], ordered)
    return joined[np.searchsorted(ordered, values)]

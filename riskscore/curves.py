"""Arithmetic on survival curves: right-continuous steps that start at 1.

A set of curves is an array of shape (n_patients, n_times) on ascending times; before the first
time every curve is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["at", "median", "restricted_mean"]

FloatArray = NDArray[np.float64]


def at(grid: FloatArray, curves: FloatArray, times: FloatArray) -> FloatArray:
    """Return the curves at `times`, of shape (n_patients, len(times)).

    The value at a time is the value at the last grid time that is not later; 1 before the first.

    Examples
    --------
    >>> at(np.array([2.0, 5.0]), np.array([[0.8, 0.4]]), np.array([0.0, 2.0, 4.9, 5.0]))
    array([[1. , 0.8, 0.8, 0.4]])
    """
    position = np.searchsorted(grid, times, side="right") - 1
    found: FloatArray = curves[:, np.maximum(position, 0)]
    if (position < 0).any():
        found = np.where(position < 0, 1.0, found)
    return found


def median(grid: FloatArray, curves: FloatArray) -> FloatArray:
    """Return the first time at which each curve is at or below 0.5; NaN if it never is.

    Examples
    --------
    >>> median(np.array([2.0, 5.0]), np.array([[0.8, 0.4], [0.9, 0.6]]))
    array([ 5., nan])
    """
    below = curves <= 0.5
    first = below.argmax(axis=1)
    reached = below[np.arange(len(curves)), first]
    return np.where(reached, grid[first], np.nan)


def restricted_mean(grid: FloatArray, curves: FloatArray, limit: float) -> FloatArray:
    """Return the area under each curve from 0 to `limit`, in the unit of time.

    Examples
    --------
    >>> restricted_mean(np.array([2.0, 5.0]), np.array([[0.8, 0.4]]), 6.0)
    array([4.8])
    """
    edges = np.minimum(np.concatenate(([0.0], grid, [limit])), limit)
    widths = np.diff(np.maximum.accumulate(edges))
    area: FloatArray = widths[0] + curves @ widths[1:]
    return area

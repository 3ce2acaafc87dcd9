"""Arithmetic on survival curves: right-continuous steps that start at 1.

A set of curves is an array of shape (n_patients, n_times) on ascending times; before the first
time every curve is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from riskscore.ties import HALF

__all__ = ["at", "interval_widths", "median", "positions", "possible_medians", "restricted_mean"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def positions(grid: FloatArray, times: FloatArray) -> IntArray:
    """Return where on the grid each time is read: the last grid time not later; -1 before all.

    Examples
    --------
    >>> positions(np.array([2.0, 5.0]), np.array([0.0, 2.0, 4.9, 5.0])).tolist()
    [-1, 0, 0, 1]
    """
    return np.searchsorted(grid, times, side="right") - 1


def at(curves: FloatArray, position: IntArray, early: bool | None = None) -> FloatArray:
    """Return the curves where `positions` says, of shape (n_patients, n_positions).

    `early`: whether a position is before all; who reads many curves at the same positions has
    looked already.

    Examples
    --------
    >>> at(np.array([[0.8, 0.4]]), np.array([-1, 0, 0, 1]))
    array([[1. , 0.8, 0.8, 0.4]])
    """
    found: FloatArray = curves.take(position, axis=1)  # -1 takes the last, mended below
    if (position.min() < 0) if early is None else early:
        found[:, position < 0] = 1.0
    return found


def possible_medians(grid: FloatArray) -> FloatArray:
    """Return the times of the grid, then NaN for a curve that stays above one half."""
    return np.append(grid, np.nan)


def median(curves: FloatArray, possible: FloatArray) -> FloatArray:
    """Return the first time at which each curve is at or below 0.5, of its `possible_medians`.

    Examples
    --------
    >>> median(np.array([[0.8, 0.4], [0.9, 0.6]]), np.array([2.0, 5.0, np.nan]))
    array([ 5., nan])
    """
    # The number of times above one half is the position of the first that is not.
    first = (curves > HALF).sum(axis=1)
    found: FloatArray = possible.take(first)
    return found


def interval_widths(grid: FloatArray, limit: float) -> FloatArray:
    """Return how much of 0 to `limit` lies before the grid, then after each of its times.

    Examples
    --------
    >>> interval_widths(np.array([2.0, 5.0, 9.0]), 6.0)
    array([2., 3., 1., 0.])
    """
    edges = np.minimum(np.concatenate(([0.0], grid, [max(limit, grid[-1])])), limit)
    widths: FloatArray = np.diff(edges)
    return widths


def restricted_mean(curves: FloatArray, widths: FloatArray) -> FloatArray:
    """Return the area under each curve, from its `interval_widths`; in the unit of time.

    Examples
    --------
    >>> restricted_mean(np.array([[0.8, 0.4]]), np.array([2.0, 3.0, 1.0]))
    array([4.8])
    """
    # Not a matrix product, whose last bits depend on a patient's position.
    area: FloatArray = np.multiply(curves, widths[1:], order="C").sum(axis=1) + widths[0]
    return area

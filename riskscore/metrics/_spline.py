"""Restricted cubic splines as R's `rms::rcs`: cubic between the knots, linear beyond them.

Source: Harrell, Regression Modeling Strategies (2015), section 2.4.5,
doi:10.1007/978-3-319-19425-7.
"""

from __future__ import annotations

import numpy as np

from riskscore.metrics._estimates import FloatArray

__all__ = ["default_knots", "spline_columns"]


PILED = 0.05
"""Share of all values from which on one value is a pile."""


def default_knots(x: FloatArray, n_knots: int) -> FloatArray:
    """Return the knots `rms` would choose; fewer than three mean that a line must do.

    Evenly spaced quantiles, the outer ones 10 % from the ends for three knots and 5 % for more;
    below 100 values the outer ones are the fifth smallest and fifth largest. Where values pile
    up at an end, and only there, the value next to the pile is a knot. Where too few values differ,
    so that `rms` would look for other knots, there are none.

    Examples
    --------
    >>> default_knots(np.arange(101.0), 3).tolist()
    [10.0, 50.0, 90.0]
    """
    values, size = np.unique(x, return_counts=True)
    if len(values) <= n_knots + 2:
        return np.empty(0)
    outer = 0.1 if n_knots == 3 else 0.05
    share = size / len(x)
    piled = share[[0, -1]] >= PILED if share[1:-1].max() < PILED else np.zeros(2, dtype=bool)
    first, last = values[1:2][piled[:1]], values[-2:-1][piled[1:]]
    between = x[(x > (first[0] if len(first) else -np.inf))]
    between = between[between < (last[0] if len(last) else np.inf)]
    left = n_knots - int(piled.sum())
    shares = {1: np.array([0.5]), 2: np.array([0.5, 1 - outer])}
    knots = np.quantile(between, shares.get(left, np.linspace(outer, 1 - outer, left)))
    if len(np.unique(knots)) < min(left, 3):
        return np.empty(0)
    if left > 1 and 10 <= len(between) < 100:
        fifth = np.partition(between, (4, len(between) - 5))[[4, len(between) - 5]]
        knots[[0, -1]] = np.where(piled, knots[[0, -1]], fifth)
    knots = np.unique(np.concatenate([first, knots, last]))
    return knots if len(knots) >= 3 else np.empty(0)


def spline_columns(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the design of a spline, shape (n, max(1, n_knots - 1)); a line without knots."""
    if not len(knots):
        return x[:, None]
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2

    def cube(knot: float) -> FloatArray:
        found: FloatArray = np.maximum(x - knot, 0) ** 3 / scale
        return found

    columns = [x]
    for knot in knots[:-2]:
        bend = (last - knot) * cube(before) - (before - knot) * cube(last)
        columns.append(cube(knot) - bend / (last - before))
    return np.stack(columns, axis=1)

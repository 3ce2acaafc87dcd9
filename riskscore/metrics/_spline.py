"""Restricted cubic splines as R's `rms::rcs`: cubic between the knots, linear beyond them.

Source: Harrell, Regression Modeling Strategies (2015), section 2.4.5,
doi:10.1007/978-3-319-19425-7.
"""

from __future__ import annotations

import numpy as np

from riskscore.metrics._estimates import FloatArray

__all__ = ["default_knots", "spline_columns"]


def default_knots(x: FloatArray, n_knots: int) -> FloatArray:
    """Return the knots `rms` would choose; fewer than three mean that a line must do.

    Evenly spaced quantiles, the outer ones 10 % from the ends for three knots and 5 % for more;
    below 100 values the outer ones are the fifth smallest and fifth largest. Where `rms` would look
    for other knots, since too few values differ, there are none.

    Examples
    --------
    >>> default_knots(np.arange(101.0), 3).tolist()
    [10.0, 50.0, 90.0]
    """
    outer = 0.1 if n_knots == 3 else 0.05
    knots = np.quantile(x, np.linspace(outer, 1 - outer, n_knots))
    if 10 <= len(x) < 100:
        knots[[0, -1]] = np.partition(x, (4, len(x) - 5))[[4, len(x) - 5]]
    if len(np.unique(x)) <= n_knots + 2 or (np.diff(knots) <= 0).any():
        return np.empty(0)
    return knots


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

"""Steps that start at 1: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from riskscore import curves

GRID = np.array([2.0, 5.0, 9.0])
CURVES = np.array([[0.9, 0.5, 0.2], [1.0, 0.8, 0.7]])


def test_a_curve_is_right_continuous_and_one_before_the_first_time() -> None:
    """At a grid time the curve has already dropped; just before it has not."""
    times = np.array([0.0, 1.999, 2.0, 4.999, 5.0, 9.0, 30.0])
    read = curves.at(CURVES, curves.positions(GRID, times))
    np.testing.assert_array_equal(read[0], [1, 1, 0.9, 0.9, 0.5, 0.2, 0.2])


def test_times_may_come_in_any_order() -> None:
    """The answer follows the question."""
    read = curves.at(CURVES, curves.positions(GRID, np.array([9.0, 2.0])))
    np.testing.assert_array_equal(read[1], [0.7, 1.0])


def test_the_median_is_the_first_time_at_half_or_below() -> None:
    """Exactly one half counts; a curve that stays above has none."""
    np.testing.assert_array_equal(
        curves.median(CURVES, curves.possible_medians(GRID)), [5.0, np.nan]
    )


@pytest.mark.parametrize(
    ("limit", "area"),
    [
        (1.0, [1.0, 1.0]),
        (2.0, [2.0, 2.0]),
        (6.0, [2 + 3 * 0.9 + 0.5, 2 + 3 + 0.8]),
        (12.0, [2 + 2.7 + 2.0 + 0.6, 2 + 3 + 3.2 + 2.1]),
    ],
)
def test_the_restricted_mean_is_the_area_up_to_the_limit(limit: float, area: list[float]) -> None:
    """Rectangles added by hand, with limits before, between and after the steps."""
    np.testing.assert_allclose(
        curves.restricted_mean(CURVES, curves.interval_widths(GRID, limit)), area, rtol=1e-15
    )  # a few additions in another order

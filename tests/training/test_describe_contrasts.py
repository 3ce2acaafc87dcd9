"""Tests and standardised differences, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.description.contrasts import (
    compare_counts,
    compare_means,
    compare_ranks,
    count_difference,
    largest_difference,
    mean_difference,
)
from training.description.survival import ticks
from training.description.table_one import wilson

EXACT = 1e-12  # a few additions and one root


def test_pearson_by_hand() -> None:
    """Each of 15 expected is missed by 5: 4 x 25/15."""
    test = compare_counts([[10, 20], [20, 10]])
    assert test is not None
    assert (test.name, test.df) == ("chi-square", (1,))
    assert test.statistic == pytest.approx(20 / 3, rel=EXACT)


def test_fisher_by_hand() -> None:
    """Three of three against none of three: two of twenty tables are as extreme."""
    test = compare_counts([[3, 0], [0, 3]])
    assert test is not None
    assert (test.name, test.statistic) == ("Fisher's exact", None)
    assert test.p == pytest.approx(0.1, rel=EXACT)


def test_a_sparse_table_of_more_levels_says_so() -> None:
    """No exact test for it, so the approximation is named as doubtful."""
    test = compare_counts([[1, 2], [8, 9], [3, 1]])
    assert test is not None
    assert test.name == "chi-square, an expected count below 5"
    assert test.df == (2,)


def test_levels_and_groups_without_anybody_do_not_count() -> None:
    """An empty level takes no degree of freedom."""
    assert compare_counts([[10, 20], [0, 0], [20, 10]]) == compare_counts([[10, 20], [20, 10]])
    assert compare_counts([[10, 20, 0], [20, 10, 0]]) == compare_counts([[10, 20], [20, 10]])


@pytest.mark.parametrize("table", [[[0, 0], [4, 5]], [[4, 0], [5, 0]], [[3, 4]]])
def test_nothing_to_compare_is_no_test(table: list[list[int]]) -> None:
    """One level or one group left."""
    assert compare_counts(table) is None


def test_students_t_by_hand() -> None:
    """Means 2 and 4, both variances 1, three each: t = -2 / sqrt(2/3) on 4 degrees of freedom."""
    test = compare_means([np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])])
    assert test is not None
    assert (test.name, test.df) == ("t", (4,))
    assert test.statistic == pytest.approx(-2 / math.sqrt(2 / 3), rel=EXACT)


def test_analysis_of_variance_by_hand() -> None:
    """Means 2, 4, 6 of three each with variance 1: between 24/2, within 6/6."""
    groups = [np.array([1.0, 2.0, 3.0]) + shift for shift in (0, 2, 4)]
    test = compare_means(groups)
    assert test is not None
    assert (test.name, test.df) == ("ANOVA", (2, 6))
    assert test.statistic == pytest.approx(12, rel=EXACT)


def test_ranks_by_hand() -> None:
    """Ranks 1, 2 and 3, 4: H = 12/(4 x 5) (9/2 + 49/2) - 15 = 2.4."""
    test = compare_ranks([np.array([1.0, 2.0]), np.array([30.0, 400.0])])
    assert test is not None
    assert test.statistic == pytest.approx(2.4, rel=EXACT)


@pytest.mark.parametrize(
    "groups",
    [
        [np.array([1.0, 2.0])],
        [np.array([1.0, 1.0]), np.array([1.0, 1.0])],
        [np.array([]), np.array([1.0, 2.0])],
    ],
)
def test_numbers_that_cannot_be_compared_are_no_test(groups: list[np.ndarray]) -> None:
    """One group, nothing that varies, or an empty group."""
    assert compare_means(groups) is None
    assert compare_ranks(groups) is None


def test_a_mean_difference_by_hand() -> None:
    """2 over a common standard deviation of 1, whichever comes first."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])
    assert mean_difference(a, b) == mean_difference(b, a) == pytest.approx(2, rel=EXACT)
    assert mean_difference(a, a) == 0
    assert math.isnan(mean_difference(np.array([1.0, 1.0]), np.array([2.0, 2.0])))
    assert math.isnan(mean_difference(a, np.array([1.0])))


def test_a_count_difference_of_two_levels_is_austins() -> None:
    """0.5 against 0.25: 0.25 over the root of (0.25 + 0.1875) / 2."""
    found = count_difference(np.array([2.0, 2.0]), np.array([3.0, 1.0]))
    assert found == pytest.approx(0.25 / math.sqrt(0.21875), rel=EXACT)


def test_a_count_difference_does_not_depend_on_which_level_is_the_reference() -> None:
    """The distance is the same whichever category is left out."""
    a, b = np.array([4.0, 3.0, 3.0]), np.array([2.0, 3.0, 5.0])
    turned = count_difference(a[[2, 0, 1]], b[[2, 0, 1]])
    assert count_difference(a, b) == pytest.approx(turned, rel=EXACT)


def test_a_difference_without_scale_is_not_a_number() -> None:
    """No level in common, or nobody: no spread to measure by, and not a balance of 0."""
    assert math.isnan(count_difference(np.array([3.0, 0.0]), np.array([0.0, 3.0])))
    assert math.isnan(count_difference(np.array([3.0, 1.0]), np.array([0.0, 0.0])))
    assert count_difference(np.array([3.0, 1.0]), np.array([6.0, 2.0])) == 0


def test_the_largest_difference_is_over_all_pairs() -> None:
    """And is not told if a pair has none."""
    a, b, c = (np.array([1.0, 2.0, 3.0]) + shift for shift in (0, 1, 5))
    assert largest_difference([a, b, c], mean_difference) == pytest.approx(5, rel=EXACT)
    assert math.isnan(largest_difference([a, b, np.array([1.0])], mean_difference))
    assert math.isnan(largest_difference([a], mean_difference))


def test_wilson_stays_within_0_and_1() -> None:
    """Also where nobody, or everybody, has it; mirrored for the complement."""
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    low, high = wilson(3, 10)
    assert wilson(7, 10) == pytest.approx((1 - high, 1 - low), rel=EXACT)


@pytest.mark.parametrize(
    ("longest", "unit", "last"),
    [
        (36, "month", 36),
        (109, "month", 96),
        (0.8, "year", 0.8),
        (7, "week", 7),
        (5000, "day", 5000),
    ],
)
def test_ticks_are_few_and_within_follow_up(longest: float, unit: str, last: float) -> None:
    """At most eight, from 0, evenly spaced."""
    found = ticks(longest, unit)
    assert found[0] == 0
    assert found[-1] == pytest.approx(last)
    assert 2 <= len(found) <= 9
    assert np.allclose(np.diff(found), found[1])

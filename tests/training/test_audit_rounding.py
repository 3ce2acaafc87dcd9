"""Intervals that hold whatever rounding hid, and the tests of counts and means against R."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from training.audit import Interval
from training.audit.count_tests import count_tests, fisher_exact
from training.audit.rounding import cut_off, hull, printed, probability
from training.audit.student import t_tests
from training.published import Printed

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "oracle" / "audit.json").read_text(encoding="utf-8")
)
NAMES = {"pearson": "Pearson", "yates": "Yates", "fisher": "Fisher", "trend": "trend"}

numbers = st.floats(-100, 100).map(lambda x: round(x, 3))
boxes = st.tuples(numbers, numbers).map(lambda ends: Interval(*sorted(ends)))
shares = st.floats(0, 1)


def within(box: Interval, share: float) -> float:
    """Return a number in a box."""
    return min(max(box.lower + share * (box.upper - box.lower), box.lower), box.upper)


@settings(max_examples=200, deadline=None)
@given(boxes, boxes, shares, shares)
def test_an_operation_loses_no_possible_value(
    a: Interval, b: Interval, first: float, second: float
) -> None:
    """Whatever the operands were before rounding, their result lies in the interval."""
    x, y = within(a, first), within(b, second)
    pairs = [(a + b, x + y), (a - b, x - y), (a * b, x * y), (abs(a), abs(x))]
    if y != 0:
        pairs.append((a / b, x / y))
    for interval, value in pairs:
        slack = 1e-9 * max(1.0, abs(value))  # float noise of one operation
        assert interval.lower - slack <= value <= interval.upper + slack


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0.5, 20), min_size=4, max_size=4),
    st.lists(st.floats(-0.05, 0.05), min_size=4, max_size=4),
    st.tuples(st.integers(2, 60), st.integers(2, 60)),
)
def test_a_rounded_t_test_holds_the_true_p(
    values: list[float], shift: list[float], n: tuple[int, int]
) -> None:
    """Means and SDs to one decimal; the P value of the unrounded ones is never left out."""
    centres = [round(v, 1) for v in values]
    boxes = [Interval(c - 0.05, c + 0.05) for c in centres]
    m1, m2, s1, s2 = (c + d for c, d in zip(centres, shift, strict=True))
    found = t_tests(boxes[:2], boxes[2:], n)
    for name, equal in (("Student", True), ("Welch", False)):
        p = stats.ttest_ind_from_stats(m1, s1, n[0], m2, s2, n[1], equal_var=equal).pvalue
        assert found[name].lower - 1e-9 <= p <= found[name].upper + 1e-9  # float noise


@pytest.mark.parametrize("name", sorted(ORACLE["counts"]))
def test_counts_are_tested_as_r_tests_them(name: str) -> None:
    """Pearson, Yates, Fisher of any number of levels, and the trend."""
    known = ORACLE["counts"][name]
    found = count_tests(known["table"])
    for key, label in NAMES.items():
        if known[key] is None:
            assert label not in found
        elif key == "fisher":
            # R sums the same probabilities in another order; 1e-7 is its own tolerance for ties.
            assert found[label][1] == pytest.approx(known[key], abs=1e-7)
        else:
            assert found[label] == pytest.approx(known[key], abs=1e-10)  # digits of the file


@pytest.mark.parametrize("name", sorted(ORACLE["means"]))
def test_means_are_tested_as_r_tests_them(name: str) -> None:
    """Without rounding the interval is R's one number."""
    known = ORACLE["means"][name]
    mean, sd = ([Interval(v, v) for v in known[key]] for key in ("mean", "sd"))
    found = t_tests(mean, sd, known["n"])
    for label in ("Student", "Welch"):
        expected = known[label.lower()]
        ends = (found[label].lower, found[label].upper)
        assert ends == pytest.approx((expected, expected), abs=1e-10)  # digits of the file


def test_fisher_is_not_enumerated_for_ever() -> None:
    """A table with too many siblings is left to the other tests."""
    table = np.array([[90, 80], [70, 95], [60, 55], [40, 45]])
    assert fisher_exact(table) is None
    assert "Fisher" not in count_tests(table.tolist())


def test_a_table_of_nothing_has_one_p() -> None:
    """Where nobody or everybody had the event, no test can differ."""
    assert count_tests([[0, 0], [42, 48]]) == {"nothing to compare": (0.0, 1.0)}


def test_what_touches_zero_is_left_open() -> None:
    """A divisor or a logarithm that may be of 0 bounds nothing."""
    assert Interval(1, 2) / Interval(-1, 1) == Interval(-math.inf, math.inf)
    assert Interval(0, 1).log() == Interval(-math.inf, 0)
    assert Interval(1, 2) / Interval(4, math.inf) == Interval(0, 0.5)
    assert Interval(-math.inf, 0).json == {"lower": None, "upper": 0}


def test_intervals_are_written_for_reading() -> None:
    """One number where the ends agree; no digits that mean nothing."""
    assert Interval(0.1921, 0.1924).text(3) == "0.192"
    assert Interval(0.166, 0.182).text(3) == "0.166 to 0.182"
    assert Interval(1e-6, 2e-6).text(3) == "<0.0001"
    assert Interval(1e-6, 0.25).text(3) == "up to 0.250"
    assert Interval(0.0, math.inf).text(1) == "any number"


def test_probabilities_stay_between_0_and_1() -> None:
    """Rounding cannot lead out of the scale."""
    assert probability(Printed("0.000")) == Interval(0.0, 0.0005)
    assert probability(Printed("<0.001")) == Interval(0.0, 0.001)
    assert probability(Printed("1")) == Interval(0.5, 1.0)


def test_a_cut_off_digit_is_recognised_on_both_sides_of_zero() -> None:
    """Cutting off moves towards 0."""
    assert cut_off(Printed("0.039"), Interval(0.0396, 0.0397))
    assert not cut_off(Printed("0.039"), Interval(0.0381, 0.0382))
    assert cut_off(Printed("-1.2"), Interval(-1.29, -1.29))


def test_hull_and_counts() -> None:
    """The most lenient reading, and a count that is itself."""
    assert hull([Interval(0, 1), Interval(3, 4)]) == Interval(0, 4)
    assert printed(7) == Interval(7.0, 7.0)

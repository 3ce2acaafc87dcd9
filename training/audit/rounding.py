"""What a printed number can have been before it was rounded, carried through calculations.

Every operation here is monotone in each of its operands over the box of possible values (a product
is bilinear), so that its extremes lie at the corners of the box and the interval it returns holds
every value that some unrounded numbers give. An interval may be wider than the truth where an
operand is used twice; it is never narrower. A disagreement is only called one when two such
intervals have no number in common, so rounding alone cannot make a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

from training.published import Printed

__all__ = ["SLACK", "Interval", "cut_off", "hull", "printed", "probability"]

SLACK = 1e-9
"""Float noise that is forgiven when two intervals are compared."""

LARGEST = 700.0
"""The exponential of more is no float."""

SMALLEST = 1e-4
"""Numbers between 0 and this are written "<0.0001"."""


@dataclass(frozen=True)
class Interval:
    """All numbers from `lower` to `upper`, ends included.

    Examples
    --------
    >>> hazard_ratio = printed(Printed("0.760")).exp()
    >>> hazard_ratio.text(3)
    '2.137 to 2.139'
    >>> hazard_ratio.meets(printed(Printed("2.310")))
    False
    """

    lower: float
    upper: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lower + other.lower, self.upper + other.upper)

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.lower - other.upper, self.upper - other.lower)

    def __mul__(self, other: Interval | float) -> Interval:
        if not isinstance(other, Interval):
            other = Interval(other, other)
        return _corners(lambda a, b: 0.0 if 0.0 in (a, b) else a * b, self, other)

    def __truediv__(self, other: Interval | float) -> Interval:
        """Divide; an interval that touches 0 as divisor leaves the quotient open."""
        if not isinstance(other, Interval):
            other = Interval(other, other)
        if other.lower <= 0.0 <= other.upper:
            return Interval(-math.inf, math.inf)
        return _corners(lambda a, b: a / b if math.isfinite(b) else 0.0, self, other)

    def __abs__(self) -> Interval:
        if self.lower <= 0.0 <= self.upper:
            return Interval(0.0, max(-self.lower, self.upper))
        return Interval(*sorted((abs(self.lower), abs(self.upper))))

    def map(self, monotone: Callable[[float], float]) -> Interval:
        """Return the image under a function that only rises or only falls."""
        return Interval(*sorted((monotone(self.lower), monotone(self.upper))))

    def log(self) -> Interval:
        """Return the logarithm; of what can be 0 it is unbounded below."""
        return self.map(lambda x: math.log(x) if x > 0 else -math.inf)

    def exp(self) -> Interval:
        """Return the exponential; beyond what a float holds it is unbounded above."""
        return self.map(lambda x: math.exp(x) if x < LARGEST else math.inf)

    def meets(self, other: Interval) -> bool:
        """Return whether some number lies in both."""
        return self.lower <= other.upper + SLACK and other.lower <= self.upper + SLACK

    def text(self, decimals: int) -> str:
        """Return the ends with so many decimals, once where they agree."""
        low, high = (_number(end, decimals) for end in (self.lower, self.upper))
        if low == high or (self.lower <= 0 and self.upper == math.inf):
            return "any number" if self.upper == math.inf else low
        return f"up to {high}" if low in ("0", "<0.0001") else f"{low} to {high}"

    @property
    def json(self) -> dict[str, float | None]:
        """The ends, None where unbounded."""
        ends = {"lower": self.lower, "upper": self.upper}
        return {name: end if math.isfinite(end) else None for name, end in ends.items()}


def printed(number: Printed | int) -> Interval:
    """Return what a printed number can have been; a count is itself."""
    if isinstance(number, int):
        return Interval(float(number), float(number))
    return Interval(*number.interval)


def probability(number: Printed) -> Interval:
    """Return what a printed probability can have been, within 0 to 1."""
    lower, upper = number.interval
    return Interval(min(max(lower, 0.0), 1.0), max(min(upper, 1.0), 0.0))


def hull(intervals: Iterable[Interval]) -> Interval:
    """Return the smallest interval that holds all of them: the most lenient reading."""
    known = list(intervals)
    return Interval(min(i.lower for i in known), max(i.upper for i in known))


def cut_off(number: Printed, truth: Interval) -> bool:
    """Return whether dropping further digits, instead of rounding, would explain the number."""
    unit = math.copysign(2 * number.half_unit, number.value or 1.0)
    low, high = sorted((number.value, number.value + unit))
    return truth.meets(Interval(low, high))


def _corners(operation: Callable[[float, float], float], a: Interval, b: Interval) -> Interval:
    values = [operation(x, y) for x, y in product((a.lower, a.upper), (b.lower, b.upper))]
    return Interval(min(values), max(values))


def _number(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return "any number"
    if 0 < value < SMALLEST:
        return "<0.0001"
    if 0 < abs(value) < 10.0**-decimals:
        decimals += 2
    return f"{value:.{decimals}f}" if value else "0"

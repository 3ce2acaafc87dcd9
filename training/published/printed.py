"""A number as it was printed: its digits say how far rounding may have moved it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Printed"]


@dataclass(frozen=True)
class Printed:
    """A number with the digits it was printed with; "<0.001" is any number below that.

    Examples
    --------
    >>> hazard_ratio = Printed("0.560")
    >>> hazard_ratio.value, hazard_ratio.decimals
    (0.56, 3)
    >>> hazard_ratio.agrees(0.5604), hazard_ratio.agrees(0.5606)
    (True, False)
    >>> Printed("<0.001").interval
    (-inf, 0.001)
    """

    text: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a printed number must be finite, got {self.text!r}")

    @cached_property
    def value(self) -> float:
        """The number, or the bound behind "<" or ">"."""
        return float(self.text[1:] if self.text[:1] in ("<", ">") else self.text)

    @property
    def decimals(self) -> int:
        """How many digits stand behind the point."""
        return len(self.text.partition(".")[2])

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit: how far rounding can have moved the number."""
        return 0.5 * 10.0**-self.decimals

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and the highest number that are printed like this."""
        if self.text.startswith("<"):
            return -math.inf, self.value
        if self.text.startswith(">"):
            return self.value, math.inf
        return self.value - self.half_unit, self.value + self.half_unit

    def agrees(self, number: float, slack: float = 1e-9) -> bool:
        """Return whether `number` rounds to the printed digits; `slack` forgives float noise."""
        lower, upper = self.interval
        return lower - slack <= number <= upper + slack

    def __str__(self) -> str:
        return self.text

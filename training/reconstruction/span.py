"""The span of a quantity over draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span"]


@dataclass(frozen=True)
class Span:
    """Least, median and most over the draws."""

    least: float
    median: float
    most: float

    @classmethod
    def over(cls, values: Sequence[float] | NDArray[Any]) -> Self:
        """Return the span of the values."""
        return cls(float(np.min(values)), float(np.median(values)), float(np.max(values)))

"""What the parts of a card are written in: figures, tests, pictures, and why a field is empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated


@dataclass(frozen=True)
class EmptyMeans:
    """Mark of a field that may be empty: what that tells the reader."""

    meaning: str


@dataclass(frozen=True)
class Figure:
    """A measured figure and its 95 % interval."""

    value: float
    lower: Annotated[float | None, EmptyMeans("no interval could be computed")]
    upper: Annotated[float | None, EmptyMeans("no interval could be computed")]


@dataclass(frozen=True)
class Pairs:
    """Shares of comparable pairs by the risk of the one with the earlier event.

    It is the higher (right), the lower (wrong) or the same, which a concordance counts as half
    right.
    """

    right: float
    wrong: float
    same: float


@dataclass(frozen=True)
class ChiSquareTest:
    """A chi-squared test of what `label` says."""

    label: str
    chi_square: float
    df: int
    p: float


@dataclass(frozen=True)
class Plot:
    """A picture: what it shows, and what draws it as an SVG element once a page needs it."""

    title: str
    draw: Callable[[], str] = field(compare=False, repr=False)

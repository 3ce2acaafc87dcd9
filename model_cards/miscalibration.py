"""Where predicted and observed risks differ by more than chance, and by how much.

A finding needs an interval that excludes 1. Of several, a limitation names the one that is farthest
from 1 in its standard errors, since the largest ratio is often that of the fewest events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model_cards.card import AtHorizon, Card, Figure, Group
from model_cards.formats import count, duration, figure, percent, percent_figure

__all__ = [
    "LEVEL_OFF", "SPREAD_OFF", "Tested", "Worst", "groups_in_words", "level_in_words",
    "off_in_level", "off_in_spread", "tested", "worst",
]  # fmt: skip

LEVEL_OFF = 1.1
"""Observed over expected, or its inverse, below which a difference is too small to matter."""

SPREAD_OFF = 0.1
"""Distance of a calibration slope from 1 below which it is too small to matter."""

Z95 = 1.959963984540054
"""Half the width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Tested:
    """A validation on patients whom the model had not seen, and whom to call them."""

    whom: str
    horizons: tuple[AtHorizon, ...]


@dataclass(frozen=True)
class Worst:
    """The largest difference between expected and observed risk that chance does not explain."""

    whom: str
    at: AtHorizon


def tested(card: Card) -> Iterator[Tested]:
    """Yield the validations on later patients and on those of other cohorts."""
    if later := card.performance.later:
        yield Tested(
            f"{count(later.patients)} later patients ({later.column} from {later.since:g} on), "
            f"when fitted on the {count(later.fitted)} earlier ones",
            later.judged.horizons,
        )
    for e in card.performance.external:
        yield Tested(f"{count(e.patients)} other patients ({e.cohort})", e.horizons)


def off_in_level(horizons: Sequence[AtHorizon]) -> AtHorizon | None:
    """Return the horizon where the number of events is most surely not as expected, if any."""

    def sure(at: AtHorizon) -> float:
        ratio = at.observed_expected.value
        if ratio <= 0 or max(ratio, 1 / ratio) <= LEVEL_OFF:
            return 0.0
        return _standard_errors(at.observed_expected, log=True)

    return _surest(horizons, [sure(at) for at in horizons])


def off_in_spread(horizons: Sequence[AtHorizon]) -> AtHorizon | None:
    """Return the horizon where risks most surely lie too far apart or too close together."""

    def sure(at: AtHorizon) -> float:
        if at.slope is None or abs(at.slope.value - 1) <= SPREAD_OFF:
            return 0.0
        return _standard_errors(at.slope, log=False)

    return _surest(horizons, [sure(at) for at in horizons])


def worst(card: Card) -> Worst | None:
    """Return the largest sure difference between expected and observed risk on unseen patients."""
    largest = None
    size = 0.0
    for one in tested(card):
        for at in one.horizons:
            if off_in_level([at]) is None or at.expected is None or at.observed is None:
                continue
            gap = abs(at.expected - at.observed.value)
            if gap > size:
                largest, size = Worst(one.whom, at), gap
    return largest


def level_in_words(at: AtHorizon, unit: str) -> str:
    """Return expected and observed risk at a horizon, as absolute figures where they are known."""
    when = duration(at.time, unit)
    if at.expected is None or at.observed is None:
        return (
            f"of 100 events expected by {when}, {100 * at.observed_expected.value:.0f} happened "
            f"(observed over expected {figure(at.observed_expected)})"
        )
    return (
        f"by {when} the model expected the event in {percent(at.expected)}, and it happened in "
        f"{percent_figure(at.observed)} (observed over expected {figure(at.observed_expected)})"
    )


def groups_in_words(at: AtHorizon) -> str:
    """Return what happened to the groups of lowest and highest predicted risk; "" if not known."""
    parts = [
        f"{whom} predicted risk ({count(group.rows)}), {percent(group.predicted)} were expected "
        f"and {percent_figure(group.observed)} had the event"
        for whom, group in (("lowest", at.lowest), ("highest", at.highest))
        if isinstance(group, Group) and group.observed is not None
    ]
    return f"Of those with the {'; of those with the '.join(parts)}." if len(parts) == 2 else ""


def _surest(horizons: Sequence[AtHorizon], sureness: Sequence[float]) -> AtHorizon | None:
    best = max(range(len(horizons)), key=lambda k: sureness[k], default=None)
    return None if best is None or sureness[best] <= 0 else horizons[best]


def _standard_errors(found: Figure, *, log: bool) -> float:
    """Return the distance from 1 in standard errors; 0 where the interval holds 1, or is none."""
    if found.lower is None or found.upper is None or found.lower <= 1 <= found.upper:
        return 0.0
    value, lower, upper = found.value, found.lower, found.upper
    if log:
        if lower <= 0:
            return 0.0
        value, lower, upper = 1 + math.log(value), math.log(lower), math.log(upper)
    width = (upper - lower) / (2 * Z95)
    return abs(value - 1) / width if width > 0 else math.inf

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
from riskscore.performance import level_is_off

__all__ = [
    "SPREAD_OFF", "Tested", "Worst", "groups_in_words", "level_in_words",
    "off_in_level", "off_in_spread", "tested", "worst",
]  # fmt: skip

SPREAD_OFF = 0.1
"""Distance of a calibration slope from 1 below which it is too small to matter."""

Z95 = 1.959963984540054
"""Half the width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Tested:
    """A validation, and what to call those whom it judged.

    `whom` says how they were chosen, `short` how many they are, `brief` the same
    for the first page, and `row` what one of them is;
    `refit` is true where a fit on earlier patients was judged, and not the model itself.
    """

    whom: str
    short: str
    brief: str
    row: str
    horizons: tuple[AtHorizon, ...]
    refit: bool = False


@dataclass(frozen=True)
class Worst:
    """The largest difference between expected and observed risk that chance does not explain."""

    whom: str
    at: AtHorizon


def tested(card: Card) -> Iterator[Tested]:
    """Yield the validations on later patients and on those of other cohorts."""
    if later := card.performance.later:
        short, row = _judged(later.rows, later.patients, "later")
        yield Tested(
            f"{short} ({later.column} from {later.since:g} on), "
            f"when fitted on the {count(later.fitted)} earlier ones",
            short,
            short if row == "patient" else "later patients' records",
            row,
            later.judged.horizons,
            refit=True,
        )
    for e in card.performance.external:
        short, row = _judged(e.rows, e.patients, "other")
        brief = short if row == "patient" else "other patients' records"
        yield Tested(f"{short} ({e.cohort})", short, brief, row, e.horizons)


def off_in_level(horizons: Sequence[AtHorizon]) -> AtHorizon | None:
    """Return the horizon where the number of events is most surely not as expected, if any."""

    def sure(at: AtHorizon) -> float:
        ratio = at.observed_expected
        if not level_is_off(ratio.value, ratio.lower, ratio.upper):
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


def groups_in_words(at: AtHorizon, row: str) -> str:
    """Return what happened to the groups of lowest and highest predicted risk; "" if not known.

    `row` is what one of a group is: a patient, or a record where patients have several.
    """
    parts = [
        f"{count(group.rows)} {row}{'' if group.rows == 1 else 's'} with the {whom} predicted "
        f"risk, {percent(group.predicted)} were expected to have the event and "
        f"{percent_figure(group.observed)} had it"
        for whom, group in (("lowest", at.lowest), ("highest", at.highest))
        if isinstance(group, Group) and group.observed is not None
    ]
    return f"Of the {'; of the '.join(parts)}." if len(parts) == 2 else ""


def _judged(rows: int | None, patients: int, which: str) -> tuple[str, str]:
    """Return how many were judged, and what a row of them is."""
    whom = f"{count(patients)} {which} patient{'' if patients == 1 else 's'}"
    if rows is None or rows == patients:
        return whom, "patient"
    return f"{count(rows)} records of {whom}", "record"


def _surest(horizons: Sequence[AtHorizon], sureness: Sequence[float]) -> AtHorizon | None:
    best = max(range(len(horizons)), key=lambda k: sureness[k], default=None)
    return None if best is None or sureness[best] <= 0 else horizons[best]


def _standard_errors(ratio: Figure, *, log: bool) -> float:
    """Return the distance from 1 in standard errors; 0 where the interval holds 1, or is none."""
    if ratio.lower is None or ratio.upper is None or ratio.lower <= 1 <= ratio.upper:
        return 0.0
    value, lower, upper = ratio.value, ratio.lower, ratio.upper
    if log:
        if lower <= 0:
            return 0.0
        value, lower, upper = 1 + math.log(value), math.log(lower), math.log(upper)
    width = (upper - lower) / (2 * Z95)
    return abs(value - 1) / width if width > 0 else math.inf

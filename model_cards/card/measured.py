"""How good the predictions are: on the training data, later, elsewhere, by subgroup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import EmptyMeans, Figure, Plot


@dataclass(frozen=True)
class AtHorizon:
    """How good predictions at `time` are; observed over expected is of events."""

    time: float
    auc: Figure
    ipa: Figure
    observed_expected: Figure
    slope: Annotated[Figure | None, EmptyMeans("all predictions are alike")]


@dataclass(frozen=True)
class SampleSize:
    """How many patients the criteria of Riley et al. ask for, and how many there were."""

    patients: int
    events: int
    needed_patients: int
    needed_events: float
    enough: bool


@dataclass(frozen=True)
class Judged:
    """What validation on the training data finds: Harrell's concordance first."""

    value: float
    lower: float
    upper: float
    how: str
    interval: str
    slope: Annotated[Figure | None, EmptyMeans("all predictions are alike")]
    horizons: tuple[AtHorizon, ...]
    sample_size: Annotated[SampleSize | None, EmptyMeans("the criteria do not apply here")]


@dataclass(frozen=True)
class Subgroup:
    """A part of other patients: concordance, and observed over expected at the last horizon."""

    label: str
    name: str
    rows: int
    events: int
    concordance: Annotated[Figure | None, EmptyMeans("no two of them can be compared")]
    observed_expected: Annotated[Figure | None, EmptyMeans("it cannot be had for so few")]
    few: bool


@dataclass(frozen=True)
class External:
    """A validation on other patients, by the name of its file; `patients` had `events` in all."""

    name: str
    cohort: str
    sha256: str
    patients: int
    events: int
    concordance: Figure
    slope: Annotated[Figure | None, EmptyMeans("all predictions are alike")]
    horizons: tuple[AtHorizon, ...]
    subgroups: Annotated[tuple[Subgroup, ...], EmptyMeans("too alike to be parted")]
    notes: Annotated[tuple[str, ...], EmptyMeans("nothing unusual")]


@dataclass(frozen=True)
class Later:
    """The procedure fitted on earlier patients and judged on later ones.

    `since` is the first value of what parts them, such as a year.
    """

    column: str
    since: float
    fitted: int
    patients: int
    events: int
    judged: Judged


@dataclass(frozen=True)
class Performance:
    """Harrell's concordance: 0.5 is chance, 1 is perfect order."""

    in_sample: float
    out_of_bag: float
    out_of_bag_how: str
    out_of_bag_rows: int
    seed: int
    refits: Annotated[int | None, EmptyMeans("a forest needs no refits")]
    refits_failed: Annotated[int | None, EmptyMeans("a forest needs no refits")]
    judged: Annotated[Judged | None, EmptyMeans("the procedure was not validated")]
    later: Annotated[Later | None, EmptyMeans("nobody parted the patients by time")]
    external: Annotated[tuple[External, ...], EmptyMeans("tested on no other patients")]
    plots: Annotated[tuple[Plot, ...], EmptyMeans("the procedure was not validated")]

"""Which model the card is of, what it predicts, what it asks, and the data it learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import ChiSquareTest, EmptyMeans


@dataclass(frozen=True)
class Origin:
    """The model that this one was updated from: what was changed, how that was chosen."""

    parent: str
    digest: str
    changed: str
    chosen: str
    tests: Annotated[tuple[ChiSquareTest, ...], EmptyMeans("the update was given, not tested for")]
    caution: Annotated[str, EmptyMeans("no test chose, or a bundle of before")] = ""


@dataclass(frozen=True)
class Identity:
    """Which model this is; `files` and `versions` are pairs of name and value."""

    id: str
    kind: str
    digest: str
    created: str
    bundle_format: int
    review: str
    origin: Annotated[Origin | None, EmptyMeans("fitted afresh, not updated from another model")]
    files: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """What is predicted, for whom, from when and until when (in `time_unit`)."""

    title: str
    population: str
    source: Annotated[str, EmptyMeans("the study names no publication")]
    outcome: str
    event: str
    time_unit: str
    time_origin: str
    horizons: tuple[float, ...]
    beyond: Annotated[tuple[float, ...], EmptyMeans("the follow-up reaches every horizon")]
    follow_up_limit: float


@dataclass(frozen=True)
class Step:
    """One rule of the participant flow, and how many rows it concerned."""

    rule: str
    rows: int


@dataclass(frozen=True)
class Data:
    """The training data: where from, how many, and how they came to be these.

    `kind` is "patients", "reconstructed" or "not stated"; `events` counts rows,
    `patients_with_event` those whom they belong to.
    """

    kind: str
    source: str
    licence: str
    limits: Annotated[tuple[str, ...], EmptyMeans("none were stated with the data")]
    file: str
    sha256: str
    read: int
    excluded: Annotated[tuple[Step, ...], EmptyMeans("no row was left out")]
    changed: Annotated[tuple[Step, ...], EmptyMeans("no value was changed")]
    analysed: int
    rows: int
    patients: int
    events: int
    patients_with_event: int
    shortest: float
    median_follow_up: Annotated[float | None, EmptyMeans("too few were censored")]
    longest: float

    @property
    def repeated(self) -> bool:
        """Whether a patient may have several rows."""
        return self.rows != self.patients


@dataclass(frozen=True)
class LevelCount:
    """A level of a category, as data and as people read it, and how many in training have it.

    `patients` ever had it, and `events` of them had the event while they did.
    """

    level: str
    label: str
    rows: int
    share: float
    reference: bool
    patients: Annotated[int | None, EmptyMeans("the bundle does not count patients by level")]
    events: Annotated[int | None, EmptyMeans("the bundle does not count events by level")]


@dataclass(frozen=True)
class Distribution:
    """A number's distribution in training, in the predictor's unit."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    mean: float
    sd: float


@dataclass(frozen=True)
class PredictorFacts:
    """What the model asks: a category has `levels`, a number `unit`, `range` and `distribution`."""

    name: str
    label: str
    help: Annotated[str, EmptyMeans("the label says it all")]
    is_treatment: bool
    levels: Annotated[tuple[LevelCount, ...], EmptyMeans("a number")]
    unit: Annotated[str, EmptyMeans("a category")]
    range: Annotated[tuple[float, float] | None, EmptyMeans("a category")]
    form: Annotated[str, EmptyMeans("a category")]
    distribution: Annotated[Distribution | None, EmptyMeans("a category")]

    def said(self, level: str) -> str:
        """Return a level as people read it."""
        return next((item.label for item in self.levels if item.level == level), level)

"""How good the predictions are: on the training data, later, elsewhere, by subgroup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import EmptyMeans, Figure, Pairs, Plot


@dataclass(frozen=True)
class Group:
    """Patients of like predicted risk, and the risk that was observed among them."""

    rows: int
    predicted: float
    observed: Annotated[Figure | None, EmptyMeans("nobody of them was followed so long")]


TOO_FEW = "too few resamples could be used"
NOT_KEPT = "the validation keeps ratios alone"


@dataclass(frozen=True)
class AtHorizon:
    """How good predictions at `time` are; observed over expected is of events.

    The calibration slope is of follow-up up to `time`.

    `expected` and `observed` are the risks in all patients, `lowest` and `highest` the groups with
    the lowest and the highest predicted risks.
    """

    time: float
    auc: Figure
    ipa: Figure
    observed_expected: Figure
    slope: Annotated[
        Figure | None,
        EmptyMeans("all predictions are alike, or an older version took it over all follow-up"),
    ]
    expected: Annotated[float | None, EmptyMeans(NOT_KEPT)] = None
    observed: Annotated[Figure | None, EmptyMeans(NOT_KEPT)] = None
    lowest: Annotated[Group | None, EmptyMeans(NOT_KEPT)] = None
    highest: Annotated[Group | None, EmptyMeans(NOT_KEPT)] = None


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
    """What validation on the training data finds: Harrell's concordance first, and its pairs.

    `slope` is the calibration slope of a linear predictor over the whole follow-up.
    """

    value: float
    lower: Annotated[float | None, EmptyMeans(TOO_FEW)]
    upper: Annotated[float | None, EmptyMeans(TOO_FEW)]
    how: str
    interval: str
    slope: Annotated[Figure | None, EmptyMeans("there is no linear predictor, or it is constant")]
    horizons: tuple[AtHorizon, ...]
    sample_size: Annotated[SampleSize | None, EmptyMeans("the criteria do not apply here")]
    pairs: Annotated[Pairs | None, EmptyMeans("the bundle does not count pairs")] = None


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
class Membership:
    """How many of other patients belong to the model's stated population.

    `within` of the `known`, of whom the data tell it, of all `rows`; `rule` says how it was judged.
    """

    within: int
    known: int
    rows: int
    rule: str


@dataclass(frozen=True)
class External:
    """A validation on other patients, by the name of its file.

    `patients` have `rows` records, `events` of them with the event.
    """

    name: str
    cohort: str
    sha256: str
    patients: int
    events: int
    concordance: Figure
    horizons: tuple[AtHorizon, ...]
    subgroups: Annotated[tuple[Subgroup, ...], EmptyMeans("too alike to be parted")]
    notes: Annotated[tuple[str, ...], EmptyMeans("nothing unusual")]
    pairs: Annotated[Pairs | None, EmptyMeans("the validation does not count pairs")] = None
    population: Annotated[Membership | None, EmptyMeans("nobody counted them")] = None
    rows: Annotated[int | None, EmptyMeans("the validation counts patients alone")] = None


@dataclass(frozen=True)
class Later:
    """The procedure fitted on earlier patients and judged on later ones.

    `since` is the first value of what parts them, such as a year; the `patients` judged have `rows`
    records.
    """

    column: str
    since: float
    fitted: int
    patients: int
    events: int
    judged: Judged
    rows: Annotated[int | None, EmptyMeans("the bundle counts patients alone")] = None


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
    void: Annotated[tuple[str, ...], EmptyMeans("no test of another version lies there")]
    plots: Annotated[tuple[Plot, ...], EmptyMeans("the procedure was not validated")]
    pairs_in_sample: Annotated[Pairs | None, EmptyMeans("the bundle does not count pairs")] = None
    pairs_out_of_bag: Annotated[Pairs | None, EmptyMeans("the bundle does not count pairs")] = None

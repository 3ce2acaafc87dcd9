"""The card as data: everything it says, typed, unformatted, whatever it is rendered to.

Numbers are raw (probabilities, times in the study's unit) until `formats` makes them text. A field
holds something, unless it is marked with what its being empty means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from model_cards.statements import Statements

__all__ = [
    "Answer", "AtHorizon", "AtRisk", "Audit", "BaselineAt", "Card", "ChiSquareTest", "ColumnRow",
    "Columns", "Contradiction", "CoxContrast", "CoxModel", "CoxTerm", "Data", "Distribution",
    "Draws", "EmptyMeans", "Estimate", "External", "Figure", "ForestModel", "Identity",
    "Importance", "Intervals", "Judged", "Later", "LevelCount", "Limitation", "Origin",
    "Performance", "PipelineModel", "Plot", "PredictorFacts", "Profile", "Question", "RiskGroup",
    "RiskGroups", "SampleSize", "Step", "Subgroup", "Worked", "WorkedStep",
]  # fmt: skip


@dataclass(frozen=True)
class EmptyMeans:
    """Mark of a field that may be empty: what that tells the reader."""

    meaning: str


@dataclass(frozen=True)
class Origin:
    """The model that this one was updated from: what was changed, how that was chosen."""

    parent: str
    digest: str
    changed: str
    chosen: str
    tests: Annotated[tuple[ChiSquareTest, ...], EmptyMeans("the update was given, not tested for")]


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


@dataclass(frozen=True)
class Figure:
    """A measured figure and its 95 % interval."""

    value: float
    lower: Annotated[float | None, EmptyMeans("no interval could be computed")]
    upper: Annotated[float | None, EmptyMeans("no interval could be computed")]


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
class Plot:
    """A picture: what it shows, and what draws it as an SVG element once a page needs it."""

    title: str
    draw: Callable[[], str] = field(compare=False, repr=False)


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


SHRUNKEN = "a penalty, a shrinkage or an update leaves no standard errors"


@dataclass(frozen=True)
class CoxContrast:
    """The hazard ratio of a contrast to picture, all else being equal.

    That is a level against the reference, or a number's upper quartile against its lower.
    """

    label: str
    compared: str
    hazard_ratio: float
    lower: Annotated[float | None, EmptyMeans(SHRUNKEN)]
    upper: Annotated[float | None, EmptyMeans(SHRUNKEN)]
    p: Annotated[float | None, EmptyMeans(SHRUNKEN)]


@dataclass(frozen=True)
class CoxTerm:
    """One coefficient, per unit of the term."""

    term: str
    coef: float
    se: Annotated[float | None, EmptyMeans(SHRUNKEN)]
    at_baseline: float
    knots: Annotated[tuple[float, ...], EmptyMeans("the term is no part of a spline")]


@dataclass(frozen=True)
class WorkedStep:
    """One term of a patient: the product is coefficient times (value less that at baseline)."""

    term: str
    value: float
    coef: float
    at_baseline: float
    product: float


@dataclass(frozen=True)
class Worked:
    """A prediction by hand: the sum of the products, its exponential, survival by horizon."""

    name: str
    steps: tuple[WorkedStep, ...]
    total: float
    power: float
    survival: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ChiSquareTest:
    """A chi-squared test of what `label` says."""

    label: str
    chi_square: float
    df: int
    p: float


@dataclass(frozen=True)
class BaselineAt:
    """Survival of the baseline patient at a horizon."""

    time: float
    survival: float


@dataclass(frozen=True)
class CoxModel:
    """A Cox model in full: enough to compute a prediction by hand."""

    contrasts: tuple[CoxContrast, ...]
    terms: tuple[CoxTerm, ...]
    ties: str
    variance: str
    no_errors: Annotated[str, EmptyMeans("the coefficients have standard errors")]
    whole: Annotated[ChiSquareTest | None, EmptyMeans(SHRUNKEN)]
    curved: Annotated[tuple[ChiSquareTest, ...], EmptyMeans("no spline, or a shrunken model")]
    proportional: Annotated[tuple[ChiSquareTest, ...], EmptyMeans(SHRUNKEN)]
    warnings: Annotated[tuple[str, ...], EmptyMeans("the fit gave none")]
    baseline_method: str
    baseline: tuple[BaselineAt, ...]


@dataclass(frozen=True)
class Importance:
    """Out-of-bag concordance lost when a predictor is shuffled; about 0 when it adds nothing."""

    label: str
    concordance_lost: float
    lower: Annotated[float | None, EmptyMeans("too few patients to tell")]
    upper: Annotated[float | None, EmptyMeans("too few patients to tell")]


@dataclass(frozen=True)
class ForestModel:
    """A random survival forest's size, settings and what it leans on."""

    trees: int
    leaves: int
    importance: tuple[Importance, ...]
    importance_interval: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PipelineModel:
    """A pipeline of scikit-survival: its steps, the model's size and settings.

    `largest_difference` is that of the graph's probabilities from the pipeline's on the training
    rows. `coefficients` are pairs of term and coefficient.
    """

    estimator: str
    steps: tuple[str, ...]
    trees: Annotated[int | None, EmptyMeans("a model without trees")]
    leaves: Annotated[int | None, EmptyMeans("a model without trees")]
    coefficients: Annotated[tuple[tuple[str, float], ...], EmptyMeans("a model of trees")]
    settings: tuple[tuple[str, str], ...]
    parity_rows: int
    largest_difference: float


@dataclass(frozen=True)
class Intervals:
    """Whether predictions carry an interval: then `how` is the method, else the reason.

    `kind` is "confidence", or what else the interval measures: "forest stability".
    """

    available: bool
    kind: str
    level: Annotated[float | None, EmptyMeans("no interval")]
    how: str


@dataclass(frozen=True)
class AtRisk:
    """Training rows still followed just before a horizon."""

    time: float
    rows: int


@dataclass(frozen=True)
class RiskGroup:
    """A risk group: scores above `above` and up to `up_to`."""

    label: str
    above: Annotated[float | None, EmptyMeans("no lower end")]
    up_to: Annotated[float | None, EmptyMeans("no upper end")]
    rows: int


@dataclass(frozen=True)
class RiskGroups:
    """The groups, lowest risk first; `rule` is how their cut points were chosen."""

    groups: tuple[RiskGroup, ...]
    rule: str


@dataclass(frozen=True)
class Estimate:
    """Predicted probability of being event-free at `time`, and its bounds if there are any."""

    time: float
    survival: float
    lower: Annotated[float | None, EmptyMeans("no interval")]
    upper: Annotated[float | None, EmptyMeans("no interval")]
    lowest: Annotated[float | None, EmptyMeans("no other cohort was tried")]
    highest: Annotated[float | None, EmptyMeans("no other cohort was tried")]


@dataclass(frozen=True)
class Answer:
    """What the model answers for a profile, under one level of the treatment if there is one."""

    treatment: Annotated[str, EmptyMeans("the model has no treatment among its predictors")]
    inputs: tuple[tuple[str, str | float], ...]
    estimates: tuple[Estimate, ...]
    median: Annotated[float | None, EmptyMeans("the curve ends above one half")]
    risk_score: float
    risk_group: str
    notes: Annotated[tuple[str, ...], EmptyMeans("nothing unusual about this patient")]


@dataclass(frozen=True)
class Profile:
    """An example patient: `traits` are pairs of label and value, treatment left out."""

    name: str
    traits: Annotated[tuple[tuple[str, str], ...], EmptyMeans("treatment is the only predictor")]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Contradiction:
    """Findings of the audit that mean the same: how many, and the first of them."""

    severity: str
    meaning: str
    findings: int
    where: str
    subject: str
    reported: str
    recomputed: str


@dataclass(frozen=True)
class Audit:
    """What an audit of the published numbers found; `contradictions` leaves remarks out."""

    citation: str
    checks: int
    impossible: int
    inconsistent: int
    remarks: int
    contradictions: Annotated[
        tuple[Contradiction, ...], EmptyMeans("the published numbers agree with one another")
    ]


@dataclass(frozen=True)
class ColumnRow:
    """Survival of a profile at one horizon, by each of two columns of the source that disagree."""

    traits: tuple[str, ...]
    hazard_ratio: float
    coefficient: float


@dataclass(frozen=True)
class Columns:
    """What hangs on a misprint: the same model by either of two columns of the source."""

    how: str
    time: float
    labels: tuple[str, ...]
    rows: tuple[ColumnRow, ...]


@dataclass(frozen=True)
class Draws:
    """The other cohorts that fit the published figures; events are counted in each."""

    draws: int
    how: str
    fewest_events: int
    most_events: int
    columns: Annotated[Columns | None, EmptyMeans("the source prints one column for this model")]


@dataclass(frozen=True)
class Limitation:
    """A limitation that a rule found in the numbers."""

    rule: str
    text: str


@dataclass(frozen=True)
class Card:
    """Everything a card says."""

    identity: Identity
    statement: Annotated[str, EmptyMeans("the modellers had nothing to warn of")]
    question: Question
    data: Data
    predictors: tuple[PredictorFacts, ...]
    performance: Performance
    model: CoxModel | ForestModel | PipelineModel
    intervals: Intervals
    grid: str
    at_risk: tuple[AtRisk, ...]
    risk_groups: RiskGroups
    profiles: tuple[Profile, ...]
    worked: Annotated[Worked | None, EmptyMeans("no equation that a hand could work")]
    nomogram: Annotated[Plot | None, EmptyMeans("no equation whose points could be added")]
    draws: Annotated[Draws | None, EmptyMeans("the bundle carries no other cohort")]
    audit: Annotated[Audit | None, EmptyMeans("the bundle carries no audit of its source")]
    limitations: tuple[Limitation, ...]
    statements: Statements

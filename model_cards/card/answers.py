"""What the model answers: intervals, risk groups, example patients, one worked by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import EmptyMeans


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

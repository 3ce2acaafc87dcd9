"""What is known of a published source: its audit, its misprints, the other cohorts that fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import EmptyMeans


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
    """The effect of contradictory coefficients: the same model by either column of the source."""

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

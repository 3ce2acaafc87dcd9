"""The card as data: everything it says, typed, unformatted, whatever it is rendered to.

Numbers are raw (probabilities, times in the study's unit) until `formats` makes them text. A field
holds something, unless it is marked with what its being empty means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.answers import (
    Answer,
    AtRisk,
    Estimate,
    Intervals,
    Profile,
    RiskGroup,
    RiskGroups,
    Worked,
    WorkedStep,
)
from model_cards.card.fields import ChiSquareTest, EmptyMeans, Figure, Pairs, Plot
from model_cards.card.measured import (
    AtHorizon,
    External,
    Group,
    Judged,
    Later,
    Membership,
    Performance,
    SampleSize,
    Subgroup,
)
from model_cards.card.models import (
    BaselineAt,
    CoxContrast,
    CoxModel,
    CoxTerm,
    ForestModel,
    Importance,
    PipelineModel,
)
from model_cards.card.origins import Audit, ColumnRow, Columns, Contradiction, Draws
from model_cards.card.subject import (
    Data,
    Distribution,
    Identity,
    LevelCount,
    Origin,
    PredictorFacts,
    Question,
    Step,
)
from model_cards.statements import Statements

__all__ = [
    "Answer", "AtHorizon", "AtRisk", "Audit", "BaselineAt", "Card", "ChiSquareTest", "ColumnRow",
    "Columns", "Contradiction", "CoxContrast", "CoxModel", "CoxTerm", "Data", "Distribution",
    "Draws", "EmptyMeans", "Estimate", "External", "Figure", "ForestModel", "Group", "Identity",
    "Importance", "Intervals", "Judged", "Later", "LevelCount", "Limitation", "Membership",
    "Origin", "Pairs", "Performance", "PipelineModel", "Plot", "PredictorFacts", "Profile",
    "Question", "RiskGroup", "RiskGroups", "SampleSize", "Step", "Subgroup", "Worked",
    "WorkedStep",
]  # fmt: skip


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

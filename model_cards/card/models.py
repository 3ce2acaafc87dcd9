"""The model itself, by kind: enough to compute a Cox prediction by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card.fields import ChiSquareTest, EmptyMeans

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
    penalised: Annotated[str, EmptyMeans("the partial likelihood was maximised as it is")]
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

"""The fitted model's part of a card: a Cox model's equation, a forest's size and importance."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import (
    BaselineAt,
    CoxModel,
    CoxTerm,
    ForestModel,
    Importance,
    PredictorFacts,
)
from model_cards.formats import against

__all__ = ["KINDS", "cox_model", "forest_model", "n_terms"]

SETTINGS = {
    "seed": "random seed",
    "trees": "trees",
    "min_leaf": "fewest training rows in a leaf",
    "max_times": "most times a curve is kept at",
    "splitting": "splitting rule",
    "max_features": "predictors tried at a split",
    "bootstrap": "what is drawn anew for each tree",
}
"""What a forest's settings are called in words."""

Filler = Callable[
    [Facts, Facts, Sequence[PredictorFacts], Sequence[float]], "CoxModel | ForestModel"
]


def n_terms(predictors: Sequence[PredictorFacts]) -> int:
    """Return how many effects are estimated: a level that is no reference, or a number, is one."""
    return sum(len(p.levels) - 1 if p.levels else 1 for p in predictors)


def cox_model(
    inference: Facts,
    _: Facts,
    predictors: Sequence[PredictorFacts],
    horizons: Sequence[float],
) -> CoxModel:
    """Fill in a Cox model from `inference.json`."""
    expected = [term for p in predictors for term in _terms(p)]
    baseline = inference.table("baseline")
    center = baseline.table("at")
    rows = list(inference.tables("coefficients"))
    terms = tuple(_cox_term(row, center, *term) for row, term in zip(rows, expected, strict=False))
    if len(rows) != len(expected):
        names = ", ".join(name for name, *_ in expected)
        rule = f"must be those of the predictors: {names}"
        inference.refuse("coefficients", rule, f"{len(rows)} rows", FIT_AGAIN)
    times = baseline.numbers("times")
    hazard = baseline.numbers("cumulative_hazard")
    if len(times) != len(hazard) or not times or min(hazard) < 0:
        rule = "must have one number, 0 or more, a time"
        baseline.refuse("cumulative_hazard", rule, None, FIT_AGAIN)
        times = hazard = ()
    test = inference.table("likelihood_ratio_test")
    return CoxModel(
        terms=terms,
        ties=inference.text("ties"),
        variance=inference.text("variance"),
        chi_square=test.number("chi_square"),
        df=test.count("df"),
        p=test.number("p"),
        baseline_method=baseline.text("method"),
        baseline=tuple(
            BaselineAt(t, math.exp(-(0.0, *hazard)[bisect_right(times, t)])) for t in horizons
        ),
    )


def forest_model(
    inference: Facts,
    settings: Facts,
    predictors: Sequence[PredictorFacts],
    horizons: Sequence[float],
) -> ForestModel:
    """Fill in a forest from `inference.json` and its settings."""
    labels = {p.name: p.label for p in predictors}
    importance = []
    for row in inference.tables("importance"):
        name = row.text("predictor")
        if name and name not in labels:
            row.refuse("predictor", "must be one of the model's", name, FIT_AGAIN)
        importance.append(Importance(labels.get(name, name), row.number("concordance_lost")))
        labels.pop(name, None)
    if labels:
        rule = f"must have every predictor; it lacks {', '.join(labels)}"
        inference.refuse("importance", rule, None, FIT_AGAIN)
    importance.sort(key=lambda item: -item.concordance_lost)
    for key in SETTINGS:
        if key not in settings and key != "seed":  # the performance needs the seed, and notes it
            settings.refuse(key, "is missing", None, FIT_AGAIN)
    return ForestModel(
        trees=inference.count("trees"),
        leaves=inference.count("leaves"),
        importance=tuple(importance),
        settings=tuple(
            (SETTINGS.get(key, key.replace("_", " ")), value) for key, value in settings.plain()
        ),
    )


KINDS: dict[str, Filler] = {"cox": cox_model, "forest": forest_model}
"""What fills in the model's part of a card, by the kind of model."""


def _terms(p: PredictorFacts) -> list[tuple[str, str, str, float]]:
    """Return name, label, contrast in words and its size, for each of a predictor's terms."""
    if p.levels:
        reference = p.levels[0].level
        return [
            (f"{p.name}[{item.level}]", p.label, f"{item.level} against {reference}", 1.0)
            for item in p.levels[1:]
        ]
    shape = math.log if p.form == "log" else float
    name = f"log({p.name})" if p.form == "log" else p.name
    d = p.distribution
    lowest = 0.0 if p.form == "log" else -math.inf
    if d is not None and lowest < d.lower_quartile < d.upper_quartile:
        words = against(d.upper_quartile, d.lower_quartile, p.unit)
        return [(name, p.label, words, shape(d.upper_quartile) - shape(d.lower_quartile))]
    # Quartiles that coincide leave no middle half to compare: one unit, or a doubling, instead.
    if p.form == "log":
        return [(name, p.label, "twice as much", math.log(2))]
    return [(name, p.label, f"one {p.unit} more", 1.0)]


def _cox_term(
    row: Facts, center: Facts, name: str, label: str, compared: str, step: float
) -> CoxTerm:
    found = row.text("term")
    if found and found != name:
        row.refuse("term", f"must be {name}, in the study's order", found, FIT_AGAIN)
    ratio, lower, upper = (row.positive(key) for key in ("hazard_ratio", "lower", "upper"))
    return CoxTerm(
        term=name,
        label=label,
        compared=compared,
        hazard_ratio=ratio**step,
        lower=lower**step,
        upper=upper**step,
        p=row.number("p"),
        coef=row.number("coef"),
        se=row.number("se"),
        at_baseline=center.number(name),
    )

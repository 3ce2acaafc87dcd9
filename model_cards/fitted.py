"""The fitted model's part of a card: a Cox model's equation, a forest's size and importance."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import (
    BaselineAt,
    ChiSquareTest,
    CoxContrast,
    CoxModel,
    CoxTerm,
    ForestModel,
    Importance,
    LevelCount,
    PipelineModel,
    PredictorFacts,
)
from model_cards.formats import against
from model_cards.pipelines import pipeline_model

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
    [Facts, Facts, Sequence[PredictorFacts], Sequence[float]],
    "CoxModel | ForestModel | PipelineModel",
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
    shrunken = isinstance(inference.values.get("penalty"), dict)
    baseline = inference.table("baseline")
    times = baseline.numbers("times")
    hazard = baseline.numbers("cumulative_hazard")
    if len(times) != len(hazard) or not times or min(hazard) < 0:
        rule = "must have one number, 0 or more, a time"
        baseline.refuse("cumulative_hazard", rule, None, FIT_AGAIN)
        times = hazard = ()
    whole = None
    curved: tuple[ChiSquareTest, ...] = ()
    proportional: tuple[ChiSquareTest, ...] = ()
    if not shrunken:
        labels = {p.name: p.label for p in predictors}
        tests = inference.table("tests")
        # A likelihood ratio takes repeated rows of a patient for independent.
        if "robust" in inference.text("variance"):
            whole = _test(tests.table("robust_score"), "robust score test")
        else:
            whole = _test(tests.table("likelihood_ratio"), "likelihood-ratio test")
        curved = _tests(inference, "nonlinearity", labels, may_be_empty=True)
        assumption = inference.table("proportional_hazards")
        proportional = (
            *_tests(assumption, "terms", labels),
            _test(assumption.table("global"), "all together"),
        )
    return CoxModel(
        contrasts=_contrasts(inference, predictors, shrunken=shrunken),
        terms=_cox_terms(inference, baseline.table("at"), predictors, shrunken=shrunken),
        ties=inference.text("ties"),
        variance=inference.text("variance"),
        penalised=_penalised(inference),
        no_errors=_no_errors(inference.table("penalty")) if shrunken else "",
        whole=whole,
        curved=curved,
        proportional=proportional,
        warnings=inference.texts("warnings"),
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
        importance.append(
            Importance(
                labels.get(name, name),
                row.number("concordance_lost"),
                row.number_or_none("lower"),
                row.number_or_none("upper"),
            )
        )
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
        importance_interval=inference.text("importance_interval"),
        settings=tuple(
            (SETTINGS.get(key, key.replace("_", " ")), value) for key, value in settings.plain()
        ),
    )


KINDS: dict[str, Filler] = {
    "cox": cox_model,
    "forest": forest_model,
    "pipeline": pipeline_model,
}
"""What fills in the model's part of a card, by the kind of model."""


def _cox_terms(
    inference: Facts, center: Facts, predictors: Sequence[PredictorFacts], *, shrunken: bool
) -> tuple[CoxTerm, ...]:
    """Return the equation: its terms must be those of the predictors, in the study's order."""
    rows = list(inference.tables("coefficients"))
    found: list[CoxTerm] = []
    expected: list[str] = []
    for p in predictors:
        knots: tuple[float, ...] = ()
        if p.form == "spline" and len(expected) < len(rows):
            knots = rows[len(expected)].numbers("knots")
        expected += _term_names(p, len(knots))
        for row, name in list(zip(rows, expected, strict=False))[len(found) :]:
            if (term := row.text("term")) and term != name:
                row.refuse("term", f"must be {name}, in the study's order", term, FIT_AGAIN)
            se = None if shrunken else row.number("se")
            found.append(CoxTerm(name, row.number("coef"), se, center.number(name), knots))
    if len(rows) != len(expected):
        rule = f"must be those of the predictors: {', '.join(expected)}"
        inference.refuse("coefficients", rule, f"{len(rows)} rows", FIT_AGAIN)
    return tuple(found)


NONE = LevelCount("", "", 0, 0, True, None, None)
"""Stands for the one contrast of a number."""


def _penalised(inference: Facts) -> str:
    """Return the source of the penalised likelihood, if that was maximised."""
    if "penalised_likelihood" not in inference:
        return ""
    return inference.table("penalised_likelihood").text("source")


def _no_errors(penalty: Facts) -> str:
    """Return why coefficients have no standard errors: what was done to them, and the reason."""
    kind = penalty.text("kind")
    if "why" in penalty:
        return f"{kind}: {penalty.text('why')}"
    return f"{kind}: coefficients shrunken on purpose have no interval that would tell the truth"


def _term_names(p: PredictorFacts, n_knots: int) -> list[str]:
    if p.levels:
        return [f"{p.name}[{item.level}]" for item in p.levels[1:]]
    if p.form == "spline":
        return [p.name + "'" * part for part in range(max(n_knots - 1, 1))]
    return [f"log({p.name})" if p.form == "log" else p.name]


def _contrasts(
    inference: Facts, predictors: Sequence[PredictorFacts], *, shrunken: bool
) -> tuple[CoxContrast, ...]:
    """Return the hazard ratios; a level is against the reference, a number at two values."""
    expected = [(p, item.level) for p in predictors for item in p.levels[1:] or [NONE]]
    rows = list(inference.tables("contrasts"))
    if len(rows) != len(expected):
        rule = f"must be {len(expected)}: one a level after the reference, and one a number"
        inference.refuse("contrasts", rule, f"{len(rows)} rows", FIT_AGAIN)
    found = []
    for row, (p, level) in zip(rows, expected, strict=False):
        if (name := row.text("predictor")) and name != p.name:
            row.refuse("predictor", f"must be {p.name}, in the study's order", name, FIT_AGAIN)
        if p.levels:
            reference = p.levels[0].level
            for key, must in (("value", level), ("reference", reference)):
                if row.text(key) != must:
                    row.refuse(key, f"must be {must}", row.values.get(key), FIT_AGAIN)
            compared = f"{p.said(level)} against {p.said(reference)}"
        else:
            compared = against(row.number("value"), row.number("reference"), p.unit)
        bounds: tuple[float | None, ...] = (None, None, None)
        if not shrunken:
            bounds = (row.positive("lower"), row.positive("upper"), row.number("p"))
        found.append(CoxContrast(p.label, compared, row.positive("hazard_ratio"), *bounds))
    return tuple(found)


def _tests(
    table: Facts, key: str, labels: dict[str, str], *, may_be_empty: bool = False
) -> tuple[ChiSquareTest, ...]:
    found = []
    for row in table.tables(key, may_be_empty=may_be_empty):
        name = row.text("predictor")
        if name and name not in labels:
            row.refuse("predictor", "must be one of the model's", name, FIT_AGAIN)
        found.append(_test(row, labels.get(name, name)))
    return tuple(found)


def _test(row: Facts, label: str) -> ChiSquareTest:
    return ChiSquareTest(label, row.number("chi_square"), row.count("df"), row.number("p"))

"""The fitted model's part of a card for a pipeline of scikit-survival: its steps and settings."""

from __future__ import annotations

from collections.abc import Sequence

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import PipelineModel, PredictorFacts

__all__ = ["pipeline_model"]


def pipeline_model(
    inference: Facts,
    settings: Facts,
    predictors: Sequence[PredictorFacts],
    horizons: Sequence[float],
) -> PipelineModel:
    """Fill in a pipeline from `inference.json`."""
    size = inference.table("size")
    trees = size.count("trees") if "trees" in size else None
    leaves = size.count("leaves") if "trees" in size else None
    rows = inference.tables("coefficients") if "coefficients" in inference else ()
    coefficients = tuple((row.text("term"), row.number("coef")) for row in rows)
    if trees is None and not coefficients:
        inference.refuse("size", "must have trees, or there must be coefficients", None, FIT_AGAIN)
    parity = inference.table("parity")
    return PipelineModel(
        estimator=_short(inference.text("model")),
        steps=tuple(_short(step.text("class")) for step in inference.tables("steps")),
        trees=trees,
        leaves=leaves,
        coefficients=coefficients,
        settings=inference.table("parameters").plain(),
        parity_rows=parity.count("rows"),
        largest_difference=parity.number("largest_survival_difference"),
    )


def _short(name: str) -> str:
    """Return a class by its package and name: where inside the package it lies tells nobody much.

    >>> _short("sksurv.linear_model.coxph.CoxPHSurvivalAnalysis")
    'CoxPHSurvivalAnalysis (sksurv)'
    """
    parts = name.split(".")
    return name if len(parts) == 1 else f"{parts[-1]} ({parts[0]})"

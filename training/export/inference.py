"""What `inference.json` says of a pipeline that others wrote: steps, settings, size, parity."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from riskscore.errors import json_safe
from training.cohort import Cohort
from training.export.hazards import linear_score
from training.export.trees import trees_of
from training.forest import n_leaves

__all__ = ["inference_of", "parameters_of"]

NOT_THE_MODEL = ("n_jobs", "verbose", "warm_start", "copy_X")
"""Settings that make no other model."""


def inference_of(
    pipeline: Pipeline, cohort: Cohort, parity: dict[str, float | int]
) -> dict[str, Any]:
    """Return the steps, the model's settings and size, and a linear model's coefficients."""
    model = pipeline[-1]
    steps = [{"name": name, "class": _class(step)} for name, step in pipeline.steps]
    found: dict[str, Any] = {
        "kind": "pipeline",
        "model": _class(model),
        "steps": steps,
        "parameters": parameters_of(model),
        "parity": parity,
    }
    if not hasattr(model, "coef_"):
        trees = trees_of(model)
        return {**found, "size": {"trees": len(trees), "leaves": sum(map(n_leaves, trees))}}
    coef, _ = linear_score(model)
    terms = zip(_terms(pipeline, cohort, len(coef)), coef.tolist(), strict=True)
    coefficients = [{"term": term, "coef": b} for term, b in terms]
    return {**found, "size": {"coefficients": len(coef)}, "coefficients": coefficients}


def parameters_of(model: Any) -> dict[str, Any]:
    """Return the model's own settings, as plain values."""
    given = model.get_params(deep=False)
    plain = {key: value for key, value in given.items() if key not in NOT_THE_MODEL}
    return {key: "none" if value is None else json_safe(value) for key, value in plain.items()}


def _terms(pipeline: Pipeline, cohort: Cohort, count: int) -> list[str]:
    """Return the names of the model's columns, as far as the steps can tell them."""
    names = [p.name for p in cohort.predictors]
    if len(pipeline) == 1:
        return names
    try:
        return [str(term) for term in pipeline[:-1].get_feature_names_out(names)]
    except (AttributeError, ValueError):  # a step that names nothing
        return [f"column {i + 1}" for i in range(count)]


def _class(step: Any) -> str:
    return f"{type(step).__module__}.{type(step).__name__}" if not isinstance(step, str) else step

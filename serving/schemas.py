"""JSON schemas of a request and an answer, made from the manifests of the models that are served.

They document what `riskscore` checks; they check nothing themselves.
"""

from __future__ import annotations

from typing import Any

from riskscore import RiskModel
from riskscore.review import STATUSES
from riskscore.study import Predictor
from serving.models import Models
from serving.request import MAX_PATIENTS, MAX_TIMES

__all__ = ["answer_schema", "example_request", "name_of", "problem_schema", "request_schemas"]

Schema = dict[str, Any]


def name_of(model_id: str) -> str:
    """Return the name of a model's schema.

    >>> name_of("deb-tace-hcc/os/cox")
    'deb-tace-hcc.os.cox'
    """
    return model_id.replace("/", ".")


def request_schemas(models: Models) -> dict[str, Schema]:
    """Return the schema of a request and of a patient for each model, by name."""
    schemas: dict[str, Schema] = {}
    for model in models:
        name = name_of(model.manifest.id)
        schemas[f"Patient.{name}"] = _patient(model)
        schemas[f"Request.{name}"] = _request(model, model.manifest.id == models.default)
    return schemas


def example_request(model: RiskModel) -> dict[str, Any]:
    """Return a request that the model answers: the typical training patient, at its horizons."""
    manifest = model.manifest
    return {
        "model": manifest.id,
        "patients": [manifest.typical_patient],
        "times": list(manifest.outcome.horizons),
    }


def answer_schema() -> Schema:
    """Return the schema of an answer, which all models share."""
    probability = _nullable("number", minimum=0, maximum=1)
    number = _nullable("number")
    curve = {"type": "array", "items": probability}
    prediction = {
        "survival": {**curve, "description": "Probability of being event-free at each time."},
        "survival_lower": {**curve, "description": "Lower bound of its pointwise 95 % interval."},
        "survival_upper": {**curve, "description": "Upper bound of its pointwise 95 % interval."},
        "median": {**number, "description": "Median survival time; null if not reached."},
        "rmst": {**number, "description": "Mean event-free time up to the last horizon."},
        "risk_score": {**number, "description": "The model's ordering; higher is worse."},
        "risk_group": {"type": "string", "description": "By the training cohort's cut points."},
        "notes": {"type": "array", "items": {"type": "string"}},
    }
    optional = {
        "sensitivity_lower": {
            **curve,
            "description": "Over all cohorts that fit the same published figures, the lowest lower "
            "bound. Not an interval. Only for models of a reconstructed cohort.",
        },
        "sensitivity_upper": {**curve, "description": "The same, the highest upper bound."},
        "comparison": {"type": "object", "description": "Under each treatment, if asked for."},
        "explanation": {"type": "object", "description": "What each predictor adds, if asked for."},
    }
    texts = ("id", "digest", "version", "kind", "outcome")
    about: Schema = {key: {"type": "string"} for key in texts}
    about |= {
        "time_unit": {"enum": ["day", "week", "month", "year"]},
        "statement": {"type": "string", "description": "What every reader must be told."},
        "review_status": {"enum": list(STATUSES)},
        "review": {"type": "string", "description": "The review in words, on one line."},
        "intervals": {"type": "object"},
    }
    return _object(
        {
            "model": _object(about, list(about)),
            "times": {"type": "array", "items": {"type": "number"}},
            "predictions": {
                "type": "array",
                "items": _object(prediction | optional, list(prediction)),
            },
            "comparison": {"type": "object"},
        },
        ["model", "times", "predictions"],
    )


def problem_schema() -> Schema:
    """Return the schema of a refusal: RFC 9457 with the list of problems."""
    problem = _object(
        {
            "row": {**_nullable("integer", minimum=1), "description": "Patient, from 1."},
            "field": {"type": "string"},
            "rule": {"type": "string", "description": "What must hold, after the field."},
            "value": {"description": "What was found."},
            "remedy": {"type": "string", "description": "What to do."},
        },
        ["row", "field", "rule", "value", "remedy"],
    )
    return _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "count": {"type": "integer", "minimum": 1},
            "problems": {"type": "array", "minItems": 1, "maxItems": 20, "items": problem},
        },
        ["type", "title", "status", "detail", "count", "problems"],
    )


def _request(model: RiskModel, default: bool) -> Schema:
    manifest = model.manifest
    limit, unit = manifest.follow_up_limit, manifest.study.time_unit
    ids: list[Any] = [manifest.id, f"{manifest.id}@{model.digest}"]
    listed = ", ".join(f"{h:g}" for h in manifest.outcome.horizons)
    properties = {
        "model": {
            "enum": [*ids, None] if default else ids,
            "description": "Id, or id@digest to be refused if another bundle is served."
            + (" May be left out: this is the default." if default else ""),
        },
        "patients": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_PATIENTS,
            "items": {"$ref": f"#/components/schemas/Patient.{name_of(manifest.id)}"},
        },
        "times": {
            "type": ["array", "null"],
            "minItems": 1,
            "maxItems": MAX_TIMES,
            "uniqueItems": True,
            "items": {"type": "number", "minimum": 0, "maximum": limit},
            "description": f"When to predict, in {unit}s; by default {listed}.",
            "x-unit": unit,
        },
        "compare": {
            "type": ["boolean", "null"],
            "description": "Whether to add the survival under each treatment.",
        },
        "explain": {
            "anyOf": [
                {"type": ["boolean", "null"]},
                {"type": "number", "minimum": 0, "maximum": limit},
            ],
            "description": "Whether to add what each predictor contributes, or at which time.",
        },
    }
    return {
        "title": f"{manifest.outcome.label} ({manifest.kind})",
        "description": manifest.statement,
        **_object(properties, ["patients"] if default else ["model", "patients"]),
        "examples": [example_request(model)],
    }


def _patient(model: RiskModel) -> Schema:
    predictors = model.manifest.predictors
    return {
        "title": f"A patient for {model.manifest.id}",
        "description": model.manifest.study.population,
        **_object({p.name: _value(p) for p in predictors}, [p.name for p in predictors]),
        "examples": [model.manifest.typical_patient],
    }


def _value(p: Predictor) -> Schema:
    about: Schema = {"title": p.label}
    if p.help:
        about["description"] = p.help
    if p.codes:
        about["x-codes"] = dict(p.codes)
    if p.is_category:
        return {**about, "type": "string", "enum": list(p.levels)}
    assert p.range is not None
    low, high = p.range
    return {**about, "type": "number", "minimum": low, "maximum": high, "x-unit": p.unit}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _nullable(kind: str, **rules: Any) -> Schema:
    return {"type": [kind, "null"], **rules}

"""The OpenAPI 3.1 document of the service, made from the manifests of the models it serves."""

from __future__ import annotations

from typing import Any

from riskscore import __version__
from serving.models import Models
from serving.problems import KINDS, PROBLEM_JSON
from serving.schemas import (
    answer_schema,
    example_request,
    name_of,
    problem_schema,
    request_schemas,
)

__all__ = ["document"]

DESCRIPTION = """Survival predictions from checked models.

Every answer names the model, its digest, its review and what a reader must be told. Every refusal
is problem+json (RFC 9457) and lists what is wrong, row by row, with what to do. Nothing that is
sent is logged or kept."""

ANY = (
    "unreadable-request",
    "unauthorized",
    "forbidden",
    "too-slow",
    "misdirected",
    "head-too-large",
    "internal-error",
    "unavailable",
    "timeout",
)
"""Kinds of refusals that every address but the probes may answer with."""

BODY = (
    "unreadable-body",
    "too-large",
    "unsupported-media-type",
    "invalid-input",
    "unknown-model",
    "withdrawn",
    "too-many-requests",
    "overloaded",
)


REVIEW: dict[str, Any] = {
    "RiskScore-Review": {
        "description": (
            "Where the review of the model that was asked stands, or of every model that is served "
            "where none was (RFC 8941); to who is not let in, and by probes, the statuses alone. "
            "Left out while starting."
        ),
        "schema": {"type": "string"},
        "example": '"deb-tace-hcc/os/cox";review=draft',
    }
}
"""The header that every answer carries."""


def document(models: Models) -> dict[str, Any]:
    """Return the document, JSON-ready."""
    ids = [model.manifest.id for model in models]
    requests = [{"$ref": f"#/components/schemas/Request.{name_of(model_id)}"} for model_id in ids]
    examples = {
        name_of(model.manifest.id): {
            "summary": f"{model.manifest.id}: the typical training patient",
            "value": example_request(model),
        }
        for model in models
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "riskscore",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {}],
        "paths": {
            "/v1/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "Predict the survival of one patient or up to 1,000",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {"oneOf": requests},
                                "examples": examples,
                            }
                        },
                    },
                    "responses": {
                        "200": _json("The predictions, one a patient", "Answer"),
                        **_refusals(*BODY, *ANY),
                    },
                }
            },
            "/v1/models": {
                "get": {
                    "operationId": "models",
                    "summary": "List the models that are served",
                    "responses": {"200": _any("The models"), **_refusals(*ANY)},
                }
            },
            "/v1/models/{id}": {
                "parameters": [_model_id(models)],
                "get": {
                    "operationId": "model",
                    "summary": "All there is to say of one model: manifest, review, card, example",
                    "responses": {"200": _any("The model"), **_refusals("unknown-model", *ANY)},
                },
            },
            "/v1/models/{id}/card": {
                "parameters": [_model_id(models)],
                "get": {
                    "operationId": "card",
                    "summary": "The card that clinicians review",
                    "responses": {
                        "200": {
                            "description": "The card",
                            "content": {"text/html": {}, "text/markdown": {}},
                            "headers": REVIEW,
                        },
                        **_refusals("unknown-model", *ANY),
                    },
                },
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Prometheus metrics",
                    "responses": {
                        "200": {
                            "description": "Metrics",
                            "content": {"text/plain": {}},
                            "headers": REVIEW,
                        },
                        **_refusals(*ANY),
                    },
                }
            },
            "/livez": _probe("live", "Whether the process runs"),
            "/readyz": _probe("ready", "Whether every model is loaded and has answered a patient"),
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed unless the service listens on its own machine alone.",
                }
            },
            "schemas": {
                **request_schemas(models),
                "Answer": answer_schema(),
                "Problem": problem_schema(),
            },
        },
    }


def _model_id(models: Models) -> dict[str, Any]:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "An id, whose slashes may stand as they are, with or without @sha256:...",
        "schema": {"type": "string", "enum": list(models.ids)},
    }


def _probe(operation: str, summary: str) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "security": [{}],
            "responses": {
                "200": {"description": "Yes", "headers": REVIEW},
                **_refusals("unavailable"),
            },
        }
    }


def _refusals(*kinds: str) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for kind in kinds:
        status, title = KINDS[kind]
        by_status.setdefault(str(status), []).append(f"{title} (`{kind}`)")
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": "; ".join(titles), "content": content, "headers": REVIEW}
        for status, titles in sorted(by_status.items())
    }


def _json(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content, "headers": REVIEW}


def _any(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"type": "object"}}},
        "headers": REVIEW,
    }

"""A request to predict, answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from riskscore import InputError, ModelError, RiskModel
from riskscore.errors import Problem
from riskscore.prediction import Answer
from serving.audit import Facts, told
from serving.models import Models
from serving.problems import Refusal, Reply, begun_reply, problem_reply
from serving.request import PredictRequest, check_effort

__all__ = ["fault", "predict", "respond"]

logger = logging.getLogger("bentoml.riskscore")


def respond(
    models: Models,
    request: PredictRequest,
    facts: Facts | None = None,
    count: Callable[[str, Answer], None] | None = None,
) -> Reply:
    """Return the reply to a request: predictions, or why there are none. Never raises.

    Parameters
    ----------
    models : Models
    request : PredictRequest
    facts : Facts, optional
        Learns which model was asked, and what came of it.
    count : callable, optional
        Called with the model's id and its answer.
    """
    known = Facts("") if facts is None else facts
    try:
        content = predict(models, request, known, count)
        del content["model"]  # which is long, and JSON already
        return begun_reply(models.begin(known.model), content)
    except Refusal as refusal:
        known.refusal = refusal
        return problem_reply(refusal)
    except Exception as error:
        return fault(error, known)


def predict(
    models: Models,
    request: PredictRequest,
    facts: Facts,
    count: Callable[[str, Answer], None] | None = None,
) -> dict[str, Any]:
    """Return the predictions, JSON-ready: `model`, `times` and `predictions`, one a patient.

    Raises
    ------
    Refusal
        404 for a model that is not served; 413 for more patients than can be explained at once;
        422 listing what is wrong with the body's keys, the patients and the times, together.
    """
    model = models.get(request.model)
    facts.model, facts.digest = model.manifest.id, model.digest
    facts.review = models.reviews(model.manifest.id)
    check_effort(request, len(model.manifest.predictors))
    problems = list(request.problems)
    answer: Answer | None = None
    try:
        answer = model.answer(request.patients, request.times)
    except InputError as error:
        problems += error.problems
    if problems or answer is None:
        raise Refusal("invalid-input", problems)
    records = answer.to_records()
    content: dict[str, Any] = {"model": models.describe(model.manifest.id)}
    if request.compare:
        content["comparison"] = _compare(model, request, records)
    if request.explain is not False:
        _explain(model, request, records)
    facts.patients = len(answer)
    if count is not None:
        count(model.manifest.id, answer)
    return {**content, "times": answer.times.tolist(), "predictions": records}


def fault(error: Exception, facts: Facts | None = None) -> Reply:
    """Return a 500 for an error nobody foresaw, and log where it arose.

    The log holds the error's type and the lines of code, not its text: a text may quote a patient.
    """
    place = told(error)
    logger.error("unforeseen %s", place)
    remedy = "report it with the request's id (X-Request-ID); the log says where it arose"
    problem = Problem(None, "service", "failed on this request", None, remedy)
    refusal = Refusal("internal-error", [problem])
    if facts is not None:
        facts.fault, facts.refusal = place, refusal
    return problem_reply(refusal)


def _compare(
    model: RiskModel, request: PredictRequest, records: list[dict[str, Any]]
) -> dict[str, Any]:
    """Add each patient's `comparison`; return what there is to say of all."""
    try:
        contrast = model.contrast(request.patients, request.times)
    except ModelError as error:
        raise _cannot("compare", error) from None
    for record, found in zip(records, contrast.to_records(), strict=True):
        record["comparison"] = found
    return {
        "treatment": contrast.treatment,
        "levels": list(contrast.levels),
        "interval": contrast.interval,
        "statement": contrast.statement,
    }


def _explain(model: RiskModel, request: PredictRequest, records: list[dict[str, Any]]) -> None:
    """Add each patient's `explanation`."""
    time = None if isinstance(request.explain, bool) else request.explain
    try:
        shares = model.shares(request.patients, time)
    except InputError as error:
        # Patients have been found right before: it is the time.
        found = [Problem(None, "explain", p.rule, p.value, p.remedy) for p in error.problems]
        raise Refusal("invalid-input", found) from None
    except ModelError as error:
        raise _cannot("explain", error) from None
    for record, found_here in zip(records, shares.to_records(), strict=True):
        record["explanation"] = found_here


def _cannot(field: str, error: ModelError) -> Refusal:
    """Return the refusal of what a model cannot do; its error names rule and remedy."""
    rule, _, remedy = str(error).partition("; ")
    text = rule.removeprefix("model ")
    return Refusal.of("invalid-input", field, f"needs a model that {text}", None, remedy or text)

"""A request to predict, answered."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from riskscore import InputError
from riskscore.errors import Problem
from riskscore.prediction import Answer
from serving.models import Models
from serving.problems import Refusal, Reply, json_reply, problem_reply
from serving.request import PredictRequest

__all__ = ["fault", "predict", "respond"]

logger = logging.getLogger("bentoml.riskscore")


def respond(models: Models, request: PredictRequest) -> Reply:
    """Return the reply to a request: predictions, or why there are none. Never raises."""
    try:
        return json_reply(predict(models, request))
    except Refusal as refusal:
        return problem_reply(refusal)
    except Exception as error:
        return fault(error)


def predict(models: Models, request: PredictRequest) -> dict[str, Any]:
    """Return the predictions, JSON-ready: `model`, `times` and `predictions`, one a patient.

    Raises
    ------
    Refusal
        404 for a model that is not served; 422 listing what is wrong with the body's keys, the
        patients and the times, together.
    """
    model = models.get(request.model)
    problems = list(request.problems)
    answer: Answer | None = None
    try:
        answer = model.answer(request.patients, request.times)
    except InputError as error:
        problems += error.problems
    if problems or answer is None:
        raise Refusal("invalid-input", problems)
    return {
        "model": models.describe(model.manifest.id),
        "times": answer.times.tolist(),
        "predictions": answer.to_records(),
    }


def fault(error: Exception) -> Reply:
    """Return a 500 for an error nobody foresaw, and log where it arose.

    The log holds the error's type and the lines of code, not its text: a text may quote a patient.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    logger.error("unforeseen %s at %s", type(error).__name__, places)
    remedy = "report it with the time of the request; the log says where it arose"
    problem = Problem(None, "service", "failed on this request", None, remedy)
    return problem_reply(Refusal("internal-error", [problem]))

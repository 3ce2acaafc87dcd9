"""A request to predict, answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

from riskscore import InputError, ModelError, RiskModel
from riskscore.errors import Problem
from riskscore.prediction import Answer
from riskscore.records import encode_records, encode_times
from serving.audit import Facts, told
from serving.models import Models
from serving.problems import Refusal, Reply, begun_reply, json_items, problem_reply
from serving.request import PredictRequest, check_effort
from serving.work import finished, slices, weigh

__all__ = ["fault", "respond", "responding"]

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
        Called with the model's digest and its answer.
    """
    return finished(responding(models, request, facts, count))


def responding(
    models: Models,
    request: PredictRequest,
    facts: Facts | None = None,
    count: Callable[[str, Answer], None] | None = None,
) -> Generator[None, None, Reply]:
    """Return the reply as `respond` does, with a break after every slice of the work."""
    known = Facts("") if facts is None else facts
    try:
        return (yield from _predicting(models, request, known, count))
    except Refusal as refusal:
        known.refusal = refusal
        return problem_reply(refusal)
    except Exception as error:
        return fault(error, known)


def _predicting(
    models: Models,
    request: PredictRequest,
    facts: Facts,
    count: Callable[[str, Answer], None] | None,
) -> Generator[None, None, Reply]:
    """Return the predictions: `model`, `times` and `predictions`, one a patient.

    Raises
    ------
    Refusal
        404 for a model that is not served; 413 for more patients than can be explained at once;
        422 listing what is wrong with the body's keys, the patients and the times, together.
    """
    model = models.get(request.model)
    manifest = model.manifest
    facts.model, facts.digest = manifest.id, model.digest
    facts.review = models.reviews(manifest.id)
    models.answering(request.model)
    weight = weigh(model, request)
    check_effort(request, weight)
    parts = slices(len(request.patients), weight)
    if request.problems or len(parts) > 1:
        _check(model, request)
        yield
    about: dict[str, Any] = {}
    answers, written = [], []
    for part in parts:
        patients = request.patients[part] if len(parts) > 1 else request.patients
        try:
            answer = model.answer(patients, request.times)
        except InputError as error:
            raise Refusal("invalid-input", error.problems) from None
        records = answer.to_records()
        if request.compare:
            about["comparison"] = _compare(model, patients, request, records)
        if request.explain is not False:
            _explain(model, patients, request, records)
        about["times"] = answer.times.tolist()
        answers.append(answer)
        written.append(json_items(records))
        if len(parts) > 1:
            yield
    facts.patients = len(request.patients)
    if count is not None:
        for answer in answers:
            count(model.digest, answer)
    return begun_reply(models.begin(manifest.id), about, "predictions", written)


def _check(model: RiskModel, request: PredictRequest) -> None:
    """Refuse what is wrong with any patient before the first is predicted."""
    manifest = model.manifest
    _, wrong = encode_records(request.patients, manifest.predictors)
    if request.times is not None:
        limit, unit = manifest.follow_up_limit, manifest.study.time_unit
        wrong = [*encode_times(request.times, limit, unit)[1], *wrong]
    problems = [*request.problems, *sorted(wrong, key=lambda problem: problem.row or 0)]
    if problems:
        raise Refusal("invalid-input", problems)


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
    model: RiskModel, patients: list[Any], request: PredictRequest, records: list[dict[str, Any]]
) -> dict[str, Any]:
    """Add each patient's `comparison`; return what there is to say of all."""
    try:
        contrast = model.contrast(patients, request.times)
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


def _explain(
    model: RiskModel, patients: list[Any], request: PredictRequest, records: list[dict[str, Any]]
) -> None:
    """Add each patient's `explanation`."""
    time = None if isinstance(request.explain, bool) else request.explain
    try:
        shares = model.shares(patients, time)
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

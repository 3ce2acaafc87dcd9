"""Models and answers, without a server."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import serving
import serving.catalogue
from riskscore import BundleError, load_model
from serving.catalogue import load_models
from serving.models import Models
from serving.predict import respond
from serving.problems import Refusal
from serving.request import PredictRequest


@pytest.fixture
def models(cox_bundle: Path, forest_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Load the Cox bundle (the default) and the forest, and nothing that is shipped."""
    monkeypatch.setattr(serving.catalogue, "shipped_bundles", dict)
    named = os.pathsep.join([str(cox_bundle), "", str(forest_bundle)])
    return load_models({"RISKSCORE_MODELS": named})


def test_the_door_is_pinned() -> None:
    """What the room offers, and that all of it is there."""
    assert serving.__all__ == [
        "Models", "PredictRequest", "Refusal", "Reply", "parse_predict", "respond",
    ]  # fmt: skip
    assert all(hasattr(serving, name) for name in serving.__all__)


def test_the_first_bundle_named_is_the_default(models: Models) -> None:
    """Order is the operator's."""
    assert models.ids == ("deb-tace-hcc/os/cox", "deb-tace-hcc/os/forest")
    assert models.get() is models.get("deb-tace-hcc/os/cox")
    assert models.listing()["default"] == "deb-tace-hcc/os/cox"
    assert [m["id"] for m in models.listing()["models"]] == list(models.ids)


def test_what_cannot_be_served_is_said_at_the_start(
    cox_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No model, one id twice, or no bundle at a path: each with its remedy."""
    monkeypatch.setattr(serving.catalogue, "shipped_bundles", dict)
    with pytest.raises(BundleError, match=r"no model deb-tace-hcc/os/cox .* set RISKSCORE_MODELS"):
        load_models({})
    twice = os.pathsep.join([str(cox_bundle)] * 2)
    with pytest.raises(BundleError, match="are both model deb-tace-hcc/os/cox"):
        load_models({"RISKSCORE_MODELS": twice})
    with pytest.raises(BundleError, match=r"no manifest\.json in"):
        load_models({"RISKSCORE_MODELS": str(tmp_path)})


def test_an_unknown_model_is_refused_with_the_known_ones(models: Models) -> None:
    """The ids to choose from are in the remedy."""
    with pytest.raises(Refusal) as caught:
        models.get("deb-tace-hcc/os/coks")
    (problem,) = caught.value.problems
    assert caught.value.kind == "unknown-model"
    assert problem.value == "deb-tace-hcc/os/coks"
    assert problem.remedy == "choose from deb-tace-hcc/os/cox, deb-tace-hcc/os/forest"


def test_the_reply_is_pythons_answer(
    models: Models, cox_bundle: Path, patient: dict[str, Any]
) -> None:
    """Every float survives the way through JSON."""
    reply = respond(models, PredictRequest([patient], [0, 7.3, 12]))
    content = json.loads(reply.body)
    answer = load_model(cox_bundle).answer([patient], [0, 7.3, 12])
    assert (reply.status, reply.media_type) == (200, "application/json")
    assert content["times"] == [0, 7.3, 12]
    assert content["predictions"] == answer.to_records()


def test_problems_of_body_and_patients_come_together(
    models: Models, patient: dict[str, Any]
) -> None:
    """One round of mending suffices for both."""
    unknown = serving.parse_predict(b'{"patients": [], "time": [6]}').problems
    reply = respond(models, PredictRequest([{**patient, "treatment": "none"}], problems=unknown))
    content = json.loads(reply.body)
    assert reply.status == 422
    assert [p["field"] for p in content["problems"]] == ["time", "treatment"]
    assert (
        json.loads(respond(models, PredictRequest([patient], problems=unknown)).body)["count"] == 1
    )


def test_a_fault_of_ours_is_a_500_whose_log_has_no_value(
    models: Models, patient: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The log says which error arose in which line, and not what it said of the patient."""

    def fail(patients: object, times: object) -> None:
        raise KeyError(f"no such patient: {patients}")

    monkeypatch.setattr(models.get(), "answer", fail)
    with caplog.at_level(logging.ERROR):
        reply = respond(models, PredictRequest([{**patient, "age": "Erika Mustermann"}]))
    content = json.loads(reply.body)
    assert (reply.status, content["type"]) == (500, "urn:problem-type:riskscore:internal-error")
    assert "unforeseen KeyError at fail:" in caplog.text
    assert "Erika" not in caplog.text + reply.body.decode()


def test_an_answer_that_is_no_survival_is_a_500_that_tells_nothing(
    models: Models, patient: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the answer nor what is wrong with it leaves the service."""
    model = models.get()
    graph = model._run

    def wrong(X: Any) -> Any:
        survival, lower, upper, score = graph(X)
        return 7.0 * survival, lower, upper, score

    monkeypatch.setattr(model, "_run", wrong)
    reply = respond(models, PredictRequest([patient]))
    assert reply.status == 500
    assert b"survival" not in reply.body

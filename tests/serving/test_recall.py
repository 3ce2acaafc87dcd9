"""What a service stops answering with while it runs: withdrawn, retired, rejected, replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from riskscore import BundleError, load_model
from riskscore.bundle import shipped_bundles
from serving.catalogue import Catalogue
from serving.models import Models
from serving.predict import respond
from serving.problems import Refusal
from serving.request import PredictRequest
from serving.withdraw import Withdrawal, WithdrawalError, main, withdrawals
from tests.conftest import PATIENT
from tests.serving.live_server import ATTEMPTS, Server, serving

COX = "deb-tace-hcc/os/cox"
TTP = "deb-tace-hcc/ttp/cox"
REVIEW = """status = "{status}"
reviewer_role = "Hepatologist"
date = 2026-11-23
decision = "{decision}"
digest = "{digest}"
"""


def review(bundle: Path, status: str, decision: str = "As the board decided.") -> None:
    """Write a review of a bundle as it is."""
    digest = load_model(bundle).digest
    text = REVIEW.format(status=status, decision=decision, digest=digest)
    new = bundle / "new"
    new.write_text(text)
    new.replace(bundle / "review.toml")


def other_version(bundle: Path, folder: Path) -> Path:
    """Return a copy of a bundle that differs in what its digest covers, and is valid."""
    other = folder / "other"
    shutil.copytree(bundle, other)
    evaluation = (other / "evaluation.json").read_bytes() + b"\n"
    (other / "evaluation.json").write_bytes(evaluation)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"]["evaluation.json"] = hashlib.sha256(evaluation).hexdigest()
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert load_model(other).digest != load_model(bundle).digest
    return other


def replaced(bundle: Path, other: Path) -> None:
    """Put another bundle in the place of one, as an operator does."""
    old = bundle.with_name("old")
    bundle.replace(old)
    shutil.copytree(other, bundle)
    shutil.rmtree(old)


def kind(models: Models, name: str = COX) -> str:
    """Return why a model does not answer, or "answers"."""
    try:
        models.answering(name)
    except Refusal as refusal:
        return refusal.kind
    return "answers"


class Watched:
    """A catalogue, and the models it last gave."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.catalogue = Catalogue(variables)
        self.models = self.catalogue.load()

    def look(self) -> Models:
        """Look once, and return the models there are then."""
        self.models = self.catalogue.look() or self.models
        return self.models


@pytest.fixture
def bundle(cox_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle of one's own."""
    path = tmp_path / "served" / "bundle"
    shutil.copytree(cox_bundle, path)
    return path


@pytest.mark.parametrize("status", ["retired", "rejected"])
def test_a_review_takes_a_model_away_and_gives_it_back(bundle: Path, status: str) -> None:
    """With its reason as problem+json; the manifest stays to be read."""
    watched = Watched({"RISKSCORE_MODELS": str(bundle)})
    assert kind(watched.models) == "answers"
    assert watched.catalogue.look() is None
    review(bundle, status, "The cohort was mixed up.")
    models = watched.look()
    assert kind(models) == "withdrawn"
    reply = respond(models, PredictRequest([PATIENT]))
    document = json.loads(reply.body)
    assert (reply.status, document["title"]) == (410, "The model answers no more")
    assert "The cohort was mixed up." in document["problems"][0]["rule"]
    assert "The cohort was mixed up." in models.listing()["models"][0]["withdrawn"]
    assert models.reviews(COX) == f'"{COX}";review={status};withdrawn'
    assert models.detail(COX)["withdrawn"]
    review(bundle, "approved")
    assert kind(watched.look()) == "answers"
    assert watched.models.describe(COX)["review_status"] == "approved"


def test_where_approval_is_needed_its_end_is_a_recall(bundle: Path, tmp_path: Path) -> None:
    """A new bundle is not taken without its own approval; the old one loses its by the new's."""
    review(bundle, "approved")
    watched = Watched({"RISKSCORE_MODELS": str(bundle), "RISKSCORE_REQUIRE_APPROVED": "1"})
    digest = watched.models.get().digest
    replaced(bundle, other_version(bundle, tmp_path))  # with the review of the old one
    models = watched.look()
    assert (kind(models), models.get().digest) == ("answers", digest)
    (bundle / "review.toml").unlink()
    assert kind(watched.look()) == "withdrawn"
    review(bundle, "approved")
    models = watched.look()
    assert kind(models) == "answers"
    assert models.get().digest == load_model(bundle).digest != digest


def test_a_review_that_cannot_be_read_takes_the_model_away(bundle: Path) -> None:
    """Not at the first look, when it may be half written; it may hide a rejection."""
    watched = Watched({"RISKSCORE_MODELS": str(bundle)})
    (bundle / "review.toml").write_text('status = "rej')
    assert kind(watched.look()) == "answers"
    assert kind(watched.look()) == "unavailable"
    (bundle / "review.toml").unlink()
    assert kind(watched.look()) == "answers"


def test_a_replaced_bundle_is_taken_when_it_is_whole(bundle: Path, tmp_path: Path) -> None:
    """Until then the old one answers from memory, under its own digest."""
    watched = Watched({"RISKSCORE_MODELS": str(bundle)})
    old = watched.models.get()
    other = other_version(bundle, tmp_path)
    new = load_model(other).digest
    began = watched.models
    manifest, graph = (bundle / "manifest.json").read_bytes(), bundle / "model.onnx"
    # Half of it: a manifest that fits nothing else.
    (bundle / "manifest.json").write_bytes(manifest.replace(b'"model.onnx"', b'"other.onnx"'))
    assert watched.look().get() is old
    graph.rename(graph.with_name("other.onnx"))
    assert watched.look().get() is old
    shutil.rmtree(bundle)
    assert watched.look().get() is old
    shutil.copytree(other, bundle)
    assert watched.look().get().digest == new
    assert watched.catalogue.look() is None
    assert began.get() is old  # what a request began with


def test_another_model_in_a_bundles_place_is_not_taken(bundle: Path, forest_bundle: Path) -> None:
    """Callers of the one would be answered by the other."""
    watched = Watched({"RISKSCORE_MODELS": str(bundle)})
    replaced(bundle, forest_bundle)
    assert watched.look().ids == (COX,)


def test_a_pin_lets_no_other_bundle_in(bundle: Path, tmp_path: Path) -> None:
    """The pinned one answers from memory; a start would refuse."""
    digest = load_model(bundle).digest
    variables = {"RISKSCORE_MODELS": f"{bundle}@{digest}"}
    watched = Watched(variables)
    replaced(bundle, other_version(bundle, tmp_path))
    assert watched.look().get().digest == digest
    with pytest.raises(BundleError, match="is pinned to sha256:"):
        Catalogue(variables).load()


def test_a_model_is_withdrawn_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipped one too, whose bundle nobody can write to; of one digest, or of all."""
    listed = tmp_path / "withdrawn"
    listed.write_text("# nothing yet")  # and no line's end
    names = {"RISKSCORE_MODELS": f"{COX}:{TTP}", "RISKSCORE_WITHDRAWN_FILE": str(listed)}
    watched = Watched(names)
    assert kind(watched.models) == "answers"
    monkeypatch.setenv("RISKSCORE_WITHDRAWN_FILE", str(listed))
    assert main([COX, "--reason", "Refitted: the cohort had an error."]) == 0
    assert "is withdrawn in" in capsys.readouterr().out
    models = watched.look()
    assert (kind(models), kind(models, TTP)) == ("withdrawn", "answers")
    with pytest.raises(Refusal) as caught:
        models.answering(None)  # it is the default: no other takes its place
    assert "the cohort had an error" in caught.value.problems[0].rule
    with pytest.raises(Refusal) as again:
        models.answering(None)
    assert again.value is not caught.value
    listed.write_text(f"{COX}@sha256:{'0' * 64} Of another version.\n")
    assert kind(watched.look()) == "answers"
    listed.write_text(f"{TTP}@{models.get(TTP).digest} Of this version.\n")
    assert kind(watched.look(), TTP) == "withdrawn"


def test_a_list_that_cannot_be_read_stops_every_model(tmp_path: Path) -> None:
    """At the start it is refused; later no model answers until it is mended."""
    listed = tmp_path / "withdrawn"
    names = {"RISKSCORE_MODELS": COX, "RISKSCORE_WITHDRAWN_FILE": str(listed)}
    with pytest.raises(WithdrawalError, match="cannot be read"):
        Catalogue(names).load()
    listed.write_text("")
    watched = Watched(names)
    listed.write_text(f"{COX}\n")
    assert kind(watched.look()) == "answers"  # it may be half written
    assert kind(watched.look()) == "unavailable"
    listed.write_text("")
    assert kind(watched.look()) == "answers"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mine", "line 1: after the model must stand the reason"),
        ("mine   ", "line 1: after the model must stand the reason"),
        ("mine " + "x" * 501, "at most 500 printable characters"),
        ("mine \x1b[2J", "printable"),
        ("-x y", "first must stand the id of a model"),
        ("mine@sha256:12 y", "first must stand the id of a model"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named(tmp_path: Path, line: str, said: str) -> None:
    """In the file, and on the command line."""
    path = tmp_path / "withdrawn"
    path.write_text(line + "\n")
    with pytest.raises(WithdrawalError, match=said):
        withdrawals({"RISKSCORE_WITHDRAWN_FILE": str(path)})
    path.write_text("# model why\n\n  mine/os/cox   It is wrong.  \n")
    stated = withdrawals({"RISKSCORE_WITHDRAWN_FILE": str(path)})
    assert stated == (Withdrawal("mine/os/cox", "It is wrong."),)
    assert withdrawals({}) == ()


def test_the_command_needs_a_file_and_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is missing, with exit status 2."""
    monkeypatch.delenv("RISKSCORE_WITHDRAWN_FILE", raising=False)
    for arguments, said in (
        ([COX, "--reason", "x"], "there is no file to write to"),
        (["a b", "--reason", "x", "--file", "f"], "first must stand the id"),
        ([COX, "--reason", " ", "--file", "f"], "must stand the reason"),
        ([COX, "--reason", "x", "--file", str(tmp_path)], "cannot be written"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err


@pytest.fixture
def running(bundle: Path, tmp_path: Path) -> Iterator[Server]:
    """Serve the bundle and a shipped model, in two processes, with a list of withdrawn models."""
    (tmp_path / "withdrawn").write_text("")
    variables = {
        "RISKSCORE_WITHDRAWN_FILE": str(tmp_path / "withdrawn"), "RISKSCORE_WORKERS": "2",
    }  # fmt: skip
    models = os.pathsep.join([str(bundle), str(shipped_bundles()[TTP])])
    with serving(models, tmp_path, (), variables) as server:
        yield server


def test_every_process_sees_it_without_a_restart(
    running: Server, bundle: Path, tmp_path: Path
) -> None:
    """Retired, replaced, withdrawn: each process soon answers so, and never otherwise."""
    first = load_model(bundle).digest
    second = load_model(other_version(bundle, tmp_path)).digest

    def until(done: Callable[[Any], bool], allowed: set[str]) -> None:
        """Ask both processes until each has answered as told; all digests must be allowed."""
        seen: set[int] = set()
        for _ in range(ATTEMPTS):
            # A connection of its own each time: they are shared out among the processes.
            reply = httpx.post(
                f"{running.url}/v1/predict", json={"patients": [PATIENT]}, timeout=30
            )
            content = reply.json()
            if reply.status_code == 200:
                assert content["model"]["digest"] in allowed
            printed = running.printed_with(reply.headers["X-Request-ID"])
            line = next(x for x in printed.splitlines() if reply.headers["X-Request-ID"] in x)
            process = json.loads(line)["pid"]
            seen = seen | {process} if done(reply) else seen - {process}
            if len(seen) == 2:
                return
        pytest.fail(running.printed())

    def answers(reply: httpx.Response, digest: str) -> bool:
        return reply.status_code == 200 and reply.json()["model"]["digest"] == digest

    until(lambda reply: answers(reply, first), {first})
    review(bundle, "retired")
    until(lambda reply: reply.status_code == 410, {first})
    (bundle / "review.toml").unlink()
    until(lambda reply: answers(reply, first), {first})
    replaced(bundle, tmp_path / "other")
    until(lambda reply: answers(reply, second), {first, second})
    assert main([COX, "--reason", "An error.", "--file", str(tmp_path / "withdrawn")]) == 0
    until(lambda reply: reply.status_code == 410, {second})
    metrics = httpx.get(f"{running.url}/metrics").text
    told = {x.rsplit(" ", 1)[0]: x.rsplit(" ", 1)[1] for x in metrics.splitlines() if "_info{" in x}
    assert {v for k, v in told.items() if first in k} == {"0.0"}
    assert {v for k, v in told.items() if second in k} == {"1.0"}

"""What the endpoint offers beside predictions: models, document, comparison, metrics, traces."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import socket
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskscore import BundleError, load_model
from riskscore.bundle import shipped_bundles
from serving.catalogue import load_models
from serving.models import Models
from serving.openapi import document
from serving.page import page
from serving.problems import Refusal
from tests.conftest import PATIENT
from tests.serving.live_server import Server, python, serving

COX = "deb-tace-hcc/os/cox"
FOREST = "deb-tace-hcc/os/forest"
APPROVAL = """status = "approved"
reviewer_role = "Hepatologist"
date = 2026-11-23
decision = "For the tumour board."
digest = "%s"
"""


def test_a_model_may_be_pinned_to_its_digest(client: httpx.Client, cox_bundle: Path) -> None:
    """The digest served is answered; another is a 404 that tells the right one."""
    digest = load_model(cox_bundle).digest
    pinned = client.post("/v1/predict", json={"patients": [PATIENT], "model": f"{COX}@{digest}"})
    assert pinned.json()["model"]["digest"] == digest
    other = client.post(
        "/v1/predict", json={"patients": [PATIENT], "model": f"{COX}@sha256:{'0' * 64}"}
    )
    assert other.status_code == 404
    assert f"{COX}@{digest}" in other.json()["problems"][0]["remedy"]


def test_a_bundle_that_misses_its_pin_is_not_loaded(cox_bundle: Path) -> None:
    """In the list of bundles a pin holds, colons and all."""
    digest = load_model(cox_bundle).digest
    listed = f"{cox_bundle}@{digest}"
    assert load_models({"RISKSCORE_MODELS": listed}).default == COX
    with pytest.raises(BundleError, match=r"is pinned to sha256:00.* has digest sha256:"):
        load_models({"RISKSCORE_MODELS": f"{cox_bundle}@sha256:{'0' * 64}"})


def test_what_is_named_is_served_and_nothing_else(cox_bundle: Path) -> None:
    """A model of one's own brings no shipped one with it; without names those shipped are there."""
    assert load_models({"RISKSCORE_MODELS": str(cox_bundle)}).ids == (COX,)
    two = load_models({"RISKSCORE_MODELS": f"{FOREST}:{cox_bundle}"})
    assert (two.ids, two.default) == ((FOREST, COX), FOREST)
    every = load_models({})
    assert set(every.ids) == set(shipped_bundles())
    assert every.default == COX


def test_the_page_is_ours(client: httpx.Client, server: Server) -> None:
    """It names every model with its statement, and loads nothing: no script, no other's file."""
    response = client.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert not re.search(r"<script|<link|<img|<iframe|src=|url\(|@import|https?:", response.text)
    for told in client.get("/v1/models").json()["models"]:
        assert escape(told["statement"]) in response.text
        assert f'href="/v1/models/{told["id"]}"' in response.text
    for path in re.findall(r'href="([^"]*)"', response.text):
        assert client.get(path).is_success, path
    for path in ("/static_content/swagger-ui-bundle.js", "/static_content/index.css"):
        assert client.get(path).status_code == 404


def test_what_a_model_is_called_is_no_markup(cox_bundle: Path) -> None:
    """A manifest may be of anybody's making."""
    model = load_model(cox_bundle)
    study = dataclasses.replace(model.manifest.study, title="<script>alert(1)</script>")
    model.manifest = dataclasses.replace(model.manifest, study=study)
    text = page(Models([model], COX)).body.decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_nothing_in_a_card_is_run(cox_bundle: Path, tmp_path: Path) -> None:
    """Whoever wrote it: the browser is told to treat it as a sheet of paper."""
    bundle = tmp_path / "bundle"
    shutil.copytree(cox_bundle, bundle)
    (bundle / "card.html").write_text(f"<script>x</script> {load_model(bundle).digest}")
    with serving(str(bundle), tmp_path) as server:
        card = httpx.get(f"{server.url}/v1/models/{COX}/card")
        assert card.is_success
        policy = card.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert policy.endswith("; sandbox")
        assert "script-src" not in policy


def test_every_shipped_models_card_is_served() -> None:
    """It lies in the checkout, and not beside the bundle."""
    models = load_models({})
    for model in models:
        card = models.card(model.manifest.id)
        assert (card.status, card.media_type) == (200, "text/html; charset=utf-8")
        assert model.digest.encode() in card.body


def test_one_model_is_described(client: httpx.Client, cox_bundle: Path) -> None:
    """Manifest, review, and an example that the endpoint answers."""
    found = client.get(f"/v1/models/{COX}").json()
    model = load_model(cox_bundle)
    assert found["manifest"] == json.loads((cox_bundle / "manifest.json").read_text())
    assert found["review"]["status"] == found["model"]["review_status"] == "draft"
    assert found["card"] is None
    assert client.get(f"/v1/models/{COX}/card").status_code == 404
    assert client.get(f"/v1/models/{COX}@{model.digest}").json() == found
    assert client.get("/v1/models/none").status_code == 404
    assert client.post("/v1/predict", json=found["example"]).status_code == 200


def test_a_review_counts_for_the_bundle_it_names(cox_bundle: Path, tmp_path: Path) -> None:
    """Required, it lets a bundle be served; of another digest it is void."""
    bundle = tmp_path / "bundle"
    shutil.copytree(cox_bundle, bundle)
    required = {"RISKSCORE_MODELS": str(bundle), "RISKSCORE_REQUIRE_APPROVED": "1"}
    with pytest.raises(BundleError, match="its review is draft"):
        load_models(required)
    (bundle / "review.toml").write_text(APPROVAL % load_model(bundle).digest)
    card = f"# Card\n\n{load_model(bundle).digest}\n"
    (bundle / "card.md").write_text(card)
    models = load_models(required)
    assert models.ids == (COX,)
    assert models.describe(COX)["review_status"] == "approved"
    assert models.detail(COX)["review"]["date"] == "2026-11-23"
    assert models.card(COX).body == card.encode()
    (bundle / "card.md").write_text("# Card of another bundle\n")
    with pytest.raises(Refusal, match="not-found"):
        load_models(required).card(COX)
    (bundle / "review.toml").write_text(APPROVAL % f"sha256:{'0' * 64}")
    with pytest.raises(BundleError, match="its review is void"):
        load_models(required)
    for status in ("rejected", "retired"):
        text = (APPROVAL % load_model(bundle).digest).replace("approved", status)
        (bundle / "review.toml").write_text(text)
        with pytest.raises(Refusal, match="withdrawn"):  # which a restart must not change
            load_models(required).answering(COX)
    (bundle / "review.toml").write_text('status = "approved"')
    with pytest.raises(BundleError, match="lacks reviewer_role, date, decision, digest"):
        load_models(required)


def test_every_answer_says_where_the_review_stands(client: httpx.Client) -> None:
    """Of the model that was asked; of all where none was; probes name none."""
    listed = client.get("/v1/models")
    each = [f'"{m["id"]}";review={m["review_status"]}' for m in listed.json()["models"]]
    about_all = (listed, client.get("/nothing/here"), client.post("/v1/predict", content=b"{"))
    assert [r.headers["RiskScore-Review"] for r in about_all] == [", ".join(each)] * 3
    about_one = (
        client.get(f"/v1/models/{COX}"),
        client.get(f"/v1/models/{COX}/card"),
        client.post("/v1/predict", json={"model": COX, "patients": [PATIENT]}),
        client.post("/v1/predict", json={"model": COX, "patients": [{}]}),
    )
    assert [r.status_code for r in about_one] == [200, 404, 200, 422]
    assert {r.headers["RiskScore-Review"] for r in about_one} == {f'"{COX}";review=draft'}
    assert client.get("/readyz").headers["RiskScore-Review"] == "draft"


def test_the_documents_examples_work(client: httpx.Client) -> None:
    """One alternative a model, each with an example that is answered as the document says."""
    found = client.get("/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    assert found == client.get("/docs.json").json()
    post = found["paths"]["/v1/predict"]["post"]
    content = post["requestBody"]["content"]["application/json"]
    ids = [m["id"] for m in client.get("/v1/models").json()["models"]]
    assert len(content["schema"]["oneOf"]) == len(content["examples"]) == len(ids)
    required = set(found["components"]["schemas"]["Answer"]["required"])
    for example in content["examples"].values():
        response = client.post("/v1/predict", json=example["value"])
        assert response.status_code == 200
        assert required <= set(response.json())
    statuses = "200 400 401 403 404 408 410 413 415 421 422 429 431 500 503 504"
    assert set(post["responses"]) == set(statuses.split())


def test_the_document_says_what_riskscore_checks(cox_bundle: Path, forest_bundle: Path) -> None:
    """Levels, ranges, units and labels are the manifest's."""
    models = Models([load_model(cox_bundle), load_model(forest_bundle)], COX)
    schemas = document(models)["components"]["schemas"]
    patient = schemas["Patient.deb-tace-hcc.os.forest"]["properties"]
    assert patient["treatment"]["enum"] == ["deb_tace", "deb_tace_sorafenib"]
    age = patient["age"]
    assert (age["minimum"], age["maximum"], age["x-unit"]) == (18, 80, "year")
    assert schemas["Request.deb-tace-hcc.os.cox"]["required"] == ["patients"]
    assert schemas["Request.deb-tace-hcc.os.forest"]["required"] == ["model", "patients"]


def test_compare_and_explain_are_pythons(client: httpx.Client, cox_bundle: Path) -> None:
    """Over HTTP they are what `contrast` and `shares` return."""
    request = {"patients": [PATIENT] * 2, "times": [5, 12], "compare": True, "explain": 7}
    found = client.post("/v1/predict", json=request).json()
    model = load_model(cox_bundle)
    contrast, shares = model.contrast([PATIENT] * 2, [5, 12]), model.shares([PATIENT] * 2, 7)
    assert [p["comparison"] for p in found["predictions"]] == contrast.to_records()
    assert [p["explanation"] for p in found["predictions"]] == shares.to_records()
    assert found["comparison"]["statement"] == contrast.statement


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"compare": 1}, 422, "compare must be true or false"),
        ({"explain": "yes"}, 422, "explain must be true, false or a time"),
        ({"explain": 900}, 422, "explain must be 0 to"),
        ({"model": FOREST, "explain": True}, 422, "explain needs a model that"),
        ({"model": FOREST, "compare": True}, 422, "compare needs a model that"),
    ],
)
def test_what_cannot_be_compared_or_explained_is_refused(
    client: httpx.Client, wish: dict[str, Any], status: int, said: str
) -> None:
    """Each with its rule; a forest of a reconstructed cohort would answer differently each time."""
    patient = {**PATIENT, "age": 61} if wish.get("model") == FOREST else PATIENT
    response = client.post("/v1/predict", json={"patients": [patient], **wish})
    assert response.status_code == status
    assert said in response.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/", "/v1/models", "/v1/models/"])
def test_options_and_head(client: httpx.Client, path: str) -> None:
    """OPTIONS tells the methods; a slash too many is no redirect, which would lose the body."""
    method = "POST" if "predict" in path else "GET"
    options = client.options(path)
    assert options.status_code == 204
    assert method in options.headers["Allow"]
    head = client.head(path)
    assert (head.status_code, head.content) == (405 if method == "POST" else 200, b"")
    body = {"patients": [PATIENT]} if method == "POST" else None
    assert client.request(method, path, json=body).status_code == 200


def test_predictions_are_counted_without_a_patient(client: httpx.Client) -> None:
    """Patients, levels, groups and refusals add up; no label is a client's."""

    def counted() -> dict[str, float]:
        lines = client.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    before = counted()
    request = {"patients": [{**PATIENT, "age": a} for a in (18, 55, 55)], "model": FOREST}
    assert client.post("/v1/predict", json=request).status_code == 200
    assert client.post("/v1/predict", json={"patients": [{"Erika": 1}]}).status_code == 422
    client.get("/v1/models/Erika")
    after = counted()
    assert grown(f'riskscore_predictions_total{{model="{FOREST}"}}') == 3
    label = f'model="{FOREST}",predictor="vascular_invasion"'
    assert grown(f'riskscore_levels_total{{level="yes",{label}}}') == 3
    age = f'model="{FOREST}",predictor="age"'
    assert grown(f'riskscore_levels_total{{level="below",{age}}}') == 1
    groups = [name for name in after if name.startswith("riskscore_risk_groups_total")]
    assert sum(map(grown, groups)) == 3
    refused = 'riskscore_refusals_total{field="other",kind="invalid-input",rule="unknown-key"}'
    assert grown(refused) == 1
    assert not any("Erika" in name for name in after)


def test_a_trace_is_carried_on(cox_bundle: Path, tmp_path: Path) -> None:
    """BentoML's traces take a caller's id, which our line repeats, and hold no query."""
    config = tmp_path / "bentoml.yaml"
    config.write_text(
        "services:\n  RiskScore:\n    tracing:\n      exporter_type: in_memory\n"
        "      sample_rate: 1.0\n    http:\n      response:\n        trace_id: true\n"
    )
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with serving(str(cox_bundle), tmp_path, (), {"BENTOML_CONFIG": str(config)}) as server:
        response = httpx.post(
            f"{server.url}/v1/predict",
            json={"patients": [PATIENT]},
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        )
        assert response.headers["X-BentoML-Trace-ID"] == trace
        server.printed_with(f'"trace": "{trace}"')


def test_bentoml_is_the_version_that_was_tried() -> None:
    """With any other, look at its middlewares and supervisor again, then raise `TRIED`."""
    code = (
        "import bentoml, inspect\n"
        "from bentoml._internal.server.http import traffic\n"
        "from serving.bento import TRIED, TimeLimit, adapt\n"
        "from _bentoml_impl.server.app import ServiceAppFactory\n"
        "assert TRIED['bentoml'] == bentoml.__version__, bentoml.__version__\n"
        "source = inspect.getsource(traffic.TimeoutMiddleware)\n"
        "assert 'call_later(self.timeout' in source and 'cancel()' in source\n"
        "adapt()\n"
        "adapt()\n"
        "from serving.edge import Edge\n"
        "from serving.service import service\n"
        "service.inject_config()\n"
        "found = [m.cls for m in ServiceAppFactory(service, is_main=True).middlewares]\n"
        "assert found[0] is Edge and TimeLimit in found, found\n"
        "assert traffic.TimeoutMiddleware not in found\n"
        "from bentoml._internal.configuration.containers import BentoMLContainer\n"
        "from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware\n"
        "assert OpenTelemetryMiddleware not in found  # no exporter, no spans\n"
        "BentoMLContainer.tracing.exporter_type.set('in_memory')\n"
        "found = [m.cls for m in ServiceAppFactory(service, is_main=True).middlewares]\n"
        "assert OpenTelemetryMiddleware in found, found\n"
        "print('as it was')\n"
    )
    assert python(code).splitlines()[-1] == "as it was"


def test_a_request_that_takes_too_long_is_a_504(cox_bundle: Path, tmp_path: Path) -> None:
    """A body that never ends does not hold a connection for ever."""
    head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving(str(cox_bundle), tmp_path, (), {"RISKSCORE_TIMEOUT": "0.5"}) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 504")


HOSTILE = {
    "prototype keys": b'{"__proto__": {"a": 1}, "constructor": {}, "patients": [{"__class__": 1}]}',
    "control characters": b'{"patients": [{"\\u0000\\u001b[31m\\u202e": "\\r\\nHTTP/1.1 200 OK"}]}',
    "deep": b'{"patients": ' + b'[{"a":' * 9_000,
    "wide": b'{"patients": [' + b",".join([b"{}"] * 1000) + b"]}",
    "many keys": b'{"patients": [{' + b",".join(b'"k%d":1' % i for i in range(60_000)) + b"}]}",
    "long key": b'{"patients": [{"' + b"k" * 900_000 + b'": 1}]}',
    "long digits": b'{"patients": [{"age": 1' + b"0" * 900_000 + b"}]}",
    "long fraction": b'{"patients": [{"age": 0.' + b"1" * 900_000 + b"}]}",
    "tiny exponent": b'{"patients": [{"age": 1e-999999999}], "times": [1e-400]}',
    "UTF-32": '{"patients": []}'.encode("utf-32"),
    "overlong UTF-8": b'{"patients": [{"a": "\xc0\xaf"}]}',
    "surrogates": b'{"patients": [{"\\ud800": "\\udfff"}], "model": "\\ud800"}',
    "many problems": json.dumps({"patients": [{"age": []}] * 1000, "times": ["x"] * 200}).encode(),
    "hash collisions": b'{"patients": [{' + b",".join(
        b'"%d":1' % (i * (2**61 - 1)) for i in range(9_000)) + b"}]}",
    "id like a path": b'{"patients": [], "model": "../../../etc/passwd"}',
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_refused_at_once(client: httpx.Client, name: str) -> None:
    """No 5xx, no crash, no answer after more than the client waits."""
    response = client.post(
        "/v1/predict", content=HOSTILE[name], headers={"Content-Type": "application/json"}
    )
    assert response.status_code in (400, 404, 413, 422)
    assert response.json()["problems"]
    assert len(response.content) < 20_000
    assert client.post("/v1/predict", json={"patients": [PATIENT]}).status_code == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    field=st.sampled_from([*PATIENT, "extra", ""]),
    value=JSON_VALUES,
    top=st.dictionaries(
        st.sampled_from(["times", "model", "compare", "explain", "x"]), JSON_VALUES, max_size=2
    ),
)
def test_any_json_gets_an_answer_or_its_problems(
    client: httpx.Client, field: str, value: Any, top: dict[str, Any]
) -> None:
    """Whatever stands in a field, the answer is predictions or a list of what is wrong."""
    body = {"patients": [{**PATIENT, field: value}], **top}
    response = client.post(
        "/v1/predict",
        content=json.dumps(body, ensure_ascii=True),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code in (200, 400, 404, 413, 422)
    assert ("predictions" in response.json()) == response.is_success


def test_an_unknown_model_in_an_address_is_refused(cox_bundle: Path) -> None:
    """The refusal lists the ids."""
    models = Models([load_model(cox_bundle)], COX)
    with pytest.raises(Refusal, match="unknown-model"):
        models.detail("none")


def test_every_answer_has_its_line(client: httpx.Client, server: Server) -> None:
    """The line of a request is found by the id of its answer, and says what was asked of whom."""
    sent = "0123456789ab4def8123456789abcdef"
    response = client.post(
        "/v1/predict", json={"patients": [PATIENT]}, headers={"X-Request-ID": sent}
    )
    assert response.headers["X-Request-ID"] == sent
    found = server.printed_with(f'"id": "{sent}"').split(f'"id": "{sent}"')
    line = json.loads(found[0].splitlines()[-1] + f'"id": "{sent}"' + found[1].splitlines()[0])
    assert (line["route"], line["status"], line["model"], line["patients"]) == (
        "/v1/predict", 200, COX, 1,
    )  # fmt: skip

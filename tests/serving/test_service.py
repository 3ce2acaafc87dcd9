"""The service as a hospital meets it: a real server process, a real HTTP client."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from riskscore import __version__, load_model
from tests.serving.live_server import ROOT, Server, command, environment, free_port, python

JSON = {"Content-Type": "application/json"}
MARK = "Erika-Mustermann-4711"
"""A patient's value, as it were, that must turn up nowhere but in the answer."""

GOOD = {
    "tumor_number": "<=3",
    "vascular_invasion": "yes",
    "extrahepatic_metastasis": "no",
    "treatment": "deb_tace",
}


def body(patient: dict[str, Any] | None = None, **more: Any) -> bytes:
    """Return a request for one patient."""
    return json.dumps({"patients": [GOOD if patient is None else patient], **more}).encode()


def raw(fragment: str) -> bytes:
    """Return a request for a patient of whom part is written by hand."""
    return b'{"patients": [{"treatment": "deb_tace", %s}]}' % fragment.encode()


BAD: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    # name: body, headers, status, part of a problem in words
    "empty": (b"", JSON, 400, "body must be JSON"),
    "cut off": (body()[:-3], JSON, 400, "body must be JSON"),
    "NaN": (raw('"age": NaN'), JSON, 400, "got 'NaN'"),
    "infinity": (raw('"age": -Infinity'), JSON, 400, "got '-Infinity'"),
    "1e999": (raw('"age": 1e999'), JSON, 400, "got '1e999'"),
    "huge integer": (raw('"age": ' + "9" * 5000), JSON, 400, "64-bit float"),
    "key twice": (raw('"age": 61, "age": 62'), JSON, 400, "must not repeat a key"),
    "not UTF-8": (raw('"age": "x"').replace(b"x", b"\xff"), JSON, 400, "must be UTF-8"),
    "UTF-16": (body().decode().encode("utf-16"), JSON, 400, "must be UTF-8"),
    "BOM": (b"\xef\xbb\xbf" + body(), JSON, 400, "UTF-8 BOM"),
    "nested": (b"[" * 200_000, JSON, 400, "nested at most 16 levels"),
    "nested value": (raw(f'"age": {"[" * 400}{"]" * 400}'), JSON, 400, "nested at most 16 levels"),
    "unknown model": (body(model=MARK), JSON, 404, "choose from deb-tace-hcc/os/cox"),
    "2 MB": (b" " * 2_000_000, JSON, 413, "body must be at most 1,000,000 bytes"),
    "1,001 patients": (
        json.dumps({"patients": [GOOD] * 1001}).encode(),
        JSON,
        413,
        "patients must be at most 1,000, got 1001",
    ),
    "201 times": (body(times=[1] * 201), JSON, 413, "times must be at most 200, got 201"),
    "no type": (body(), {}, 415, "Content-Type must be application/json"),
    "form": (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "must be"),
    "pickle": (b"", {"Content-Type": "application/vnd.bentoml+pickle"}, 415, "must be"),
    "type not UTF-8": (body(), {"Content-Type": "\xff\xfe"}, 415, "must be application/json"),
    "charset": (body(), {"Content-Type": "application/json; charset=latin1"}, 415, "must be UTF-8"),
    "gzip": (body(), {**JSON, "Content-Encoding": "gzip"}, 415, "must be absent, got 'gzip'"),
    "a list": (b"[]", JSON, 422, "body must be an object"),
    "no patients key": (b"{}", JSON, 422, "patients is missing"),
    "patients an object": (b'{"patients": {}}', JSON, 422, "patients must be a list"),
    "no patients": (b'{"patients": []}', JSON, 422, "patients must be at least one"),
    "patient a number": (b'{"patients": [7]}', JSON, 422, "row 1: patient must be an object"),
    "unknown body key": (body(tims=[6]), JSON, 422, "tims is not a key of the body"),
    "model a number": (body(model=7), JSON, 422, "model must be a text, got 7"),
    "compare an object": (body(compare={}), JSON, 422, "compare must be true or false, got '{}'"),
    "compare a number": (body(compare=0), JSON, 422, "compare must be true or false, got 0"),
    "compare a text": (body(compare=""), JSON, 422, "compare must be true or false, got ''"),
    "compare a list": (body(compare=[]), JSON, 422, "compare must be true or false, got '[]'"),
    "explain an object": (body(explain={}), JSON, 422, "explain must be true, false or a time"),
    "missing predictor": (
        body({k: v for k, v in GOOD.items() if k != "treatment"}),
        JSON,
        422,
        "row 1: treatment is missing",
    ),
    "unknown predictor": (body({**GOOD, "sex": "f"}), JSON, 422, "row 1: sex is not a predictor"),
    "unknown level": (body({**GOOD, "treatment": MARK}), JSON, 422, f"got '{MARK}'"),
    "null": (body({**GOOD, "treatment": None}), JSON, 422, "treatment must not be missing"),
    "a list as value": (body({**GOOD, "treatment": [MARK]}), JSON, 422, "treatment must be one of"),
    "lone surrogate": (body({**GOOD, "treatment": "\ud800"}), JSON, 422, "must be one of"),
    "number in quotes": (
        body({**GOOD, "age": "61"}, model="deb-tace-hcc/os/forest"),
        JSON,
        422,
        "row 1: age must be a number, got '61'",
    ),
    "out of range": (
        body({**GOOD, "age": 130}, model="deb-tace-hcc/os/forest"),
        JSON,
        422,
        "row 1: age must be 18 to 80 years, got 130",
    ),
    "integer beyond float": (
        body({**GOOD, "age": 10**308}, model="deb-tace-hcc/os/forest"),
        JSON,
        422,
        "row 1: age must be 18 to 80 years",
    ),
    "times a number": (body(times=6), JSON, 422, "times must be a list of numbers, got 6"),
    "times a text": (body(times="6"), JSON, 422, "times must be a list of numbers, got '6'"),
    "no times": (body(times=[]), JSON, 422, "times must be a list of numbers"),
    "time a text": (body(times=["6"]), JSON, 422, "times must be 0 to "),
    "time too late": (
        body(times=[6, 900]),
        JSON,
        422,
        "the longest follow-up in training, got 900",
    ),
    "time negative": (body(times=[-1]), JSON, 422, "times must be 0 to "),
    "time twice": (body(times=[6, 6.0]), JSON, 422, "times must not repeat, got 6.0"),
}


def words(problem: dict[str, Any]) -> str:
    """Return a problem as riskscore would print it."""
    row = "" if problem["row"] is None else f"row {problem['row']}: "
    found = "" if problem["value"] is None else f", got {problem['value']!r}"
    return f"{row}{problem['field']} {problem['rule']}{found}; {problem['remedy']}"


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_4xx_and_its_problems(client: httpx.Client, name: str) -> None:
    """Whatever is sent, the answer is problem+json that says what to do."""
    content, headers, status, said = BAD[name]
    encoded = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    response = client.post("/v1/predict", content=content, headers=encoded)
    document = response.json()
    assert response.status_code == document["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "count", "problems"} == set(document)
    assert any(said in words(problem) for problem in document["problems"]), document
    assert all(problem["remedy"] for problem in document["problems"])
    assert document["count"] >= len(document["problems"]) >= 1


def test_the_problems_are_pythons(client: httpx.Client, cox_bundle: Path) -> None:
    """Over HTTP an error carries the list that InputError has, cut at 20 and counted."""
    patients = [{**GOOD, "treatment": "none", "tumor_number": i} for i in range(15)]
    response = client.post("/v1/predict", json={"patients": patients})
    with pytest.raises(ValueError, match="30 problems") as caught:
        load_model(cox_bundle).answer(patients)
    expected = [p.to_dict() for p in caught.value.problems]  # type: ignore[attr-defined]
    assert response.json()["problems"] == expected[:20]
    assert response.json()["count"] == len(expected) == 30


def test_a_body_in_chunks_is_limited_too(client: httpx.Client) -> None:
    """Without a declared length the limit holds all the same."""

    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 65_536

    response = client.post("/v1/predict", content=chunks(), headers=JSON)
    assert response.status_code == 413
    assert response.json()["problems"][0]["rule"] == "must be at most 1,000,000 bytes"
    small = client.post("/v1/predict", content=iter([body()[:20], body()[20:]]), headers=JSON)
    assert small.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/predict", 405), ("POST", "/v1/models", 405), ("GET", "/v1/nothing", 404)],
)
def test_other_addresses_answer_in_the_same_shape(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    """What the framework refuses is said in our words, its headers kept."""
    response = client.request(method, path)
    assert response.status_code == response.json()["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["problems"][0]["remedy"]
    assert ("Allow" in response.headers) == (status == 405)


def test_no_patients_value_and_no_traceback_is_printed(
    client: httpx.Client, server: Server
) -> None:
    """A marked value, sent in every way that fails or succeeds, turns up in no output."""
    for content, headers, _, _ in BAD.values():
        encoded = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        client.post("/v1/predict", content=content, headers=encoded)
    mark = json.dumps(MARK).encode()
    for content in (
        mark,
        b"{%b: 1}" % mark,
        b'{"patients": %b}' % mark,
        b'{"patients": [%b]}' % mark,
        b'{"patients": [{%b: 1}]}' % mark,
        b'{"patients": [{%b: 1, %b: 2}]}' % (mark, mark),
        b'{"patients": [], "times": %b}' % mark,
        b'{"patients": [%b' % mark,
        b'{"patients": [%b \xff' % mark,
    ):
        assert client.post("/v1/predict", content=content, headers=JSON).is_client_error
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as broken:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        broken.sendall(head + b'Content-Length: 900\r\n\r\n{"patients": [' + mark)
    # Not only bodies: nothing that a client chooses freely is printed, counted or traced.
    for path in (f"/{MARK}", f"/v1/models/{MARK}", f"/v1/models?name={MARK}", f"/%0A{MARK}%FF"):
        client.get(path, headers={"X-Request-ID": MARK, "User-Agent": MARK, "Referer": MARK})
    client.request(MARK, "/v1/models")
    client.get("/v1/models", headers=[(b"User-Agent", b"\xff"), (b"tracestate", MARK.encode())])
    printed = _printed_with('"rules": ["incomplete"]', client, server)
    assert MARK not in printed + client.get("/metrics").text
    assert "Traceback" not in printed
    assert "Error" not in printed
    assert "unforeseen" not in printed


@pytest.mark.parametrize("times", [None, [0, 5.5, 12.25, 24]])
@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_predictions_equal_pythons(
    client: httpx.Client, cox_bundle: Path, forest_bundle: Path, kind: str, times: Any
) -> None:
    """Every float is the same, to the last bit, for small and large requests."""
    patients: list[dict[str, Any]] = [
        {**GOOD, "tumor_number": n, "extrahepatic_metastasis": m}
        for n in ("<=3", ">3")
        for m in ("no", "yes")
    ] * 60
    if kind == "forest":
        patients = [{**p, "age": 30 + i / 7} for i, p in enumerate(patients)]
    model = load_model(cox_bundle if kind == "cox" else forest_bundle)
    for some in (patients[:1], patients):
        request = {"patients": some, "times": times, "model": model.manifest.id}
        expected = model.answer(some, times)
        response = client.post("/v1/predict", json=request)
        assert response.status_code == 200
        assert response.json()["predictions"] == expected.to_records()
        assert response.json()["times"] == expected.times.tolist()


def test_20_requests_at_once_each_get_their_own_answer(server: Server, forest_bundle: Path) -> None:
    """Small requests on the event loop and large ones beside it do not mix."""
    model = load_model(forest_bundle)
    batches = [
        [{**GOOD, "age": 18 + (i + j / 10) % 60} for j in range(1 if i % 2 else 200)]
        for i in range(20)
    ]

    def ask(patients: list[dict[str, Any]]) -> Any:
        request = {"patients": patients, "model": model.manifest.id}
        return httpx.post(f"{server.url}/v1/predict", json=request, timeout=60).json()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, batches))
    for patients, answer in zip(batches, answers, strict=True):
        assert answer["predictions"] == model.answer(patients).to_records()


def test_1000_patients_are_answered(client: httpx.Client) -> None:
    """The limit itself is within the limit."""
    response = client.post("/v1/predict", json={"patients": [GOOD] * 1000})
    assert len(response.json()["predictions"]) == 1000


def test_every_answer_says_which_model_gave_it(client: httpx.Client, forest_bundle: Path) -> None:
    """Identity, unit, and what a reader must be told come from the manifest."""
    request = {"patients": [{**GOOD, "age": 61}], "model": "deb-tace-hcc/os/forest"}
    said = client.post("/v1/predict", json=request).json()["model"]
    model = load_model(forest_bundle)
    assert said == {
        "id": "deb-tace-hcc/os/forest",
        "digest": model.digest,
        "version": __version__,
        "kind": "forest",
        "outcome": "Overall survival",
        "time_unit": "month",
        "statement": model.manifest.statement,
        "review_status": "draft",
        "review": "draft: demonstration (nobody has reviewed it)",
        "intervals": model.manifest.intervals,
    }
    listed = client.get("/v1/models").json()
    assert listed["default"] == "deb-tace-hcc/os/cox"
    assert {**said, "withdrawn": None} in listed["models"]


def test_bentomls_own_client_knows_the_route(server: Server) -> None:
    """`predict` is a native API: BentoML's client finds it by name."""
    code = (
        "import bentoml, json, sys\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    print(json.dumps(client.predict(patients=[json.loads(sys.argv[2])], times=[12])))\n"
    )
    answer = python(code, server.url, json.dumps(GOOD))
    direct = httpx.post(f"{server.url}/v1/predict", json={"patients": [GOOD], "times": [12]})
    assert json.loads(answer) == direct.json()


def test_the_server_listens_on_this_machine_alone(server: Server) -> None:
    """BentoML's default is every interface."""
    assert f"listening on {server.url} " in server.printed()
    assert urlsplit(server.url).hostname == "127.0.0.1"


def test_a_damaged_bundle_is_not_served(cox_bundle: Path, tmp_path: Path) -> None:
    """The server refuses to start, names the file and what to do, and shows no traceback."""
    damaged = tmp_path / "bundle"
    shutil.copytree(cox_bundle, damaged)
    with (damaged / "model.onnx").open("ab") as graph:
        graph.write(b"\0")
    run = subprocess.run(
        command(free_port()),
        cwd=ROOT,
        env=environment(str(damaged), tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1
    assert f"{damaged}: model.onnx does not match its hash" in run.stderr
    assert "restore it" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_serving_needs_nothing_of_training() -> None:
    """The image of a server carries no scikit-survival, which is GPL-3 and heavy."""
    code = (
        "import sys, serving.service\n"
        "heavy = {'sklearn', 'sksurv', 'skl2onnx', 'onnx', 'lifelines', 'training'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert python(code) == "[]"


def test_bentoml_reports_no_use() -> None:
    """Even when its command line has already looked at the variable and found it unset."""
    code = (
        "from bentoml._internal.utils.analytics.usage_stats import do_not_track\n"
        "before = do_not_track()\n"
        "import serving.service\n"
        "print(before, do_not_track())\n"
    )
    assert python(code) == "False True"


def _printed_with(line: str, client: httpx.Client, server: Server) -> str:
    """Return what the server printed, asking it until a line of an earlier request is there."""
    for _ in range(200):
        assert client.get("/v1/models").is_success
        if line in (printed := server.printed()):
            return printed
    pytest.fail(f"the server never printed {line!r}:\n{server.printed()}")

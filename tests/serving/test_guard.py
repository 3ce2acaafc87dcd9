"""Who is let in: tokens, loopback, and every route there is."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.audit import Facts
from serving.guard import PROBES, ExposedError, Guard
from serving.problems import Refusal
from serving.sockets import is_loopback, listening
from serving.tokens import TokenFileError, Tokens, main
from tests.serving.live_server import (
    ROOT,
    Server,
    command,
    environment,
    free_port,
    python,
    serving,
)

ROUTES = [
    ("GET", "/"), ("GET", "/docs.json"), ("GET", "/openapi.json"), ("GET", "/schema.json"),
    ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/v1/models/deb-tace-hcc/os/cox"),
    ("GET", "/v1/models/deb-tace-hcc/os/cox/card"), ("POST", "/v1/predict"),
    ("POST", "/v1/predict/"), ("OPTIONS", "/v1/predict"), ("GET", "/static_content/index.css"),
    ("GET", "/static_content/swagger-ui-bundle.js"),
    ("GET", "/no/such/address"), ("HEAD", "/v1/models"), ("GET", "/v1/models/"),
]  # fmt: skip


def line(name: str, token: str, *purposes: str) -> str:
    """Return a line of a token file, by the documented rule."""
    return " ".join([name, hashlib.sha256(token.encode()).hexdigest(), *purposes]) + "\n"


@pytest.fixture(scope="module")
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a token for all, one for predictions, one for metrics."""
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(line("all", "A") + line("ward", "P", "predict") + line("prom", "M", "metrics"))
    return path


@pytest.fixture(scope="module")
def guarded(
    cox_bundle: Path, tokens_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve on every interface, with tokens."""
    home = tmp_path_factory.mktemp("guarded")
    options = ["--host", "0.0.0.0"]
    variables = {"RISKSCORE_TOKENS_FILE": str(tokens_file)}
    with serving(str(cox_bundle), home, options, variables) as running:
        yield running


def ask(server: Server, method: str, path: str, token: str | None) -> int:
    """Return the status of an answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.request(method, server.url + path, headers=headers, timeout=30).status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_asks_for_a_token(guarded: Server, method: str, path: str) -> None:
    """Native, mounted, metrics, documentation, what is not there: 401 without a right token."""
    assert ask(guarded, method, path, None) == 401
    assert ask(guarded, method, path, "wrong") == 401
    assert ask(guarded, method, path, "A") not in (401, 403, 421, 500)
    needs, other = ("M", "P") if path == "/metrics" else ("P", "M")
    assert ask(guarded, method, path, needs) not in (401, 403)
    assert ask(guarded, method, path, other) == 403


def test_the_routes_tested_are_all_there_are() -> None:
    """A route that is added is added to the matrix."""
    code = (
        "import json\n"
        "from serving.routes import Routes\n"
        "from serving.service import service\n"
        "print(json.dumps(list(Routes(service.to_asgi().routes).templates())))\n"
    )
    templates = json.loads(python(code))
    tested = {path for _, path in ROUTES} | PROBES
    tested |= {"/v1/models/{id}", "/v1/models/{id}/card"}
    assert set(templates) <= tested


def test_probes_need_no_token(guarded: Server) -> None:
    """Whoever runs the machine must be able to ask."""
    assert [ask(guarded, "GET", probe, None) for probe in sorted(PROBES)] == [200, 200, 200]


def test_a_refusal_says_how_to_ask_and_every_answer_is_hardened(guarded: Server) -> None:
    """401 names the scheme; headers keep answers out of caches, frames and guesses."""
    refused = httpx.get(f"{guarded.url}/v1/models")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"].endswith(":unauthorized")
    # Who is not let in is not told which models there are.
    assert refused.headers["RiskScore-Review"] == "draft"
    for response in (refused, httpx.get(f"{guarded.url}/readyz")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert len(response.headers["X-Request-ID"]) == 32
        assert "Server" not in response.headers


def test_tokens_are_exchanged_without_a_restart(guarded: Server, tokens_file: Path) -> None:
    """A line added admits, a line removed shuts out, a spoilt file admits nobody until mended."""
    before = tokens_file.read_text()

    def replace(text: str) -> None:
        new = tokens_file.with_name("new")
        new.write_text(text)
        new.replace(tokens_file)

    try:
        assert ask(guarded, "GET", "/v1/models", "N") == 401
        replace(before + line("new", "N"))
        assert ask(guarded, "GET", "/v1/models", "N") == 200
        replace(line("new", "N"))
        assert ask(guarded, "GET", "/v1/models", "A") == 401
        replace("new not-a-hash\n")
        assert ask(guarded, "GET", "/v1/models", "N") == 503
        assert ask(guarded, "GET", "/livez", None) == 200
        printed = guarded.printed_with("line 1: after the name must stand 64")
        assert "line 1: after the hash" not in printed
        tokens_file.unlink()
        assert ask(guarded, "GET", "/v1/models", "N") == 503
    finally:
        replace(before)
    assert ask(guarded, "GET", "/v1/models", "A") == 200


def test_without_tokens_it_does_not_listen_beyond_this_machine(
    cox_bundle: Path, tmp_path: Path
) -> None:
    """The command ends with status 1 and says what to do."""
    run = subprocess.run(
        [*command(free_port()), "--host", "0.0.0.0"],
        cwd=ROOT, env=environment(str(cox_bundle), tmp_path),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "0.0.0.0 can be reached from other machines, and there are no tokens" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_port_that_is_taken_is_named(cox_bundle: Path, tmp_path: Path) -> None:
    """The command ends with status 1, says which, and shows no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = subprocess.run(
            command(port), cwd=ROOT, env=environment(str(cox_bundle), tmp_path),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_worker_reads_the_socket_itself(tmp_path: Path, cox_bundle: Path) -> None:
    """A worker started on an open socket by any other way ends before it answers."""
    with socket.socket() as open_to_all:
        open_to_all.bind(("0.0.0.0", 0))
        open_to_all.listen()
        open_to_all.set_inheritable(True)
        number = open_to_all.fileno()
        run = subprocess.run(
            [sys.executable, "-m", "_bentoml_impl.worker.service", "serving.service:RiskScore",
             "--fd", str(number), "--service-name", "RiskScore"],
            cwd=ROOT, env=environment(str(cox_bundle), tmp_path), pass_fds=[number],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode != 0
    assert "0.0.0.0 can be reached from other machines" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no token"),
        ("# nobody\n", "holds no token"),
        ("ward\n", "line 1: after the name must stand 64 hexadecimal digits"),
        ("ward " + "G" * 64, "line 1: after the name must stand 64"),
        (line("a", "A") + line("a", "B"), "line 2: a name must not repeat"),
        (line("a", "A", "everything"), "line 1: after the hash may stand predict or metrics"),
        (line("a/b", "A"), "line 1: the name must be letters"),
    ],
)
def test_a_token_file_that_breaks_a_rule_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    """The line and the rule are named; what stands there is not quoted."""
    path = tmp_path / "tokens"
    path.write_text(content)
    with pytest.raises(TokenFileError, match=said) as caught:
        Guard(Tokens(path)).check_start()
    assert "G" * 64 not in str(caught.value)


def test_a_token_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a directory, no text: each says why."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path, why in ((tmp_path / "no", "No such file"), (tmp_path, "directory"),
                      (binary, "not UTF-8")):  # fmt: skip
        with pytest.raises(TokenFileError, match=why):
            Guard.from_environment({"RISKSCORE_TOKENS_FILE": str(path)}).check_start()


def test_a_token_that_is_made_is_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line printed for the file and the token printed for the client fit each other."""
    assert main(["ward-3", "predict"]) == 0
    printed = capsys.readouterr()
    token = printed.err.split()[-1]
    assert token not in printed.out
    path = tmp_path / "tokens"
    path.write_text(printed.out)
    found = Tokens(path).holder(f"bearer {token}".encode())
    assert found is not None
    assert (found.name, found.purposes) == ("ward-3", ("predict",))
    for wrong in (b"", b"Bearer", b"Bearer ", b"Basic " + token.encode(), b"Bearer x" * 999):
        assert Tokens(path).holder(wrong) is None


@pytest.mark.parametrize(
    ("server", "host", "kind"),
    [
        ("127.0.0.1", b"localhost:3000", None),
        ("127.0.0.1", b"127.0.0.1", None),
        ("::1", b"[::1]:3000", None),
        ("127.0.0.1", b"rebound.example:3000", "misdirected"),
        ("10.1.2.3", b"localhost", "forbidden"),
    ],
)
def test_without_tokens_only_this_machine_is_answered(
    server: str, host: bytes, kind: str | None
) -> None:
    """Neither another machine, nor a page whose name was pointed here, gets an answer."""
    scope = {"server": (server, 3000), "headers": [(b"host", host)]}
    if kind is None:
        Guard(None).admit(scope, "/v1/models", Facts(""))
        return
    with pytest.raises(Refusal) as caught:
        Guard(None).admit(scope, "/v1/models", Facts(""))
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP"],
)
def test_without_tokens_nothing_is_answered_through_a_proxy(
    client: httpx.Client, name: str
) -> None:
    """It connects from this machine, for anybody."""
    refused = client.get("/v1/models", headers={name: "127.0.0.1"})
    assert refused.status_code == 403
    assert "must set RISKSCORE_TOKENS_FILE" in refused.json()["problems"][0]["remedy"]
    assert client.get("/livez", headers={name: "127.0.0.1"}).is_success


def test_no_header_gets_into_the_audit(guarded: Server) -> None:
    """The client is the connection's, whatever a proxy, or a forger, says of it."""
    names = [
        "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID",
        "User-Agent", "Referer", "traceparent", "tracestate", "Origin", "Cookie", "Host",
        "Content-Type", "Content-Encoding",
    ]  # fmt: skip
    marks = ["192.0.2.77", "Mustermann", "00000000-0000-0000-0000-000000004711"]
    for mark in marks:
        headers = {**dict.fromkeys(names, mark), "Authorization": "Bearer A"}
        httpx.post(f"{guarded.url}/v1/predict", headers=headers, content=b"{}")
        for name in names:
            headers = {name: mark, "Authorization": "Bearer A"}
            answer = httpx.post(f"{guarded.url}/v1/predict", headers=headers, content=b"{}")
    printed = guarded.printed_with(answer.headers["X-Request-ID"])
    assert not [mark for mark in marks if mark in printed]


def test_the_sockets_of_a_process_are_read() -> None:
    """What is listened on is found; what is connected is not."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        assert "127.0.0.1" in listening()
    assert not is_loopback("192.0.2.1")
    with pytest.raises(ExposedError, match=r"192\.0\.2\.1 can be reached"):
        Guard(None).check_start("192.0.2.1")


def test_a_request_in_flight_is_answered_on_sigterm(cox_bundle: Path, tmp_path: Path) -> None:
    """A body whose end comes after the signal is still read, and answered."""
    body = b'{"patients": []}'
    with serving(str(cox_bundle), tmp_path) as server, socket.socket() as client:
        client.settimeout(30)
        client.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
        assert httpx.get(f"{server.url}/v1/models").is_success  # the worker has read what was sent
        os.kill(server.pid, signal.SIGTERM)
        client.sendall(body[5:])
        assert client.recv(100).startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize(
    "hosts", [[], ["localhost", "evil.example"], ["localhost:80@evil.example"]]
)
def test_one_host_and_no_more_is_asked_for(hosts: list[str]) -> None:
    """None, the first of two, and a user's name that looks like this machine were let in."""
    headers = [(b"host", host.encode()) for host in hosts]
    scope = {"server": ("127.0.0.1", 3000), "headers": headers, "http_version": "1.1"}
    with pytest.raises(Refusal, match="misdirected"):
        Guard(None).admit(scope, "/v1/models", Facts(""))
    scope["headers"] = [(b"host", b"localhost:3000")]
    Guard(None).admit(scope, "/v1/models", Facts(""))

"""What a connection may cost before anybody knows whose it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from serving import connection
from serving.audit import Facts
from serving.connection import BoundedProtocol
from tests.serving.live_server import Server

GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PATH = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"

UNREADABLE: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100a5010000a1"), 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a path that is not ASCII": (PATH % b"\xff", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "length and parts": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a tunnel": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", 400),
    "a large header": (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "a header without end": (GET + b"X: " + b"a" * 2_000_000, 431),
    "many headers": (GET + b"X: a\r\n" * 101 + b"\r\n", 431),
    "a long address": (PATH % (b"a" * 20_000), 431),
}


def ask(server: Server, sent: bytes) -> bytes:
    """Return all that comes back until the server closes."""
    address = urlsplit(server.url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall(sent)
        while part := client.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_refused_in_our_words(server: Server, name: str) -> None:
    """As problem+json, with the headers of every answer, and a line in the audit."""
    sent, status = UNREADABLE[name]
    head, _, body = ask(server, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"connection"] == b"close"
    assert headers[b"riskscore-review"] == b"draft"
    document = json.loads(body)
    assert document["status"] == status
    assert document["problems"][0]["remedy"]
    request = headers[b"x-request-id"].decode()
    printed = server.printed_with(f'"id": "{request}"')
    line = json.loads(next(x for x in printed.splitlines() if f'"id": "{request}"' in x))
    assert line["status"] == status
    assert line["client"] == "127.0.0.1"


def test_large_heads_take_no_memory(server: Server) -> None:
    """300 MB in one header took 356 MB, and 100,000 headers were read."""
    address = urlsplit(server.url)
    workers = psutil.Process(server.pid).children(recursive=True)
    before = sum(worker.memory_info().rss for worker in workers)
    for head in (GET + b"X: ", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: "):
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.sendall(head)
            sent = 0
            while sent < 300_000_000:
                try:
                    sent += client.send(b"a" * 1_000_000)
                except OSError:
                    break
            assert sent < 300_000_000  # it was closed
    assert httpx.get(f"{server.url}/livez").is_success
    grown = sum(worker.memory_info().rss for worker in workers) - before
    assert grown < 20_000_000  # some reads of 256 kB, and what Python keeps for the next


def test_a_body_in_the_smallest_parts_is_read(server: Server) -> None:
    """What frames the parts is no header."""
    text = b'{"patients": []}' + b" " * 20_000
    parts = b"".join(b"1\r\n%c\r\n" % byte for byte in text)
    sent = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    assert ask(server, sent).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("last", [b"", b"Connection: close, Upgrade\r\n"])
def test_a_client_that_offers_another_protocol_is_answered(server: Server, last: bytes) -> None:
    """Java's offers HTTP/2 with its first request, whose body was lost."""
    body = b'{"patients": []}'
    offer = last or b"Connection: Upgrade, HTTP2-Settings\r\n"
    head = POST + offer + b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    sent = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    if not last:
        sent += POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    answers = ask(server, sent)
    assert answers.count(b"HTTP/1.1 422 ") == (1 if last else 2)
    assert b"patients must be at least one" in answers


class Handle:
    """A timer of `Loop`."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self.seconds, self.function, self.cancelled = seconds, function, False

    def cancel(self) -> None:
        """Cancel."""
        self.cancelled = True


class Loop:
    """An event loop in which time passes when it is told to, and requests are never answered."""

    def __init__(self) -> None:
        self.timers: list[Handle] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> Handle:
        """Remember a timer."""
        self.timers.append(Handle(seconds, function))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> Loop:
        """Answer nothing."""
        work.close()
        return self

    def add_done_callback(self, function: object) -> None:
        """Never be done."""

    def pass_time(self) -> list[float]:
        """Run every timer that is set, and return their seconds."""
        due = [timer for timer in self.timers if not timer.cancelled]
        self.timers = []
        for timer in due:
            timer.function()
        return [timer.seconds for timer in due]


class Transport:
    """The other end, written down."""

    def __init__(self) -> None:
        self.written, self.closed, self.waiting = b"", "", 0

    def get_extra_info(self, name: str) -> object:
        """Know nothing."""
        return None

    def write(self, data: bytes) -> None:
        """Write."""
        self.written += data

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return bool(self.closed)

    def can_write_eof(self) -> bool:
        """Answer as TLS does."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return what the client has not read."""
        return self.waiting

    def close(self) -> None:
        """Close, when all is read."""
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        """Close at once."""
        self.closed = "aborted"

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Read on."""


class Peer:
    """The protocol's side of a server: its connections, and what was told of them."""

    def __init__(self) -> None:
        self.config = Config("tests.serving.test_connection:nothing", log_config=None)
        self.state = ServerState()
        self.loop = Loop()
        self.facts: list[Facts] = []

    def connect(self) -> tuple[BoundedProtocol, Transport]:
        """Open a connection."""
        protocol = BoundedProtocol(
            self.config, server_state=self.state, app_state={}, _loop=self.loop
        )
        protocol.observe = self.facts.append  # type: ignore[method-assign, assignment]
        transport = Transport()
        protocol.connection_made(transport)  # type: ignore[arg-type]
        return protocol, transport


async def nothing(scope: object, receive: object, send: object) -> None:
    """Answer nothing."""


def answered(protocol: BoundedProtocol) -> None:
    """Let the answer to the last request be complete."""
    protocol.cycle.response_complete = True
    protocol.on_response_complete()


@pytest.mark.parametrize(("sent", "answer"), [(b"", b""), (GET, b"HTTP/1.1 408 "), (b"\r\n", b"")])
def test_a_head_that_does_not_end_is_not_waited_for(sent: bytes, answer: bytes) -> None:
    """Nothing, half a head, line ends that begin nothing: on a new connection and on an old one."""
    server = Peer()
    for request in (b"", GET + b"\r\n"):
        protocol, transport = server.connect()
        if request:
            protocol.data_received(request)
            answered(protocol)
        if sent:
            protocol.data_received(sent)
        server.loop.pass_time()
        assert transport.closed
        assert transport.written.startswith(answer)
        protocol.connection_lost(None)
    assert not server.state.connections


def test_a_request_under_way_is_left_alone() -> None:
    """It has a limit of its own, from its head to its answer."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received(POST + b"Content-Length: 9\r\n\r\n12345")
    assert server.loop.pass_time() == []
    assert not transport.closed


def test_the_rest_of_a_refused_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither long nor much; one that ends in time leaves the connection open for the next."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received(POST + b"Content-Length: 9\r\n\r\n12345")
    answered(protocol)
    protocol.data_received(b"67")
    assert connection.REST_SECONDS in server.loop.pass_time()
    assert transport.closed == "aborted"

    protocol, transport = server.connect()
    protocol.data_received(POST + b"Content-Length: 9\r\n\r\n12345")
    answered(protocol)
    protocol.data_received(b"6789")
    assert not transport.closed
    protocol.data_received(GET + b"\r\n")
    assert server.loop.pass_time() == []

    monkeypatch.setattr(connection, "MOST_REST", 100)
    protocol, transport = server.connect()
    protocol.data_received(POST + b"Content-Length: 900\r\n\r\n12345")
    answered(protocol)
    protocol.data_received(b"6" * 101)
    assert transport.closed == "aborted"


def test_an_answer_that_is_not_read_is_dropped() -> None:
    """While it is written, and when the connection is closed for idleness."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received(GET + b"\r\n")
    protocol.pause_writing()
    protocol.resume_writing()
    assert server.loop.pass_time() == []
    protocol.pause_writing()
    server.loop.pass_time()
    assert transport.closed == "aborted"

    protocol, transport = server.connect()
    protocol.data_received(GET + b"\r\n")
    transport.waiting = 1
    answered(protocol)
    server.loop.pass_time()
    assert transport.closed == "aborted"


def test_the_idlest_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is idle the new one is refused."""
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 2)
    server = Peer()
    busy, of_busy = server.connect()
    busy.data_received(GET + b"\r\n")
    idle, of_idle = server.connect()
    third, of_third = server.connect()
    assert (of_busy.closed, of_idle.closed, of_third.closed) == ("", "aborted", "")
    idle.connection_lost(None)
    third.data_received(GET + b"\r\n")
    _, of_fourth = server.connect()
    assert of_fourth.written.startswith(b"HTTP/1.1 503 ")
    assert of_fourth.closed
    assert [facts.status for facts in server.facts] == [503]


def test_nothing_is_written_into_another_answer() -> None:
    """What cannot be read behind a request that is being answered ends the connection."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received(GET + b"\r\n")
    protocol.data_received(b"hello\r\n\r\n")
    assert (transport.closed, transport.written) == ("aborted", b"")
    assert [facts.status for facts in server.facts] == [400]


def test_requests_sent_ahead_are_bounded() -> None:
    """They wait for the first one's answer."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received((GET + b"\r\n") * (connection.MOST_QUEUED + 1))
    assert not transport.closed
    protocol.data_received((GET + b"\r\n") * 2)
    assert transport.closed


def test_a_trailer_is_no_header() -> None:
    """A token after a body let the request in; it is counted with the headers all the same."""
    server = Peer()
    protocol, transport = server.connect()
    protocol.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    before = [name for name, _ in protocol.scope["headers"]]
    protocol.data_received(b"Authorization: Bearer A\r\nX-Forwarded-For: 192.0.2.1\r\n")
    assert [name for name, _ in protocol.scope["headers"]] == before
    protocol.data_received(b"X: a\r\n" * connection.MOST_HEADERS)
    assert transport.closed
    assert [facts.status for facts in server.facts] == [431]

"""What one connection may cost before anybody knows whose it is.

uvicorn's reader of HTTP keeps a request's head as long as it comes, waits for its end for ever, and
counts neither headers nor connections. Here a head is bounded in bytes, in headers and in time, and
so is all that comes after an answer; a client that does not read is cut off; and where too many
connections are open, the one that has been idle longest makes room. What cannot be read is refused
with the service's own problem+json, and has its line in the audit.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httptools
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.audit import Facts, request_id
from serving.edge import NO_CONTENT, SECURITY
from serving.problems import RETRY_AFTER, Refusal, problem_reply

__all__ = ["BoundedProtocol"]

MOST_HEAD = 16_384
"""Bytes of a request's head: its line and its headers."""

MOST_HEADERS = 100

FRAME = 20
"""Bytes around each part of a body that comes in parts, at most."""

MOST_QUEUED = 32
"""Requests that may be sent on a connection before the first is answered."""

MOST_REST = 16_000_000
"""Bytes that are thrown away after their request was refused, so that the client sees why."""

HEAD_SECONDS = 10.0
"""From the opening of a connection, or the first byte of a further request, to the head's end."""

REST_SECONDS = 5.0
"""For what is still sent after the answer."""

WRITE_SECONDS = 30.0
"""That a client may leave an answer unread."""


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else max(16, min(1000, files - 100))


MOST_CONNECTIONS = _most_connections()
"""Of a process; below its limit of open files."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds.

    Attributes
    ----------
    observe : callable
        Gets the facts of every request that never became one: for the audit and the counters.
    reviews : callable
        Returns the header RiskScore-Review, as for `Edge`.
    """

    observe: Callable[[Facts], None] = staticmethod(lambda facts: None)
    reviews: Callable[[bool], str] = staticmethod(lambda named: "")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if isinstance(self.app, ProxyHeadersMiddleware):
            # It would take the client's address from a header.
            self.app = self.app.app
        self.ws_protocol_class = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._since = time.monotonic()
        self._reading = self._in_head = self._refused = False
        self._outside = self._rest = self._sized = self._fields = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; where there are too many connections, at the cost of the idlest."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._arm(HEAD_SECONDS, self._late)
        if len(self.connections) > MOST_CONNECTIONS:
            idle: list[Any] = [
                other for other in self.connections if _is_idle(other) and other is not self
            ]
            if idle:
                min(idle, key=lambda other: other._since).transport.abort()
            else:
                self._refuse("unavailable", "cannot be taken: too many are open", "try again soon")

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and leave no timer behind."""
        for timer in (self._timer, self._unread, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as the bounds hold."""
        if self._refused:
            self._drop(len(data))
            return
        self._unset_keepalive_if_required()
        self._outside += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(*(_TOO_LARGE if self._is_too_large() else _UNREADABLE))
            return
        self._outside = max(self._outside, 0)
        if self._is_too_large():
            self._refuse(*_TOO_LARGE)
        elif self._timer is None and (self._in_head or (not self._reading and _is_idle(self))):
            self._arm(HEAD_SECONDS, self._late)  # also for line ends, which begin no request

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._reading = self._in_head = True
        self._sized = self._outside = self._fields = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer after the body is counted and thrown away.

        uvicorn puts it among the headers, where it could let the request in (RFC 9110, 6.5.1).
        """
        self._count(len(name) + len(value) + 4)
        self._fields += 1
        if self._fields > MOST_HEADERS:
            self._sized = MOST_HEAD + 1
            raise ValueError("too many headers")
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._in_head = False
        self._outside = 0
        self._disarm()
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")
        if self.parser.should_upgrade():
            return  # `_stay` reads it again
        if len(self.pipeline) >= MOST_QUEUED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Count no frame of a body that comes in parts: it is not kept."""
        self._outside -= FRAME

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, or throw it away where it has been answered already."""
        self._outside -= len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self._drop(len(body))

    def on_message_complete(self) -> None:
        """Wait for the next request, if this one has been answered."""
        self._reading = False
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._disarm()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Bound what is still to come of a request that has been answered."""
        self._since = time.monotonic()
        super().on_response_complete()
        if self._reading and not self._in_head and self.cycle.response_complete:
            self._rest = 0
            self._arm(REST_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Give a client that does not read its answer some time."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; what its client has not read by now is dropped."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read; uvicorn's own words are not used."""
        self._refuse(*_UNREADABLE)

    def _stay(self, rest: bytes) -> None:
        """Read a request that offers another protocol as if it did not (RFC 9110, 7.8).

        Java's client offers HTTP/2 with every first request; the parser takes the body for the
        other protocol's, and leaves it unread.
        """
        kept, close = [], b""
        for name, value in self.headers:
            if name == b"connection" and b"close" in value.lower():
                close = b"connection: close\r\n"
            if name not in (b"connection", b"upgrade", b"http2-settings"):
                kept.append(name + b": " + value + b"\r\n")
        line = self.parser.get_method() + b" " + self.url + b" HTTP/1.1\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(line + b"".join(kept) + close + b"\r\n" + rest)

    def _count(self, size: int) -> None:
        self._sized += size
        if self._sized > MOST_HEAD:
            raise ValueError("too large a head")

    def _is_too_large(self) -> bool:
        """Whether there is too much of what is kept and is no body: the head, or trailers."""
        return self._sized > MOST_HEAD or self._outside > MOST_HEAD

    def _late(self) -> None:
        rule = f"must have its whole head within {HEAD_SECONDS:g} seconds"
        if self._in_head:
            self._refuse("too-slow", rule, "send the whole request at once")
        else:  # not a byte has come: a connection held ready, as browsers do
            self.transport.close()

    def _refuse(self, kind: str, rule: str, remedy: str) -> None:
        """Answer in our words, tell of it, and close."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._disarm()
        facts = Facts(request_id(), client=self.client[0] if self.client else "")
        facts.refusal = Refusal.of(kind, "request", rule, None, remedy)
        reply = problem_reply(facts.refusal)
        facts.status, facts.sent = reply.status, len(reply.body)
        self.observe(facts)
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is under way, and a second one would be taken for its part.
            self.transport.abort()
            return
        headers = [
            (b"content-type", reply.media_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", facts.id.encode()),
            *SECURITY,
            NO_CONTENT,
        ]
        if reply.status in RETRY_AFTER:
            headers.append((b"retry-after", b"%d" % RETRY_AFTER[reply.status]))
        if review := self.reviews(False):
            headers.append((b"riskscore-review", review.encode("ascii", "replace")))
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[reply.status] + head + b"\r\n" + reply.body)
        if self.transport.can_write_eof():
            # To close at once, with bytes unread, would take the answer back.
            with suppress(OSError, RuntimeError):
                self.transport.write_eof()
            self._rest = 0
            self._arm(REST_SECONDS, self.transport.abort)
        else:
            self.transport.close()

    def _drop(self, size: int) -> None:
        self._rest += size
        if self._rest > MOST_REST:
            self.transport.abort()

    def _arm(self, seconds: float, function: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, function)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_TOO_LARGE = (
    "head-too-large",
    f"must have a head of at most {MOST_HEAD:,} bytes and {MOST_HEADERS} headers",
    "send fewer and shorter headers",
)
_UNREADABLE = ("unreadable-request", "must be HTTP/1.1", "send a request as HTTP/1.1 has it")


def _is_idle(protocol: Any) -> bool:
    """Whether a connection waits for its client, with no request under way."""
    return protocol.cycle is None or protocol.cycle.response_complete

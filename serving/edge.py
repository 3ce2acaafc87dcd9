"""The outermost layer: who is let in, what every answer looks like, and the line that tells of it.

What a client chooses freely stops here. The layers of BentoML between `Edge` and `Inside` label
their metrics, traces and messages with the path: they are given the route's template instead, and
`Inside` gives the path back to the routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.audit import AuditLog, Facts, told
from serving.counters import Counters
from serving.guard import PROBES, Guard
from serving.problems import (
    PROBLEM_JSON,
    RETRY_AFTER,
    Refusal,
    Reply,
    foreign_reply,
    problem_reply,
)
from serving.routes import Address, Routes

__all__ = ["FACTS", "Edge", "Inside"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

FACTS = "riskscore.facts"
"""Where a connection's scope keeps its `Facts`."""

KEPT = "riskscore.kept"

PICKLE = b"application/vnd.bentoml+pickle"

SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
NO_CONTENT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PAGE_CONTENT = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'; sandbox",
)
"""Of a card, which may be of anybody's making: nothing in it is run."""

ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")

OURS = frozenset({b"server", b"x-request-id", b"riskscore-review", *(name for name, _ in SECURITY)})
"""Headers that no other layer sets."""


UNTOLD = frozenset({"unauthorized", "forbidden", "misdirected"})
"""Refusals of those who are not let in."""


class Edge:
    """ASGI middleware: guards, answers errors in one shape, and keeps the audit.

    Parameters
    ----------
    app : ASGI application
        What is wrapped.
    guard : Guard
        Who is let in.
    counters : Counters
        What is counted.
    audit : AuditLog
        Where the line of a request goes.
    reviews : callable, optional
        Returns the header RiskScore-Review for an answer that is not about one model, given
        whether the models may be named; "" as long as none is loaded.
    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        counters: Counters,
        audit: AuditLog,
        reviews: Callable[[bool], str] = lambda named: "",
    ) -> None:
        self.app = app
        self.guard = guard
        self.counters = counters
        self.audit = audit
        self.reviews = reviews
        self._routes: Routes | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:  # nothing here speaks WebSocket
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Message, receive: Receive, send: Send) -> None:
        facts = Facts.of(scope)
        answer = _Answer(send, facts, scope["scheme"] == "https", self.reviews)
        try:
            inner = self._admitted(scope, facts)
            if inner is None:
                headers = [(b"allow", self._address(scope).allow.encode())]
                await answer.finish(Reply(204, b"", ""), headers)
            else:
                await self.app(inner, answer.counted(receive), answer)
        except Refusal as refusal:
            facts.refusal = refusal
            headers = [(b"www-authenticate", b'Bearer realm="riskscore"')]
            kept = headers if refusal.kind == "unauthorized" else []
            if refusal.kind == "method-not-allowed":
                kept = [(b"allow", self._address(scope).allow.encode())]
            await answer.finish(problem_reply(refusal), kept)
        except Exception as error:
            # Whatever escapes would be logged with its text, which may quote a patient.
            facts.fault = told(error)
            if not facts.status:
                await answer.finish(foreign_reply(500), [])
        finally:
            self.counters.finished(facts)
            # A probe that succeeds, every few seconds, would drown the rest.
            if facts.route not in PROBES or facts.status != 200:
                self.audit.write(facts.to_dict())

    def _admitted(self, scope: Message, facts: Facts) -> Message | None:
        """Return the scope that the inner layers get; None for OPTIONS, which is answered here."""
        if self._routes is None:
            self._routes = Routes.of(scope)
        found = self._routes.find(scope["path"])
        address, path = found or (None, "")
        facts.route = address.template if address else ""
        self.guard.admit(scope, path, facts)
        if address is None:
            remedy = "ask GET /v1/models or POST /v1/predict"
            raise Refusal.of("not-found", "path", "must be one that is served", None, remedy)
        method = scope["method"]
        if method == "OPTIONS":
            return None
        if address.methods is not None and method not in address.methods:
            remedy = f"use {address.allow}"
            rule = "must be one that this address takes"
            raise Refusal.of("method-not-allowed", "method", rule, None, remedy)
        headers = []
        for key, value in scope["headers"]:
            # BentoML refuses pickles itself, but by an exception, whose traceback it logs.
            if key == b"content-type" and value.lower().startswith(PICKLE):
                remedy = "send the header Content-Type: application/json"
                rule = "must be application/json"
                raise Refusal.of("unsupported-media-type", "Content-Type", rule, "pickle", remedy)
            # Of these only traces are made, and they would carry the text on.
            if key not in (b"user-agent", b"authorization", b"baggage", b"tracestate"):
                headers.append((key, value))
        return {
            **scope,
            "headers": headers,
            "path": address.template,
            "raw_path": address.template.encode(),
            "query_string": b"",
            FACTS: facts,
            KEPT: {
                "path": path,
                "raw_path": path.encode(),
                "query_string": scope["query_string"],
                "headers": scope["headers"],
            },
        }

    def _address(self, scope: Message) -> Address:
        assert self._routes is not None
        found = self._routes.find(scope["path"])
        assert found is not None
        return found[0]


class Inside:
    """ASGI middleware: gives the routes what `Edge` kept from the layers between."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        scope.update(scope.get(KEPT, ()))
        await self.app(scope, receive, send)


class _Answer:
    """A `send` that puts problem+json in the place of any other error, and adds our headers."""

    def __init__(self, send: Send, facts: Facts, tls: bool, reviews: Callable[[bool], str]) -> None:
        self.send = send
        self.facts = facts
        self.tls = tls
        self.reviews = reviews
        self.foreign: Message | None = None

    def counted(self, receive: Receive) -> Receive:
        """Return `receive`, with the bytes that come counted."""

        async def counting() -> Message:
            message = await receive()
            self.facts.received += len(message.get("body", b""))
            return message

        return counting

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            kind = next((value for key, value in headers if key.lower() == b"content-type"), b"")
            if message["status"] >= 400 and not kind.startswith(PROBLEM_JSON.encode()):
                self.foreign = message
                return
            await self._start(message["status"], headers, kind)
        elif self.foreign is None:
            self.facts.sent += len(message.get("body", b""))
            await self.send(message)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            kept = [
                (key, value)
                for key, value in self.foreign.get("headers", ())
                if key.lower() not in (b"content-type", b"content-length")
            ]
            await self.finish(foreign_reply(self.foreign["status"]), kept)

    async def finish(self, reply: Reply, headers: Headers) -> None:
        """Send a whole answer."""
        if reply.body:
            length = str(len(reply.body)).encode()
            kind = reply.media_type.encode()
            headers = [*headers, (b"content-type", kind), (b"content-length", length)]
        await self._start(reply.status, headers, reply.media_type.encode())
        self.facts.sent += len(reply.body)
        await self.send({"type": "http.response.body", "body": reply.body})

    async def _start(self, status: int, headers: Headers, kind: bytes) -> None:
        self.facts.status = status
        kept = [(key, value) for key, value in headers if key.lower() not in OURS]
        kept += SECURITY
        kept.append((b"x-request-id", self.facts.id.encode()))
        if review := self.facts.review or self.reviews(self._may_name()):
            kept.append((b"riskscore-review", review.encode("ascii", "replace")))
        if not any(key.lower() == b"content-security-policy" for key, _ in headers):
            kept.append(PAGE_CONTENT if kind.startswith(b"text/html") else NO_CONTENT)
        if status in RETRY_AFTER:
            kept.append((b"retry-after", b"%d" % RETRY_AFTER[status]))
        if self.tls:
            kept.append(ONLY_TLS)
        await self.send({"type": "http.response.start", "status": status, "headers": kept})

    def _may_name(self) -> bool:
        """Whether the models may be named: not to who is not let in, nor by a probe."""
        refusal = self.facts.refusal
        known = refusal is None or refusal.kind not in UNTOLD
        return known and self.facts.route not in PROBES

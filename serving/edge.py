"""The outermost layer of our own: what BentoML would refuse in its own words is said in ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.problems import PROBLEM_JSON, Refusal, Reply, foreign_reply, problem_reply

__all__ = ["Edge"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

PICKLE = b"application/vnd.bentoml+pickle"


class Edge:
    """ASGI middleware: every error leaves as problem+json, whoever raised it.

    Parameters
    ----------
    app : ASGI application
        What is wrapped.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # BentoML refuses pickles itself, but by an exception, whose traceback it logs.
        declared = (value for key, value in scope["headers"] if key == b"content-type")
        if any(value.lower().startswith(PICKLE) for value in declared):
            remedy = "send the header Content-Type: application/json"
            rule = "must be application/json"
            refusal = Refusal.of("unsupported-media-type", "Content-Type", rule, "pickle", remedy)
            await _send_reply(problem_reply(refusal), [], send)
            return
        await self.app(scope, receive, _Reshaped(send))


class _Reshaped:
    """A `send` that puts problem+json in the place of any other error."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.foreign: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message.get("headers", ()))
            ours = headers.get(b"content-type", b"").startswith(PROBLEM_JSON.encode())
            if message["status"] >= 400 and not ours:
                self.foreign = message
                return
        if self.foreign is None:
            await self.send(message)
            return
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            kept = [
                (key, value)
                for key, value in self.foreign.get("headers", ())
                if key.lower() not in (b"content-type", b"content-length")
            ]
            await _send_reply(foreign_reply(self.foreign["status"]), kept, self.send)


async def _send_reply(reply: Reply, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    about = [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    start = {"type": "http.response.start", "status": reply.status, "headers": headers + about}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})

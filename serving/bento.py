"""What the service changes inside BentoML, all of it, for the one version it was tried with.

- BentoML's time-out schedules a call for 60 s later and never cancels it, so that each request's
  context lives that long and every full garbage collection walks all of them: `TimeLimit` cancels.
- BentoML runs its metrics and traces outside every middleware of ours, and labels them with the
  path as it was sent: `Edge` goes to the front.
- It makes a span of every request even where no exporter is set, and throws it away, at a fifth of
  what an empty endpoint costs: without an exporter there are no spans.
- Its supervisor looks every 10 s whether a worker has died: every second, here.

With any other version nothing is changed: the service works, with a slower tail, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import bentoml
import click
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.utils.analytics import usage_stats

from riskscore.errors import RiskscoreError
from serving.edge import Edge
from serving.problems import Refusal, problem_reply

__all__ = [
    "TRIED",
    "ListenError",
    "TimeLimit",
    "adapt",
    "bound_host",
    "check_port",
    "forget_tracking",
    "stop_supervisor",
]

TRIED = "1.4.39"
"""The version of BentoML whose insides this module knows."""

CHECK_DELAY = 1.0
"""Seconds between two looks of the supervisor at its workers."""

logger = logging.getLogger("bentoml.riskscore")


class ListenError(RiskscoreError):
    """The service cannot listen where it was told to."""


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class TimeLimit:
    """ASGI middleware: an answer that has not begun after `timeout` seconds is a 504.

    Parameters
    ----------
    app : ASGI application
        What is wrapped.
    timeout : float
        Seconds, from the request's headers to the first byte of the answer.
    """

    def __init__(self, app: App, timeout: float) -> None:
        self.app = app
        self.timeout = timeout

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.timeout) as limit:

                async def sending(message: Message) -> None:
                    limit.reschedule(None)
                    await send(message)

                await self.app(scope, receive, sending)
        except TimeoutError:
            if not limit.expired():
                raise
            remedy = "send fewer patients at a time, and the whole body at once"
            rule = f"must be answered within {self.timeout:g} seconds"
            reply = problem_reply(Refusal.of("timeout", "request", rule, None, remedy))
            headers = [
                (b"content-type", reply.media_type.encode()),
                (b"content-length", str(len(reply.body)).encode()),
            ]
            start = {"type": "http.response.start", "status": reply.status, "headers": headers}
            await send(start)
            await send({"type": "http.response.body", "body": reply.body})


def forget_tracking() -> None:
    """Make BentoML look again at the variable that switches its reports off."""
    usage_stats.do_not_track.cache_clear()


def bound_host() -> str:
    """Return the address that the command about to serve will listen on."""
    context = click.get_current_context(silent=True)
    host = context.params.get("host") if context else None
    return str(host or BentoMLContainer.http.host.get())


def check_port() -> None:
    """Refuse an address that cannot be listened on, before BentoML's traceback says so."""
    context = click.get_current_context(silent=True)
    port = int((context.params.get("port") if context else 0) or BentoMLContainer.http.port.get())
    host = bound_host()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ListenError(
                f"cannot listen on {host} port {port} ({error.strerror}); choose another with "
                "--host and --port, or end what listens there"
            ) from None


def stop_supervisor() -> None:
    """End the supervisor of this worker, which would only start the next; nothing elsewhere."""
    if "--fd" in sys.argv and "--worker-id" in sys.argv:
        os.kill(os.getppid(), signal.SIGTERM)


def adapt(version: str = bentoml.__version__) -> bool:
    """Change BentoML as described above; return whether it is the version that was tried."""
    if version != TRIED:
        logger.warning(
            "BentoML is %s, and what makes the service fast was tried with %s: it runs without",
            version,
            TRIED,
        )
        return False
    from _bentoml_impl.server.app import ServiceAppFactory  # type: ignore[import-untyped]
    from bentoml._internal.server.http.traffic import TimeoutMiddleware
    from bentoml._internal.utils import circus
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from starlette.middleware import Middleware

    theirs = ServiceAppFactory.middlewares.fget
    if getattr(theirs, "adapted", False):
        return True

    def middlewares(self: Any) -> list[Middleware]:
        found = theirs(self)
        for one in found:
            if one.cls is TimeoutMiddleware:
                one.cls = TimeLimit
        if not BentoMLContainer.tracing.exporter_type.get():
            found = [one for one in found if one.cls is not OpenTelemetryMiddleware]
        return sorted(found, key=lambda one: one.cls is not Edge)  # stable: Edge, then as it was

    middlewares.adapted = True  # type: ignore[attr-defined]
    ServiceAppFactory.middlewares = property(middlewares)

    class Arbiter(circus.Arbiter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "check_delay": CHECK_DELAY})

    circus.Arbiter = Arbiter  # type: ignore[misc]  # the name that BentoML looks up
    return True

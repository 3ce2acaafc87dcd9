"""What the service changes inside BentoML, all of it, for the one version it was tried with.

- BentoML's time-out schedules a call for 60 s later and never cancels it, so that each request's
  context lives that long and every full garbage collection walks all of them: `TimeLimit` cancels.
- BentoML runs its metrics and traces outside every middleware of ours, and labels them with the
  path as it was sent: `Edge` goes to the front.
- It makes a span of every request even where no exporter is set, and throws it away, at a fifth of
  what an empty endpoint costs: without an exporter there are no spans.
- Its supervisor takes commands from any local user, without a password, at a TCP port of its own,
  and announces events at another. Here both ends are inside the process, and nothing listens but
  the HTTP port.
- Its page at ``/`` brings scripts of its own: neither is served.
- uvicorn, as BentoML starts it, bounds neither the head of a request nor the time it takes to come:
  `serving.connection` does.
- Its supervisor looks every 10 s whether a worker has died: every second, here.

With a version that was not tried the service refuses to start: it might listen where it must not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib.metadata import version
from typing import Any

import click

from riskscore.errors import RiskscoreError
from serving.edge import Edge
from serving.problems import Refusal, problem_reply
from serving.sockets import listening

__all__ = [
    "TRIED",
    "ListenError",
    "TimeLimit",
    "VersionError",
    "adapt",
    "bound_host",
    "check_port",
    "forget_tracking",
    "stop_supervisor",
]

TRIED: Mapping[str, str] = {"bentoml": "1.4.39", "kantoku": "0.18.3", "uvicorn": "0.54.0"}
"""The versions whose insides this room knows: BentoML, its supervisor and its HTTP server."""

PAGES = ("index", "static_content", "assets", "openapi-spec")
"""Routes of BentoML's own page, by name."""

INSIDE = "inproc://riskscore-"
"""Addresses of ZeroMQ that exist within a process alone: no other process can connect."""

CHECK_DELAY = 1.0
"""Seconds between two looks of the supervisor at its workers."""


class ListenError(RiskscoreError):
    """The service cannot listen where it was told to."""


class VersionError(RiskscoreError):
    """A package is installed in a version whose insides are not known here."""


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
    from bentoml._internal.utils.analytics import usage_stats

    usage_stats.do_not_track.cache_clear()


def bound_host() -> str:
    """Return the address that the command about to serve will listen on."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    context = click.get_current_context(silent=True)
    host = context.params.get("host") if context else None
    return str(host or BentoMLContainer.http.host.get())


def check_port() -> None:
    """Refuse an address that cannot be listened on, before BentoML's traceback says so."""
    from bentoml._internal.configuration.containers import BentoMLContainer

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


def check_versions(installed: Callable[[str], str] = version) -> None:
    """Refuse versions that were not tried.

    Raises
    ------
    VersionError
    """
    for package, tried in TRIED.items():
        if (there := installed(package)) != tried:
            raise VersionError(
                f"{package} {there} is installed, and the service was tried with {tried} alone: "
                "another may open ports without a password; install the locked versions with "
                "`pip install -r serving/requirements.lock`"
            )


def adapt() -> None:
    """Change BentoML as described above; a second call changes nothing.

    Raises
    ------
    VersionError
    """
    check_versions()
    from _bentoml_impl.server.app import ServiceAppFactory  # type: ignore[import-untyped]
    from bentoml._internal.utils import circus
    from uvicorn.config import HTTP_PROTOCOLS

    if getattr(ServiceAppFactory.middlewares.fget, "adapted", False):
        return
    ServiceAppFactory.__call__ = _without_pages(ServiceAppFactory.__call__)
    ServiceAppFactory.middlewares = _middlewares(ServiceAppFactory.middlewares.fget)
    HTTP_PROTOCOLS["auto"] = "serving.connection:BoundedProtocol"
    # The names that BentoML looks up.
    circus.Arbiter = _private(circus.Arbiter)  # type: ignore[misc]
    circus.ThreadedArbiter = _private(circus.ThreadedArbiter)  # type: ignore[misc]


def _middlewares(theirs: Any) -> property:
    """Return BentoML's property, `Edge` in front, with `TimeLimit`, and spans for an exporter."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.server.http.traffic import TimeoutMiddleware
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from starlette.middleware import Middleware

    def middlewares(self: Any) -> list[Middleware]:
        layers = theirs(self)
        for layer in layers:
            if layer.cls is TimeoutMiddleware:
                layer.cls = TimeLimit
        if not BentoMLContainer.tracing.exporter_type.get():
            layers = [layer for layer in layers if layer.cls is not OpenTelemetryMiddleware]
        # Stable: `Edge`, then as it was.
        return sorted(layers, key=lambda layer: layer.cls is not Edge)

    middlewares.adapted = True  # type: ignore[attr-defined]
    return property(middlewares)


def _without_pages(theirs: Any) -> Any:
    """Return BentoML's factory of applications without its page, and the scripts of that."""

    def make(self: Any) -> Any:
        app = theirs(self)
        app.router.routes[:] = [r for r in app.routes if getattr(r, "name", "") not in PAGES]
        return app

    return make


def _private(theirs: Any) -> Any:
    """Return a class of supervisor without a control port."""
    from bentoml.exceptions import BentoMLException  # which its command line prints as one line

    class Supervisor(theirs):  # type: ignore[misc]
        def __init__(self, watchers: Any, **options: Any) -> None:
            if options.get("plugins"):  # which are processes that send commands
                raise BentoMLException(
                    "--reload needs a control port, which anybody on this machine could use; "
                    "leave it out, and start again after a change"
                )
            self._before = len(listening())
            own = {name: f"{INSIDE}{name}" for name in ("endpoint", "pubsub_endpoint")}
            super().__init__(watchers, **{**options, **own, "check_delay": CHECK_DELAY})

        def start_io_loop(self) -> None:
            """Look, before a worker starts, that nothing listens but the HTTP port."""
            if len(listening()) - self._before > len(self.sockets):
                raise BentoMLException(
                    "the supervisor listens beside the HTTP port; install the locked versions with "
                    "`pip install -r serving/requirements.lock`"
                )
            super().start_io_loop()

    return Supervisor

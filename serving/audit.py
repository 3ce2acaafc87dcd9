"""One line a request, without a patient's value in it.

A line is a JSON object on standard output. Everything in it is ours: the route's template and not
the path that was sent, the kind of a refusal and not what was refused, the address of the
connection and not what a header says of it. What a client can choose freely (paths, queries,
headers, keys, values) is never printed, so no line can be forged. Of headers only two random
numbers get in, so that a caller finds its line: the id of the request and that of the trace.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from serving.problems import Refusal

__all__ = ["AuditLog", "Facts", "request_id", "told"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

RANDOM_ID = re.compile(
    rb"[0-9a-f]{8}-?[0-9a-f]{4}-?[47][0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}"
)
"""A UUID of version 4 or 7 (RFC 9562), which is random. Any other text a client sends as its
request's id might be a patient's."""

TRACE_PARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""The W3C's header traceparent, whose second part is the trace's id, random by its rule."""


@dataclass(slots=True)
class Facts:
    """What is known of a request so far; every layer adds what it learns.

    Attributes
    ----------
    id : str
        The request's id, which the answer carries as X-Request-ID.
    route : str
        Template of the address; "" for none of ours.
    token : str
        Name of the token; "" for none.
    model, digest : str
        Of the model that was asked.
    review : str
        Where its review stands, as the header RiskScore-Review tells it.
    patients : int
        How many were predicted.
    received, sent : int
        Bytes of the bodies.
    refusal : Refusal or None
        Why there was no answer.
    fault : str
        Type of an unforeseen error and the lines it came through.
    """

    id: str
    method: str = ""
    client: str = ""
    trace: str = ""
    route: str = ""
    token: str = ""
    model: str = ""
    digest: str = ""
    review: str = ""
    patients: int = 0
    status: int = 0
    received: int = 0
    sent: int = 0
    refusal: Refusal | None = None
    fault: str = ""
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, scope: Any) -> Facts:
        """Return what is known when a connection comes in."""
        headers = scope["headers"]
        sent_id = next((value for key, value in headers if key == b"x-request-id"), b"")
        parent = next((value for key, value in headers if key == b"traceparent"), b"")
        traced = TRACE_PARENT.fullmatch(parent)
        client = scope.get("client")
        return cls(
            request_id(sent_id),
            method=scope["method"] if scope["method"] in METHODS else "other",
            client=client[0] if client else "",
            trace=traced[1].decode() if traced else "",
        )

    @property
    def seconds(self) -> float:
        """How long the request has taken so far."""
        return time.perf_counter() - self.started

    def to_dict(self) -> dict[str, Any]:
        """Return the line's content; what is empty is left out."""
        refusal = self.refusal
        rules = sorted({rule for rule, _ in refusal.codes()}) if refusal else []
        content = {
            "time": _timestamp(),
            "event": "request",
            "id": self.id,
            "trace": self.trace,
            "client": self.client,
            "token": self.token,
            "method": self.method,
            "route": self.route or "unknown",
            "status": self.status,
            "ms": round(self.seconds * 1e3, 2),
            "received": self.received,
            "sent": self.sent,
            "model": self.model,
            "digest": self.digest,
            "patients": self.patients,
            "refused": refusal.kind if refusal else "",
            "problems": len(refusal.problems) if refusal else 0,
            "rules": rules,
            "fault": self.fault,
        }
        return {key: value for key, value in content.items() if value not in ("", 0, [])}


class AuditLog:
    """Writes lines; a line that cannot be written is counted, and told once on standard error.

    Parameters
    ----------
    lost : callable, optional
        Called for every line that could not be written.
    stream : text file, optional
        Standard output by default.
    """

    def __init__(
        self, lost: Callable[[], None] | None = None, stream: IO[str] | None = None
    ) -> None:
        self._tell = lost
        self.stream = stream
        self.lost = 0

    def write(self, content: dict[str, Any]) -> None:
        """Write one line. Never raises: a full disk must not take predictions down."""
        stream = sys.stdout if self.stream is None else self.stream
        try:
            stream.write(json.dumps({**content, "pid": os.getpid()}) + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            self.lost += 1
            if self._tell is not None:
                self._tell()
            if self.lost == 1:
                reason = getattr(error, "strerror", None) or "the log is closed"
                _complain(f"audit lines are being lost ({reason}); make room for the log\n")


def request_id(sent: bytes = b"") -> str:
    """Return the id a client sent, if it is a random UUID, or a new one."""
    return sent.decode() if RANDOM_ID.fullmatch(sent) else uuid.uuid4().hex


def told(error: BaseException) -> str:
    """Return an error's type and the lines it came through, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-8:]))
    return f"{type(error).__name__} at {places}"


def _complain(text: str) -> None:
    try:
        sys.stderr.write(text)
    except (OSError, ValueError):
        return


def _timestamp() -> str:
    now = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1000):03d}Z"

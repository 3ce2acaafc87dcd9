"""What the endpoint says when it refuses: one shape for every error.

The shape is problem+json (RFC 9457, https://www.rfc-editor.org/rfc/rfc9457) with two members more:
`problems`, a list of what is wrong and what to do, and `count`, how many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from riskscore.errors import SHOWN, Problem

__all__ = [
    "KINDS",
    "PROBLEM_JSON",
    "RETRY_AFTER",
    "Refusal",
    "Reply",
    "begun_reply",
    "foreign_reply",
    "json_begin",
    "json_items",
    "json_reply",
    "problem_reply",
]

KINDS: Mapping[str, tuple[int, str]] = {
    "unreadable-request": (400, "The request cannot be read"),
    "unreadable-body": (400, "The body cannot be read"),
    "unauthorized": (401, "A token is needed"),
    "forbidden": (403, "The token is not for this"),
    "unknown-model": (404, "No such model is served here"),
    "not-found": (404, "Nothing is served at this address"),
    "method-not-allowed": (405, "This address does not take that method"),
    "withdrawn": (410, "The model answers no more"),
    "too-slow": (408, "The request took too long to come"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The body is of a type that is not taken"),
    "misdirected": (421, "The request came the wrong way"),
    "invalid-input": (422, "The input breaks a rule"),
    "too-many-requests": (429, "The token has as much work under way as it may have"),
    "head-too-large": (431, "The request's headers are too large"),
    "abandoned": (499, "The client has gone"),
    "internal-error": (500, "The service failed"),
    "overloaded": (503, "The service has too much to do"),
    "unavailable": (503, "The service cannot answer now"),
    "timeout": (504, "The service took too long"),
}
"""Every kind of error with its status and title. A kind is part of the API: add, never rename."""

TYPE = "urn:problem-type:riskscore:"
"""What a kind's `type` begins with."""

PROBLEM_JSON = "application/problem+json"

# ASCII with escapes: a lone surrogate, which JSON's escapes can smuggle in, has no UTF-8 form,
# and echoing it must not turn a 422 into a 500. Made once: json.dumps makes one a call.
ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))

RULES: Mapping[str, str] = {
    "is missing": "missing",
    "must not be missing": "missing",
    "is not a": "unknown-key",
    "must not repeat": "repeated",
    "must be one of": "level",
    "must be one that": "unknown",
    "must be at most": "too-many",
    "must be at least": "too-few",
    "must be JSON": "json",
    "must be UTF-8": "encoding",
    "must be nested": "nesting",
    "must hold numbers": "number",
    "must be application/json": "media-type",
    "must be absent": "encoding",
    "must arrive whole": "incomplete",
    "must be a": "type",
    "must wait": "work",
    "was withdrawn": "withdrawn",
    "is withdrawn": "withdrawn",
    "must be ": "range",
}
"""The code of a rule, by how its words begin; the first that fits. Metrics and audit lines hold the
code: the words may tell a place in the body, and are without number."""

RETRY_AFTER: Mapping[int, int] = {429: 5, 503: 5}
"""Seconds after which a refusal of that status may have passed, for the header Retry-After."""

FOREIGN = ("not-found", "method-not-allowed", "internal-error", "unavailable", "timeout")
"""The kinds of errors that other layers raise."""

REMEDIES = {
    404: "ask GET /v1/models or POST /v1/predict",
    405: "use the method the header Allow names",
    503: "try again in a moment",
    504: "send fewer patients at a time",
}


class Refusal(Exception):  # noqa: N818  the endpoint's answer, not a fault of the program
    """A request is refused, for one kind of reason and with every problem found.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    problems : iterable of Problem
        At least one.
    """

    def __init__(self, kind: str, problems: Iterable[Problem]) -> None:
        self.kind = kind
        self.problems = tuple(problems)
        # The text leaves out what was sent: an exception's text is what ends up in a log.
        super().__init__(f"{kind}: {len(self.problems)} problem(s)")

    @classmethod
    def of(cls, kind: str, field: str, rule: str, value: Any, remedy: str) -> Refusal:
        """Return a refusal for one problem that is not a row's."""
        return cls(kind, [Problem(None, field, rule, value, remedy)])

    def codes(self) -> set[tuple[str, str]]:
        """Return code and field of each broken rule. A field may be of the client's making."""
        return {(_code(problem.rule), problem.field) for problem in self.problems}


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer, before any web framework: status, body and its media type."""

    status: int
    body: bytes
    media_type: str = "application/json"


def json_reply(content: object) -> Reply:
    """Return a 200 with `content` as JSON; a number that JSON does not have raises `ValueError`."""
    return Reply(200, _json(content))


def begun_reply(begin: bytes, content: dict[str, Any], key: str, items: list[bytes]) -> Reply:
    """Return a 200 whose first members are JSON already, and whose last is a list.

    Parameters
    ----------
    begin : bytes
        ``{"model": {...}`` without its end.
    content : dict
        What follows, not empty. It is ours: finite numbers, no text of the client's.
    key : str
        The last member.
    items : list of bytes
        Parts of its list, by `json_items`.
    """
    parts = [begin, b",", orjson.dumps(content)[1:-1], f',"{key}":['.encode(), b",".join(items)]
    return Reply(200, b"".join([*parts, b"]}"]))


def json_items(items: list[Any]) -> bytes:
    """Return the items of a list, ours as in `begun_reply`, as JSON without the list's brackets."""
    return orjson.dumps(items)[1:-1]


def json_begin(content: dict[str, Any]) -> bytes:
    """Return what `begun_reply` takes, of a dictionary that every answer begins with."""
    return _json(content)[:-1]


def problem_reply(refusal: Refusal) -> Reply:
    """Return a refusal as problem+json: the first 20 problems spelled out, all counted."""
    status, title = KINDS[refusal.kind]
    return _problem_json(TYPE + refusal.kind, title, status, refusal.problems)


def foreign_reply(status: int) -> Reply:
    """Return problem+json for an error that another layer raised, of which the status is known."""
    phrase = HTTPStatus(status).phrase
    remedy = REMEDIES.get(status, "see the documentation of the endpoint")
    problem = Problem(None, "request", f"was refused: {phrase.lower()}", None, remedy)
    kind = next((kind for kind in FOREIGN if KINDS[kind][0] == status), None)
    # RFC 9457, section 4.2.1: "about:blank" says no more than the status, whose phrase titles it.
    type_, title = ("about:blank", phrase) if kind is None else (TYPE + kind, KINDS[kind][1])
    return _problem_json(type_, title, status, (problem,))


def _code(rule: str) -> str:
    return next((code for words, code in RULES.items() if rule.startswith(words)), "other")


def _problem_json(type_: str, title: str, status: int, problems: tuple[Problem, ...]) -> Reply:
    count = len(problems)
    more = f" (and {count - 1} more)" if count > 1 else ""
    document = {
        "type": type_,
        "title": title,
        "status": status,
        "detail": f"{problems[0]}{more}",
        "count": count,
        "problems": [problem.to_dict() for problem in problems[:SHOWN]],
    }
    return Reply(status, _json(document), PROBLEM_JSON)


def _json(content: object) -> bytes:
    return ENCODER.encode(content).encode("ascii")

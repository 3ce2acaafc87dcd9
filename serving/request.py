"""From the bytes of a request to something `riskscore` can check.

Here is only what cannot be a patient's fault: readable JSON, the size, the names of the body's own
keys. What a patient's values may be is `RiskModel.answer`'s to say, and is not checked twice.
Nothing here knows a web framework, and nothing raises but `Refusal`.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, NoReturn

from riskscore.errors import Problem, json_safe
from serving.problems import Refusal

__all__ = [
    "MAX_BODY",
    "MAX_DEPTH",
    "MAX_PATIENTS",
    "MAX_TIMES",
    "Arriving",
    "PredictRequest",
    "check_effort",
    "check_headers",
    "parse_json",
    "parse_predict",
    "read_body",
]

MAX_BODY = 1_000_000
"""Bytes of a body."""

MAX_PATIENTS = 1000
"""Patients of a request."""

MAX_TIMES = 200
"""Times of a request: more than the 150 of a forest's grid, few enough to answer at once."""

MAX_DEPTH = 16
"""Levels of nesting; a request needs three. Unbounded, printing a value could exhaust the stack."""

MOST_BYTES_OF_ONE = 16_000_000
"""Bytes of bodies that may be arriving for one token."""

MOST_BYTES_OF_ALL = 64_000_000
"""Bytes of bodies that may be arriving in a process."""

KEYS = ("patients", "times", "model", "compare", "explain")

MAX_WEIGHT = 2**27
"""What a request may take, by `serving.work`: some seconds. To explain takes the most, 2 to the
power of the predictors a patient."""

SMALLER = "send the patients in several requests"


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A readable request to predict, its patients and times not yet checked.

    Attributes
    ----------
    patients : list
        At most 1,000 of anything.
    times : object
        What was sent as times; None for the outcome's horizons.
    model : str or None
        Id of a model, with or without its digest; None for the default.
    compare : bool
        Whether the survival under each treatment is wanted too.
    explain : bool or float
        Whether what each predictor adds is wanted too, and at what time (True: the first horizon).
    problems : tuple of Problem
        What is wrong with the body's own keys, to be told together with the patients' problems.
    size : int
        Bytes of the body.
    """

    patients: list[Any]
    times: Any = None
    model: str | None = None
    compare: bool = False
    explain: bool | float = False
    problems: tuple[Problem, ...] = ()
    size: int = 0


def check_headers(content_type: str, content_encoding: str = "") -> None:
    """Refuse a body that is not declared to be plain JSON in UTF-8.

    A missing type is refused too: a page of another site can send a form without asking the
    browser's leave, but not `application/json`.

    Raises
    ------
    Refusal
        415.
    """
    if content_type == "application/json" and not content_encoding:
        return  # the usual, correct request
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((p[8:].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    kind = "unsupported-media-type"
    if media_type != "application/json":
        remedy = "send the header Content-Type: application/json"
        found = json_safe(media_type) or None
        raise Refusal.of(kind, "Content-Type", "must be application/json", found, remedy)
    if charset not in ("utf-8", "utf8"):
        remedy = "send the body as UTF-8"
        raise Refusal.of(kind, "Content-Type", "must be UTF-8", json_safe(charset), remedy)
    if content_encoding.strip().lower() not in ("", "identity"):
        found = json_safe(content_encoding)
        remedy = "send the body uncompressed"
        raise Refusal.of(kind, "Content-Encoding", "must be absent", found, remedy)


class Arriving:
    """The bodies that are arriving in this process, and how much they may be together."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}

    async def read(self, chunks: AsyncIterable[bytes], declared: str, holder: str) -> bytes:
        """Read a body as `read_body` does, within what its token and the process may have.

        A declared length is taken before a byte is read, and without one the most a body may have.

        Parameters
        ----------
        chunks, declared
            As for `read_body`.
        holder : str
            Name of the token, "" where none is asked for.

        Raises
        ------
        Refusal
            413; 429 if too much is arriving for the token, 503 if too much is for everybody.
        """
        known = declared.isdecimal() and len(declared) <= 18
        size = min(int(declared), MAX_BODY) if known else MAX_BODY
        self._admit(size, holder)
        self._bytes[holder] = self._bytes.get(holder, 0) + size
        try:
            return await read_body(chunks, declared)
        finally:
            self._bytes[holder] -= size
            if not self._bytes[holder]:
                del self._bytes[holder]

    def _admit(self, size: int, holder: str) -> None:
        if self._bytes.get(holder, 0) + size > MOST_BYTES_OF_ONE:
            rule = "must wait: as many bodies of this token are arriving as it may have"
            remedy = "send each body at once, and fewer at a time"
            raise Refusal.of("too-many-requests", "body", rule, None, remedy)
        if sum(self._bytes.values()) + size > MOST_BYTES_OF_ALL:
            rule = "must wait: as many bodies are arriving as the service can hold"
            raise Refusal.of("overloaded", "body", rule, None, "send it again in some seconds")


async def read_body(chunks: AsyncIterable[bytes], declared: str = "") -> bytes:
    """Read a body of at most `MAX_BODY` bytes, holding no more than that and one chunk.

    Parameters
    ----------
    chunks : async iterable of bytes
        The body as it arrives.
    declared : str
        The header Content-Length, if there is one: too large a body is refused unread.

    Raises
    ------
    Refusal
        413.
    """
    # Python's own limit on the digits of an integer would raise on a header of 5,000 digits.
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > MAX_BODY):
        _refuse_size("body", f"must be at most {MAX_BODY:,} bytes", json_safe(declared), SMALLER)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            _refuse_size("body", f"must be at most {MAX_BODY:,} bytes", None, SMALLER)
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """Read strict JSON: RFC 8259 in UTF-8, each key once, each number one that float64 holds.

    Raises
    ------
    Refusal
        400, saying where the body stops being JSON, and quoting no more of it than a key or number.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        rule = f"must be UTF-8, and is not at byte {error.start}"
        raise _unreadable(rule, None, "send the text as UTF-8") from None
    try:
        content = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        rule = f"must be JSON: {error.msg} at {place}"
        raise _unreadable(rule, None, "mend it there") from None
    except RecursionError:
        raise _nested() from None
    _check_depth(content)
    return content


def parse_predict(body: bytes) -> PredictRequest:
    """Read the body of `POST /v1/predict`.

    Raises
    ------
    Refusal
        400 (not JSON), 413 (too many patients or times), 422 (not an object with `patients`).

    Examples
    --------
    >>> parse_predict(b'{"patients": [{"age": 61}], "times": [6, 12]}').times
    [6, 12]
    """
    content = parse_json(body)
    if not isinstance(content, dict):
        remedy = 'send {"patients": [{...}]}'
        found = json_safe(content)
        raise Refusal.of("invalid-input", "body", "must be an object", found, remedy)
    remedy = f"the body takes {', '.join(KEYS)}"
    problems = [
        Problem(None, json_safe(key), "is not a key of the body", None, remedy)
        for key in content
        if key not in KEYS
    ]
    patients: Any = content.get("patients")
    times, model = content.get("times"), content.get("model")
    fatal = _envelope_problems(content, patients, model)
    if fatal:
        raise Refusal("invalid-input", problems + fatal)
    compare, explain = (
        False if content.get(key) is None else content[key] for key in ("compare", "explain")
    )
    problems += _wish_problems(compare, explain)
    if len(patients) > MAX_PATIENTS:
        _refuse_size("patients", f"must be at most {MAX_PATIENTS:,}", len(patients), SMALLER)
    if isinstance(times, list) and len(times) > MAX_TIMES:
        _refuse_size("times", f"must be at most {MAX_TIMES}", len(times), "ask for fewer")
    return PredictRequest(patients, times, model, compare, explain, tuple(problems), len(body))


def check_effort(request: PredictRequest, weight: int) -> None:
    """Refuse more patients than can be answered in time, where one is `weight` (`serving.work`).

    Raises
    ------
    Refusal
        413.
    """
    most = max(1, MAX_WEIGHT // weight)
    if len(request.patients) > most:
        rule = f"must be at most {most:,} with what is asked for"
        _refuse_size("patients", rule, len(request.patients), SMALLER)


def _envelope_problems(content: dict[str, Any], patients: object, model: object) -> list[Problem]:
    """Return what leaves nothing to hand on: no list of patients, or no telling which model."""
    problems = []
    remedy = "give a list of objects, one a patient"
    if "patients" not in content:
        problems.append(Problem(None, "patients", "is missing", None, remedy))
    elif not isinstance(patients, list):
        found = json_safe(patients)
        problems.append(Problem(None, "patients", "must be a list", found, remedy))
    if model is not None and not isinstance(model, str):
        remedy = "give an id that GET /v1/models lists, or leave it out"
        problems.append(Problem(None, "model", "must be a text", json_safe(model), remedy))
    return problems


def _wish_problems(compare: object, explain: object) -> list[Problem]:
    problems = []
    if not isinstance(compare, bool):
        found, remedy = json_safe(compare), "give true, or leave it out"
        problems.append(Problem(None, "compare", "must be true or false", found, remedy))
    if not isinstance(explain, bool | int | float):
        found, remedy = json_safe(explain), "give true, a time, or leave it out"
        problems.append(Problem(None, "explain", "must be true, false or a time", found, remedy))
    return problems


def _check_depth(content: object) -> None:
    level = [content] if isinstance(content, list | dict) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _nested()
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, list | dict)
        ]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                rule = "must not repeat a key of an object"
                raise _unreadable(rule, json_safe(key), "keep one of them")
            seen.add(key)
    return content


def _constant(text: str) -> NoReturn:
    remedy = "JSON has no such number: leave the value out, or give one"
    raise _unreadable("must hold numbers only that JSON has", text, remedy)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        rule = "must hold numbers only that a 64-bit float holds"
        raise _unreadable(rule, json_safe(text), "give a smaller number")
    return number


def _int(text: str) -> int:
    # By way of float first: int() of a million digits takes seconds, and Python refuses it anyway.
    _float(text)
    return int(text)


def _unreadable(rule: str, value: Any, remedy: str) -> Refusal:
    return Refusal.of("unreadable-body", "body", rule, value, remedy)


def _nested() -> Refusal:
    rule = f"must be nested at most {MAX_DEPTH} levels deep"
    return _unreadable(rule, None, "send patients as plain objects")


def _refuse_size(field: str, rule: str, value: Any, remedy: str) -> NoReturn:
    raise Refusal.of("too-large", field, rule, value, remedy)

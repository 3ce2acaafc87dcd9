"""Reading a request: strict, bounded, and never an error but `Refusal`."""

from __future__ import annotations

import asyncio
import doctest
import json
from collections.abc import AsyncIterator

import pytest

import serving.request
from serving.problems import Refusal, foreign_reply, problem_reply
from serving.request import (
    MAX_BODY,
    MAX_DEPTH,
    MAX_PATIENTS,
    MAX_TIMES,
    MOST_BYTES_OF_ALL,
    MOST_BYTES_OF_ONE,
    Arriving,
    check_headers,
    parse_json,
    parse_predict,
    read_body,
)


def refusal(function: object, *arguments: object) -> tuple[str, str]:
    """Return the kind of the refusal and its problems in words."""
    with pytest.raises(Refusal) as caught:
        function(*arguments)  # type: ignore[operator]
    return caught.value.kind, "; ".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "must be JSON: Expecting value at line 1, column 1"),
        (b"{", "must be JSON: Expecting property name"),
        (b'{"a": 1,}', "must be JSON"),
        (b"{'a': 1}", "must be JSON"),
        (b"[1] 2", "must be JSON: Extra data at line 1, column 5"),
        (b'{"a": "b\x00"}', "must be JSON: Invalid control character"),
        (b'\xef\xbb\xbf{"a": 1}', "must be JSON: Unexpected UTF-8 BOM"),
        (b'{"a": "\xff"}', "must be UTF-8, and is not at byte 7"),
        ('{"a": 1}'.encode("utf-16"), "must be UTF-8, and is not at byte 0"),
        (b'{"a": NaN}', "numbers only that JSON has, got 'NaN'"),
        (b'{"a": Infinity}', "numbers only that JSON has, got 'Infinity'"),
        (b'{"a": -Infinity}', "numbers only that JSON has, got '-Infinity'"),
        (b'{"a": 1e999}', "numbers only that a 64-bit float holds, got '1e999'"),
        (b'{"a": -1e999}', "numbers only that a 64-bit float holds, got '-1e999'"),
        (b'{"a": ' + b"9" * 400 + b"}", "numbers only that a 64-bit float holds, got '99"),
        (b'{"a": ' + b"9" * 900_000 + b"}", "numbers only that a 64-bit float holds, got '99"),
        (b'{"a": 1, "b": 2, "a": 3}', "must not repeat a key of an object, got 'a'"),
        (b'{"p": [{"a": 1, "\\u0061": 1}]}', "must not repeat a key of an object, got 'a'"),
        (b"[" * 100_000, "must be nested at most 16 levels deep"),
        (b'{"a":' * 100_000, "must be nested at most 16 levels deep"),
        (b"[" * 500 + b"]" * 500, "must be nested at most 16 levels deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "must be nested at most 16 levels deep"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(body: bytes, said: str) -> None:
    """Every departure from RFC 8259 is a 400 that says what and where."""
    kind, words = refusal(parse_json, body)
    assert kind == "unreadable-body"
    assert said in words
    assert len(words) < 300


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"[1, 2.5, -3e2, 0.1]", [1, 2.5, -300.0, 0.1]),
        (
            b'{"a": {"a": null}, "b": [true, "\\u00e9\xc3\xa9"]}',
            {"a": {"a": None}, "b": [True, "éé"]},
        ),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'{"__proto__": 1}', {"__proto__": 1}),
    ],
)
def test_strict_json_is_read(body: bytes, content: object) -> None:
    """What JSON allows comes out as Python's own reading."""
    assert parse_json(body) == (json.loads(body) if content is None else content)


def test_the_body_is_handed_on_unchecked() -> None:
    """Patients and times reach riskscore as they were sent; it alone judges them."""
    body = b'{"patients": [{"age": "old"}, 7], "times": "soon", "model": "m"}'
    request = parse_predict(body)
    assert request.patients == [{"age": "old"}, 7]
    assert (request.times, request.model, request.problems) == ("soon", "m", ())
    assert request.size == len(body)


def test_times_and_model_may_be_null_or_absent() -> None:
    """Clients that send every key send null for what they leave out."""
    absent = parse_predict(b'{"patients": []}')
    null = parse_predict(b'{"patients": [], "times": null, "model": null}')
    assert (absent.times, absent.model) == (null.times, null.model) == (None, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "body must be an object"),
        (b'"text"', "body must be an object, got 'text'"),
        (b"null", "body must be an object"),
        (b"{}", "patients is missing; give a list of objects, one a patient"),
        (b'{"patients": null}', "patients must be a list"),
        (b'{"patients": {"age": 1}}', "patients must be a list"),
        (b'{"patients": "all"}', "patients must be a list, got 'all'"),
        (b'{"patients": [], "model": 7}', "model must be a text, got 7"),
        (b'{"patient": [], "model": 7}', "patient is not a key of the body; patients is missing"),
    ],
)
def test_a_body_that_cannot_be_handed_on_is_invalid_input(body: bytes, said: str) -> None:
    """Without a list of patients and a model to ask there is nothing for riskscore to check."""
    kind, words = refusal(parse_predict, body)
    assert kind == "invalid-input"
    assert all(part in words for part in said.split("; "))


def test_unknown_keys_wait_for_the_problems_of_the_patients() -> None:
    """An unknown key is a problem, told together with whatever riskscore finds."""
    (problem,) = parse_predict(b'{"patients": [], "time": [6]}').problems
    keys = "patients, times, model, compare, explain"
    assert str(problem) == f"time is not a key of the body; the body takes {keys}"


def test_too_many_patients_or_times_are_too_large() -> None:
    """1,000 patients and 200 times are read, one more is a 413 that says how many came."""
    most = {"patients": [{}] * MAX_PATIENTS, "times": [1] * MAX_TIMES}
    assert len(parse_predict(json.dumps(most).encode()).patients) == MAX_PATIENTS
    patients = json.dumps({"patients": [{}] * (MAX_PATIENTS + 1)}).encode()
    kind, words = refusal(parse_predict, patients)
    assert kind == "too-large"
    assert words.startswith("patients must be at most 1,000, got 1001; ")
    times = json.dumps({"patients": [], "times": [1] * (MAX_TIMES + 1)}).encode()
    kind, words = refusal(parse_predict, times)
    assert kind == "too-large"
    assert words.startswith("times must be at most 200, got 201; ")


@pytest.mark.parametrize(
    ("content_type", "encoding", "said"),
    [
        ("", "", "Content-Type must be application/json; send the header"),
        ("text/plain", "", "must be application/json, got 'text/plain'"),
        ("application/x-www-form-urlencoded", "", "must be application/json"),
        ("multipart/form-data; boundary=x", "", "must be application/json"),
        ("application/jsonp", "", "must be application/json"),
        ("application/json; charset=utf-16", "", "must be UTF-8, got 'utf-16'"),
        ("application/json", "gzip", "Content-Encoding must be absent, got 'gzip'"),
    ],
)
def test_another_type_of_body_is_refused(content_type: str, encoding: str, said: str) -> None:
    """Only plain JSON in UTF-8 is read."""
    kind, words = refusal(check_headers, content_type, encoding)
    assert kind == "unsupported-media-type"
    assert said in words


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_in_utf8_is_taken(content_type: str) -> None:
    """However the header spells it."""
    check_headers(content_type)
    check_headers(content_type, "identity")


async def arriving(chunks: list[bytes], taken: list[int]) -> AsyncIterator[bytes]:
    """Yield chunks, noting the size of each as it is taken."""
    for chunk in chunks:
        taken.append(len(chunk))
        yield chunk


def test_a_body_is_read_up_to_the_limit_and_no_further() -> None:
    """Of an endless body that declares no length, one chunk beyond the limit is taken."""
    taken: list[int] = []
    whole = [b"x" * (MAX_BODY // 2)] * 2
    assert len(asyncio.run(read_body(arriving(whole, taken)))) == MAX_BODY
    taken.clear()
    endless = [b"x" * 65_536] * 1000
    with pytest.raises(Refusal, match="too-large"):
        asyncio.run(read_body(arriving(endless, taken)))
    assert sum(taken) <= MAX_BODY + 65_536


@pytest.mark.parametrize("declared", [str(MAX_BODY + 1), "9" * 5000])
def test_a_body_declared_too_large_is_refused_unread(declared: str) -> None:
    """The header alone is enough."""
    taken: list[int] = []
    with pytest.raises(Refusal, match="too-large"):
        asyncio.run(read_body(arriving([b"x"], taken), declared))
    assert taken == []


def test_the_text_of_a_refusal_holds_nothing_that_was_sent() -> None:
    """Exceptions end up in logs; patients must not."""
    with pytest.raises(Refusal) as caught:
        parse_predict(b'{"patients": "Erika Mustermann"}')
    assert "Erika" not in str(caught.value)


def test_a_reply_spells_out_20_problems_and_counts_all() -> None:
    """A body of thousands of mistakes gets an answer of readable size."""
    body = json.dumps({"patients": [], **{f"key{i}": 1 for i in range(50)}}).encode()
    reply = problem_reply(Refusal("invalid-input", parse_predict(body).problems))
    document = json.loads(reply.body)
    assert (reply.status, document["status"]) == (422, 422)
    assert (document["count"], len(document["problems"])) == (50, 20)
    assert document["detail"].endswith("(and 49 more)")
    assert set(document["problems"][0]) == {"row", "field", "rule", "value", "remedy"}


@pytest.mark.parametrize(
    ("status", "type_", "title"),
    [
        (404, "urn:problem-type:riskscore:not-found", "Nothing is served at this address"),
        (500, "urn:problem-type:riskscore:internal-error", "The service failed"),
        (429, "about:blank", "Too Many Requests"),
    ],
)
def test_an_error_of_another_layer_keeps_its_status(status: int, type_: str, title: str) -> None:
    """It gets our shape, and our type where there is one."""
    reply = foreign_reply(status)
    document = json.loads(reply.body)
    assert reply.status == document["status"] == status
    assert (document["type"], document["title"], document["count"]) == (type_, title, 1)


def test_examples_in_docstrings_hold() -> None:
    """The examples of the module run."""
    assert doctest.testmod(serving.request).failed == 0


@pytest.mark.parametrize("declared", [str(MAX_BODY), ""])
def test_bodies_that_are_arriving_are_bounded(declared: str) -> None:
    """400 of one token took 430 MB; what they had is given back, however they end."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def whole() -> AsyncIterator[bytes]:
        yield b"{}"

    async def refused(arriving: Arriving, holder: str) -> str:
        with pytest.raises(Refusal) as caught:
            await arriving.read(whole(), declared, holder)
        return caught.value.kind

    async def scenario() -> None:
        arriving = Arriving()
        of_one, of_all = MOST_BYTES_OF_ONE // MAX_BODY, MOST_BYTES_OF_ALL // MAX_BODY
        tasks = []
        for i in range(of_all):
            reading = arriving.read(stalled(), declared, f"token {i // of_one}")
            tasks.append(asyncio.ensure_future(reading))
            await asyncio.sleep(0)
            if i == of_one - 1:
                assert await refused(arriving, "token 0") == "too-many-requests"
                assert await arriving.read(whole(), "2", "other") == b"{}"
        assert await refused(arriving, "other") == "overloaded"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await arriving.read(whole(), declared, "token 0") == b"{}"

    asyncio.run(scenario())

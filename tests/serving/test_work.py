"""Whose turn it is, how much may wait, and that nobody works for a client that has gone."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from riskscore import load_model
from serving.catalogue import load_models
from serving.predict import respond
from serving.problems import Refusal
from serving.request import MAX_WEIGHT, PredictRequest
from serving.work import (
    AT_ONCE,
    MOST_JOBS,
    MOST_OF_ALL,
    MOST_OF_ONE,
    OLDEST_EVERY,
    SLICE,
    Work,
    wanted,
    weigh,
)
from tests.conftest import PATIENT
from tests.serving.live_server import Server, serving

HEAVY = AT_ONCE + 1


class Jobs:
    """Work of counted steps that begins when `gate` opens, and writes down whose step it was."""

    def __init__(self) -> None:
        self.work = Work()
        self.gate = threading.Event()
        self.order: list[str] = []

    def steps(self, name: str, n: int) -> Generator[None, None, str]:
        """Return work of n steps."""
        assert self.gate.wait(30)
        for _ in range(n):
            self.order.append(name)
            yield
        return name

    def start(self, name: str, n: int, weight: int, holder: str) -> asyncio.Task[str]:
        """Hand work in."""
        return asyncio.ensure_future(self.work.run(self.steps(name, n), weight, holder))


def test_little_work_does_not_wait() -> None:
    """It is done at once, whatever is under way."""

    async def scenario() -> None:
        jobs = Jobs()
        large = jobs.start("large", 1, HEAVY, "a")
        await asyncio.sleep(0)
        free = Jobs()
        free.gate.set()
        assert await jobs.work.run(free.steps("small", 3), AT_ONCE, "b") == "small"
        assert not large.done()
        jobs.gate.set()
        assert await large == "large"

    asyncio.run(scenario())


def test_the_least_goes_first() -> None:
    """By what the token has under way, then by the work itself, at the next slice."""

    async def scenario() -> list[str]:
        jobs = Jobs()
        tasks = [
            jobs.start("much", 3, 1000 * HEAVY, "a"),
            jobs.start("more of a", 2, HEAVY, "a"),
            jobs.start("some of b", 2, 10 * HEAVY, "b"),
            jobs.start("less of b", 2, 5 * HEAVY, "b"),
        ]
        await asyncio.sleep(0)
        jobs.gate.set()
        await asyncio.gather(*tasks)
        return jobs.order

    order = asyncio.run(scenario())
    others = [name for name in order if name != "much"]
    assert others == ["less of b"] * 2 + ["some of b"] * 2 + ["more of a"] * 2
    assert order.count("much") == 3
    assert order.index("much") == OLDEST_EVERY - 2  # a third turn ends "less of b"; the next is its


def test_a_stream_of_small_requests_keeps_no_large_one_from_its_end() -> None:
    """Of one token, and with another small one ready whenever one has ended."""

    async def scenario() -> None:
        jobs = Jobs()
        large = jobs.start("large", 10, 100 * HEAVY, "a")
        small = [jobs.start("small", 2, HEAVY, "a") for _ in range(2)]
        jobs.gate.set()
        for _ in range(200):
            if large.done():
                break
            await asyncio.wait([large, *small], return_when=asyncio.FIRST_COMPLETED)
            small = [s if not s.done() else jobs.start("small", 2, HEAVY, "a") for s in small]
        assert large.done(), "200 small requests were answered before it"
        share = jobs.order.index("large", 1), jobs.order.count("large"), len(jobs.order)
        assert share[1] == 10
        assert share[2] < 60
        await asyncio.gather(*small)

    asyncio.run(scenario())


def test_what_waits_is_bounded_for_a_token_and_for_all() -> None:
    """429 says that the token, 503 that the service has enough; an idle one takes any request."""

    async def refused(jobs: Jobs, weight: int, holder: str) -> str:
        with pytest.raises(Refusal) as caught:
            await jobs.work.run(jobs.steps("no", 1), weight, holder)
        return caught.value.kind

    async def scenario() -> None:
        jobs = Jobs()
        tasks = [jobs.start("1", 1, MOST_OF_ONE, "a")]
        await asyncio.sleep(0)
        assert await refused(jobs, HEAVY, "a") == "too-many-requests"
        tasks.append(jobs.start("2", 1, MOST_OF_ALL - MOST_OF_ONE - HEAVY, "b"))
        await asyncio.sleep(0)
        assert await refused(jobs, 2 * HEAVY, "c") == "overloaded"
        tasks.append(jobs.start("3", 1, HEAVY, "c"))
        jobs.gate.set()
        assert await asyncio.gather(*tasks) == ["1", "2", "3"]
        assert await jobs.start("4", 1, MOST_OF_ONE, "a") == "4"

        jobs = Jobs()
        tasks = [jobs.start("x", 1, HEAVY, str(i)) for i in range(MOST_JOBS)]
        await asyncio.sleep(0)
        assert await refused(jobs, HEAVY, "d") == "overloaded"
        jobs.gate.set()
        await asyncio.gather(*tasks)

    assert MAX_WEIGHT <= MOST_OF_ONE // 2
    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["gone", "cancelled"])
def test_work_that_nobody_waits_for_is_not_gone_on_with(how: str) -> None:
    """Neither when the client hangs up, nor when its time is over."""

    async def scenario() -> list[str]:
        jobs = Jobs()
        hang_up = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await hang_up.wait()
            return {"type": "http.disconnect"}

        running = jobs.work.run(jobs.steps("left", 1000), 100 * HEAVY, "a")
        request = asyncio.ensure_future(wanted(running, receive))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if how == "gone":
            hang_up.set()
            with pytest.raises(Refusal, match="abandoned"):
                await request
        else:
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        # The place is free: this would be refused beside it.
        other = jobs.start("other", 1, MOST_OF_ONE, "a")
        jobs.gate.set()
        await other
        return jobs.order

    assert asyncio.run(scenario()).count("left") <= 1  # the step that had begun


def test_an_error_ends_its_own_work_alone() -> None:
    """The others are done."""

    def failing() -> Generator[None, None, str]:
        yield
        raise KeyError("no")

    async def scenario() -> None:
        jobs = Jobs()
        jobs.gate.set()
        wrong = asyncio.ensure_future(jobs.work.run(failing(), HEAVY, "a"))
        right = jobs.start("right", 2, HEAVY, "a")
        with pytest.raises(KeyError):
            await wrong
        assert await right == "right"

    asyncio.run(scenario())


def test_weight_is_patients_times_times_levels_and_coalitions(cox_bundle: Path) -> None:
    """Four predictors, two treatments, three horizons; a number that is written counts six."""
    model = load_model(cox_bundle)
    grid = len(model.manifest.times)
    plain = PredictRequest([PATIENT])
    assert weigh(model, plain) == grid + 6 * 5 * len(model.manifest.outcome.horizons)
    assert weigh(model, PredictRequest([PATIENT], times=[1, 2])) == grid + 6 * 5 * 2
    compared = PredictRequest([PATIENT], times=[1], compare=True)
    assert weigh(model, compared) == 3 * grid + 6 * (5 + 3 * 2 + 5)
    explained = PredictRequest([PATIENT], times=[1], explain=True)
    assert weigh(model, explained) == (1 + 2**4) * grid + 6 * 5


def test_slices_make_the_answer_of_one_go(
    cox_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of a slice; problems are those of the whole."""
    models = load_models({"RISKSCORE_MODELS": str(cox_bundle)})
    levels = (("no", "yes"), ("<=3", ">3"))
    patients: list[dict[str, Any]] = [
        {**PATIENT, "extrahepatic_metastasis": a, "tumor_number": b}
        for a in levels[0]
        for b in levels[1]
    ] * 5
    request = PredictRequest(patients, times=[3, 6], compare=True, explain=6)
    whole = respond(models, request)
    assert whole.status == 200
    wrong = PredictRequest([*patients, {**PATIENT, "treatment": "x"}, 7], times=[-1])
    refused = respond(models, wrong)
    fields = [problem["field"] for problem in json.loads(refused.body)["problems"]]
    assert fields == ["times", "treatment", "patient"]
    for size in (1, 3 * weigh(models.get(), request)):
        monkeypatch.setattr("serving.work.SLICE", size)
        text, numbers = _parted(respond(models, request).body)
        assert text == _parted(whole.body)[0]
        # The graph's last bits may depend on how many rows it is given.
        assert numbers == pytest.approx(_parted(whole.body)[1], abs=1e-12)
        assert respond(models, wrong).body == refused.body
    assert size < SLICE


def _parted(body: bytes) -> tuple[Any, list[float]]:
    """Return JSON without its numbers, and those."""
    numbers: list[float] = []
    text = json.loads(body, parse_float=lambda number: numbers.append(float(number)))
    return text, numbers


def test_a_client_that_hangs_up_is_told_of(cox_bundle: Path, tmp_path: Path) -> None:
    """By one line in the audit, with the status 499; the next request is answered."""
    patients = [PATIENT] * 1000
    content = json.dumps({"patients": patients, "times": list(range(1, 21)), "compare": True})
    head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving(str(cox_bundle), tmp_path) as server:
        address = urlsplit(server.url)
        for _ in range(3):
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode())
        assert '"status": 499' in server.printed_with('"refused": "abandoned"')
        _is_answered(server)


def _is_answered(server: Server) -> None:
    content = {"patients": [PATIENT] * 1000, "compare": True}
    reply = httpx.post(f"{server.url}/v1/predict", json=content, timeout=60)
    assert len(reply.json()["predictions"]) == 1000

"""How much a request asks for, and whose turn it is.

A request that is little work is answered at once, on the event loop. Any other waits for its turn
in one thread beside it, and is worked on a slice at a time, the next slice being that of the caller
with the least to do, but every fourth that of the request that came first: one patient is never
behind a thousand, and a thousand come to their end. What is waiting is bounded for each token and
over all. Work whose caller has gone, or has waited too long, is not gone on with.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from riskscore import RiskModel
from serving.problems import Refusal
from serving.request import PredictRequest

__all__ = [
    "AT_ONCE",
    "MOST_OF_ALL",
    "MOST_OF_ONE",
    "OLDEST_EVERY",
    "SLICE",
    "Work",
    "finished",
    "slices",
    "wanted",
    "weigh",
]

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Steps = Generator[None, None, T]
"""Work that can be left off at every `yield`."""

GIVEN = 6
"""What it takes to round and write a number of an answer, in numbers computed."""

AT_ONCE = 2**13
"""Weight up to which a request is answered on the event loop: a few milliseconds."""

SLICE = 2**17
"""Weight of a slice, unless one patient is more: some ten milliseconds."""

OLDEST_EVERY = 4
"""Every so many slices one goes to the request that has waited longest, whatever its size: a stream
of small requests keeps no large one from its end."""

MOST_OF_ONE = 2**28
"""Weight that may wait for one token: two of the heaviest requests, some ten seconds of work."""

MOST_OF_ALL = 2**29
"""Weight that may wait in a process."""

MOST_JOBS = 64
"""Requests that may wait in a process: each is up to 1 MB of patients."""

SWITCH = 0.0005
"""Seconds until the event loop gets its turn while the thread is busy; Python's own are 0.005."""


def weigh(model: RiskModel, request: PredictRequest) -> int:
    """Return the weight of one patient of a request: numbers that are computed or written.

    Patients x times x levels to compare, and x 2^predictors to explain.
    """
    manifest = model.manifest
    if request.times is None and not request.compare and request.explain is False:
        return len(manifest.times) + 5 * GIVEN * len(manifest.outcome.horizons)
    asked = request.times if isinstance(request.times, list) else manifest.outcome.horizons
    times = len(asked)
    rows, given = 1, 5 * times
    treatment = manifest.study.treatment
    if request.compare and treatment is not None:
        rows += len(treatment.levels)
        given += times * (3 * len(treatment.levels) + 5 * (len(treatment.levels) - 1))
    if request.explain is not False:
        rows += 2 ** len(manifest.predictors)
    return rows * len(manifest.times) + GIVEN * given


def slices(n_patients: int, weight: int) -> list[slice]:
    """Return the parts of `n_patients` that are worked on at a time, each of `weight`.

    >>> [(part.start, part.stop) for part in slices(5, SLICE // 2)]
    [(0, 2), (2, 4), (4, 6)]
    """
    size = max(1, SLICE // weight)
    if n_patients <= size:
        return [slice(0, n_patients)]
    return [slice(start, start + size) for start in range(0, n_patients, size)]


@dataclass(eq=False, slots=True)
class _Job:
    steps: Steps[Any]
    weight: int
    holder: str
    outcome: asyncio.Future[Any]


class Work:
    """The work that waits in this process."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._thread = ThreadPoolExecutor(1, "work")
        self._worker: asyncio.Task[None] | None = None

    async def run(self, steps: Steps[T], weight: int, holder: str) -> T:
        """Return what work comes to; where it is little, at once.

        Parameters
        ----------
        steps : generator
            Its value is returned.
        weight : int
            Of the whole.
        holder : str
            Name of the token, "" where none is asked for.

        Raises
        ------
        Refusal
            429 if too much of the token's is waiting already, 503 if too much of everybody's is.
        """
        if weight <= AT_ONCE:
            return finished(steps)
        with self._waiting(steps, weight, holder) as job:
            return await job.outcome  # type: ignore[no-any-return]

    @contextmanager
    def _waiting(self, steps: Steps[Any], weight: int, holder: str) -> Iterator[_Job]:
        """Hold a place; given up, the work is not gone on with."""
        self._admit(weight, holder)
        job = _Job(steps, weight, holder, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._worker is None:
            sys.setswitchinterval(SWITCH)
            self._worker = asyncio.get_running_loop().create_task(self._work())
        try:
            yield job
        finally:
            with suppress(ValueError):
                self._jobs.remove(job)

    def _admit(self, weight: int, holder: str) -> None:
        own = self._of(holder)
        if own and own + weight > MOST_OF_ONE:
            rule = "must wait: as much work of this token is under way as it may have"
            remedy = "wait for the answers, or send fewer patients at a time"
            raise Refusal.of("too-many-requests", "request", rule, None, remedy)
        every = sum(job.weight for job in self._jobs)
        if every and (every + weight > MOST_OF_ALL or len(self._jobs) >= MOST_JOBS):
            rule = "must wait: the service has as much work as it can do in time"
            raise Refusal.of("overloaded", "request", rule, None, "send it again in some seconds")

    def _of(self, holder: str) -> int:
        return sum(job.weight for job in self._jobs if job.holder == holder)

    async def _work(self) -> None:
        """Do a slice after the other, until there is nothing left."""
        loop = asyncio.get_running_loop()
        for turn in count(1):
            if not self._jobs:
                break
            if turn % OLDEST_EVERY:
                job = min(self._jobs, key=lambda job: (self._of(job.holder), job.weight))
            else:
                job = self._jobs[0]
            try:
                ended, value = await loop.run_in_executor(self._thread, _step, job.steps)
            except Exception as error:
                ended, value = True, error
            if ended and not job.outcome.done():
                self._jobs.remove(job)
                if isinstance(value, Exception):
                    job.outcome.set_exception(value)
                else:
                    job.outcome.set_result(value)
        self._worker = None


async def wanted(answer: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return an answer, as long as its client is there to get it.

    Parameters
    ----------
    answer : coroutine
        Cancelled when the client goes.
    receive : callable
        ASGI's, from which the whole body has been read.

    Raises
    ------
    Refusal
        499 if the client has gone; nobody reads it, but the audit tells it.
    """
    waiting = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        rule = "was given up: its client has gone"
        raise Refusal.of("abandoned", "request", rule, None, "wait for the answer")
    finally:
        waiting.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def finished(steps: Steps[T]) -> T:
    """Return what work comes to that is done without a break."""
    while True:
        ended, value = _step(steps)
        if ended:
            return value  # type: ignore[no-any-return]


def _step(steps: Steps[Any]) -> tuple[bool, Any]:
    """Return whether work has ended with this step, and what it came to."""
    try:
        next(steps)
    except StopIteration as end:
        return True, end.value
    return False, None

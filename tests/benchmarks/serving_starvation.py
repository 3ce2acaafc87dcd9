"""What one patient waits for while others ask for the most there is, and hang up.

24 of the heaviest requests to explain are sent at once, each on a connection of its own; half hang
up after a moment, and more come in their place. Meanwhile one client asks for one patient, in turn
to predict and to compare. Compared with the same client alone.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from riskscore import load_model
from riskscore.bundle import shipped_bundles
from serving.request import MAX_WEIGHT, PredictRequest
from serving.work import weigh
from tests.benchmarks.serving_load import MODEL
from tests.benchmarks.serving_server import started

__all__ = ["starved"]

HEAVY = "hcc-tace/os/cox"
ABUSERS, SECONDS = 24, 20.0


def heaviest() -> bytes:
    """Return the largest request to explain that is taken."""
    model = load_model(HEAVY)
    patient = model.manifest.typical_patient
    one = weigh(model, PredictRequest([patient], explain=True))
    patients = [patient] * min(1000, MAX_WEIGHT // one)
    return json.dumps({"model": HEAVY, "patients": patients, "explain": True}).encode()


def starved() -> Iterator[str]:
    """Yield a line a figure."""
    bundles = shipped_bundles()
    models = os.pathsep.join(str(bundles[name]) for name in (MODEL, HEAVY))
    with (
        tempfile.TemporaryDirectory() as name,
        started("serving.service:RiskScore", Path(name), {"RISKSCORE_MODELS": models}) as server,
    ):
        workers = psutil.Process(server.pid).children(True)
        url, port = f"{server.url}/v1/predict", int(server.url.rsplit(":", 1)[1])
        yield from _told("alone", *_one_patient(url, SECONDS / 2))
        before = sum(worker.memory_info().rss for worker in workers)
        end, seen = threading.Event(), Counter[str]()
        most = [before]
        content = heaviest()
        threads = [
            threading.Thread(target=_abuse, args=(port, content, i % 2 == 0, end, seen))
            for i in range(ABUSERS)
        ]
        threads.append(threading.Thread(target=_watch, args=(workers, end, most)))
        for thread in threads:
            thread.start()
        yield from _told(f"beside {ABUSERS}", *_one_patient(url, SECONDS))
        end.set()
        for thread in threads:
            thread.join()
        yield f"the {ABUSERS}: {', '.join(f'{n:,} {what}' for what, n in seen.most_common())}"
        yield f"memory: {before / 1e6:.0f} MB before, {most[0] / 1e6:.0f} MB at most"
        began = time.monotonic()
        with httpx.Client(timeout=60) as client:
            status = client.post(url, json=_request("compare")).status_code
        took = time.monotonic() - began
        yield f"one patient's compare afterwards: {status} after {took:.3f} s"


def _request(what: str) -> dict[str, object]:
    patients = [load_model(MODEL).manifest.typical_patient]
    return {"patients": patients} | ({"compare": True} if what == "compare" else {})


def _one_patient(url: str, seconds: float) -> tuple[dict[str, list[float]], Counter[str]]:
    """Return how long each answer took, by what was asked, and what was no answer."""
    requests = {what: _request(what) for what in ("predict", "compare")}
    took: dict[str, list[float]] = {what: [] for what in requests}
    wrong = Counter[str]()
    until = time.monotonic() + seconds
    with httpx.Client(timeout=60) as client:
        while time.monotonic() < until:
            for what, request in requests.items():
                began = time.perf_counter()
                reply = client.post(url, json=request)
                took[what].append(time.perf_counter() - began)
                if reply.status_code != 200:
                    wrong[f"{what} {reply.status_code}"] += 1
            time.sleep(0.005)
    return took, wrong


def _told(who: str, took: dict[str, list[float]], wrong: Counter[str]) -> Iterator[str]:
    for what, seconds in took.items():
        p99 = statistics.quantiles(seconds, n=100)[98]
        yield (
            f"one patient's {what} {who}: {len(seconds)} answers, median "
            f"{1e3 * statistics.median(seconds):.1f} ms, p99 {1e3 * p99:.1f} ms, longest "
            f"{1e3 * max(seconds):.1f} ms"
        )
    if wrong:
        yield f"  of which no answer: {dict(wrong)}"


def _abuse(
    port: int, content: bytes, hangs_up: bool, end: threading.Event, seen: Counter[str]
) -> None:
    """Ask again and again, with as little work on this side as can be."""
    head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
    while not end.is_set():
        patience = 0.5 if hangs_up else 60
        with socket.create_connection(("127.0.0.1", port), patience) as client:
            try:
                client.sendall(request)
                seen[client.recv(65_536)[9:12].decode() or "closed"] += 1
            except TimeoutError:
                seen["hung up"] += 1
        end.wait(0.5)


def _watch(workers: list[psutil.Process], end: threading.Event, most: list[int]) -> None:
    while not end.is_set():
        most[0] = max(most[0], sum(worker.memory_info().rss for worker in workers))
        end.wait(0.25)


if __name__ == "__main__":
    for line in starved():
        print(line, flush=True)
    sys.exit(0)

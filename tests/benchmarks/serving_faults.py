"""What a client sees while the process that answers is killed, and for how long.

Requests come one after another on several connections, each answer compared with Python's; one
second in, the process gets SIGKILL. With one process, then with two.
"""

from __future__ import annotations

import json
import os
import signal
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
from tests.benchmarks.serving_load import MODEL
from tests.benchmarks.serving_server import started

__all__ = ["killed"]

CLIENTS, SECONDS = 8, 10.0


def killed(workers: int) -> Iterator[str]:
    """Yield what was seen while one of `workers` processes was killed."""
    model = load_model(MODEL)
    body = {"patients": [model.manifest.typical_patient]}
    right = json.loads(json.dumps(model.answer(body["patients"]).to_records()))
    seen: Counter[str] = Counter()
    gaps: list[float] = []
    lock = threading.Lock()
    end = threading.Event()

    def ask(url: str) -> None:
        last = time.monotonic()
        with httpx.Client(timeout=10) as client:
            while not end.is_set():
                try:
                    reply = client.post(url, json=body)
                    good = reply.status_code == 200 and reply.json()["predictions"] == right
                    told = "right" if good else f"status {reply.status_code}"
                    told = "WRONG ANSWER" if reply.status_code == 200 and not good else told
                except httpx.HTTPError as error:
                    told = type(error).__name__
                    time.sleep(0.02)
                with lock:
                    seen[told] += 1
                    if told == "right":
                        gaps.append(time.monotonic() - last)
                        last = time.monotonic()

    bundle = {"RISKSCORE_MODELS": str(shipped_bundles()[MODEL])}
    with tempfile.TemporaryDirectory() as name:
        variables = {**bundle, "RISKSCORE_WORKERS": str(workers)}
        with started("serving.service:RiskScore", Path(name), variables) as server:
            time.sleep(2)
            asking = [
                threading.Thread(target=ask, args=(f"{server.url}/v1/predict",))
                for _ in range(CLIENTS)
            ]
            for thread in asking:
                thread.start()
            time.sleep(1)
            serving = [
                child
                for child in psutil.Process(server.pid).children(True)
                if "--worker-id" in " ".join(child.cmdline())
            ]
            os.kill(serving[0].pid, signal.SIGKILL)
            time.sleep(SECONDS)
            end.set()
            for thread in asking:
                thread.join()
            told = ", ".join(f"{n:,} {what}" for what, n in seen.most_common())
            yield f"{workers} process(es), {len(serving)} found: {told}"
            longest = max(gaps, default=SECONDS)
            yield f"  longest wait of a client between right answers: {longest:.2f} s"
            metrics = httpx.get(f"{server.url}/metrics").text
            lines = [x for x in metrics.splitlines() if x.startswith("riskscore_predictions_total")]
            yield f"  counted in the end: {' '.join(lines)}"


if __name__ == "__main__":
    for processes in (1, 2):
        for line in killed(processes):
            print(line, flush=True)

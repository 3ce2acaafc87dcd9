"""Ten minutes at full load: errors, and how far the memory of the process that answers grows.

32 connections of `wrk` (Debian's package) that never pause. The growth is from the end of the first
minute, when everything has been loaded and filled, to the end of the last.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from riskscore import load_model
from riskscore.bundle import shipped_bundles
from tests.benchmarks.serving_load import MODEL, SCRIPT, load
from tests.benchmarks.serving_server import started

__all__ = ["soak"]

SECONDS = 30


def soak(minutes: float = 10) -> Iterator[str]:
    """Yield a line every half a minute, then what came of all."""
    if shutil.which("wrk") is None:
        yield "needs wrk (apt-get install wrk)"
        return
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        body = json.dumps({"patients": [load_model(MODEL).manifest.typical_patient]})
        (home / "post.lua").write_text(SCRIPT % body)
        bundle = str(shipped_bundles()[MODEL])
        with started("serving.service:RiskScore", home, {"RISKSCORE_MODELS": bundle}) as server:
            workers = psutil.Process(server.pid).children(True)
            requests = errors = 0.0
            memory = []
            for i in range(round(minutes * 60 / SECONDS)):
                rate, _, p99, wrong = load(f"{server.url}/v1/predict", 32, home, SECONDS)
                requests, errors = requests + rate * SECONDS, errors + wrong
                memory.append(sum(worker.memory_info().rss for worker in workers) / 1e6)
                minute = (i + 1) * SECONDS / 60
                yield f"{minute:4.1f} min  {rate:6,.0f} /s  p99 {p99:6.1f} ms  {memory[-1]:6.1f} MB"
            same = {w.pid for w in workers} == {
                w.pid for w in psutil.Process(server.pid).children(True)
            }
            growth = memory[-1] / memory[60 // SECONDS - 1] - 1
            yield (
                f"{requests:,.0f} requests, {errors:.0f} errors; memory grew by {growth:.1%} after "
                f"the first minute; {'no' if same else 'A'} process was replaced"
            )


if __name__ == "__main__":
    for line in soak(float(sys.argv[1]) if len(sys.argv) > 1 else 10):
        print(line, flush=True)

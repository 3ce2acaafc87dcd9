"""The service under load, beside empty BentoML endpoints, by `wrk` (Debian's package).

`serving_empty` has what they do. The ratios that are asked for are against the native one: the same
request read and the same response written as BentoML does it, with the same middleware.

All run at once and are asked in turn, in short rounds, so that other work on the machine meets them
alike; a figure is the median over the rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil

from riskscore import load_model
from riskscore.bundle import shipped_bundles
from tests.benchmarks.serving_server import started

__all__ = ["MODEL", "SCRIPT", "load", "measure"]

ROUNDS, SECONDS = 9, 2
MODEL = "deb-tace-hcc/os/cox"
NATIVE, UNTUNED, BYTES = "empty, tuned", "empty, untuned", "bytes, tuned"

SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def measure() -> Iterator[str]:
    """Yield a line a figure."""
    if shutil.which("wrk") is None:
        yield "needs wrk (apt-get install wrk)"
        return
    model = load_model(MODEL)
    body = json.dumps({"patients": [model.manifest.typical_patient]})
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "post.lua").write_text(SCRIPT % body)
        bundle = str(shipped_bundles()[MODEL])
        with started("serving.service:RiskScore", home, {"RISKSCORE_MODELS": bundle}) as server:
            reply = httpx.post(f"{server.url}/v1/predict", json=json.loads(body)).content
        (home / "reply.json").write_bytes(reply)
        empty = "tests.benchmarks.serving_empty:Empty"
        given = {"EMPTY_REPLY": str(home / "reply.json")}
        tuned = {**given, "EMPTY_TUNED": "1"}
        kinds = {
            "service": ("serving.service:RiskScore", {"RISKSCORE_MODELS": bundle}),
            NATIVE: (empty, tuned),
            UNTUNED: (empty, given),
            BYTES: (empty, {**tuned, "EMPTY_KIND": "bytes"}),
        }
        rounds: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in kinds}
        with ExitStack() as stack:
            servers = {}
            for kind, (service, variables) in kinds.items():
                own = home / kind
                own.mkdir()
                servers[kind] = stack.enter_context(started(service, own, variables))
                load(f"{servers[kind].url}/v1/predict", 32, home, 2)
            for _ in range(ROUNDS):
                for kind, server in servers.items():
                    url = f"{server.url}/v1/predict"
                    _, median, p99, _ = load(url, 1, home, SECONDS)
                    rate, _, _, errors = load(url, 32, home, SECONDS)
                    workers = psutil.Process(server.pid).children(True)
                    rss = sum(worker.memory_info().rss for worker in workers)
                    rounds[kind].append((median, p99, rate, rss / 1e6, errors))
        yield "kind             median ms, 1   p99 ms, 1   requests/s, 32   memory MB   errors"
        for kind, found in rounds.items():
            median, p99, rate, rss, _ = map(statistics.median, zip(*found, strict=True))
            errors = sum(f[4] for f in found)
            yield f"{kind:16} {median:12.2f} {p99:11.2f} {rate:16,.0f} {rss:11.0f} {errors:8.0f}"
        for other in (NATIVE, UNTUNED, BYTES):
            pairs = list(zip(rounds["service"], rounds[other], strict=True))
            median, p99, rate = (statistics.median(a[i] / b[i] for a, b in pairs) for i in range(3))
            yield f"service / {other}: median {median:.2f}, p99 {p99:.2f}, requests/s {rate:.2f}"


def load(url: str, connections: int, home: Path, seconds: int) -> tuple[float, float, float, float]:
    """Return requests a second, median and 99th percentile in milliseconds, and errors."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    printed = subprocess.run(
        [*command, "-s", str(home / "post.lua"), url], capture_output=True, text=True, check=True
    ).stdout
    found = dict(re.findall(r"(50|99)%\s+([\d.]+\w+)", printed))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert rate is not None, printed
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    lost = re.findall(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed
    )
    errors = float(bad[1] if bad else 0) + sum(map(float, lost[0] if lost else ()))
    return float(rate[1]), _ms(found["50"]), _ms(found["99"]), errors


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


if __name__ == "__main__":
    print(time.strftime("%Y-%m-%d"))
    for line in measure():
        print(line, flush=True)
    sys.exit(0)

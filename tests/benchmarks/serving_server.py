"""A server in a process of its own, for the benchmarks of the service."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

__all__ = ["Started", "started"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Started:
    """A running server."""

    url: str
    pid: int
    log: Path


@contextmanager
def started(service: str, home: Path, variables: Mapping[str, str]) -> Iterator[Started]:
    """Serve until the block ends; what is printed goes to a file in `home`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENTOML", "RISKSCORE"))}
    log = home / "server.log"
    command = [sys.executable, "-m", "bentoml", "serve", service, "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**kept, "BENTOML_HOME": str(home), **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                if httpx.get(f"{url}/readyz", timeout=5).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        else:
            raise RuntimeError(log.read_text(errors="replace"))
        yield Started(url, process.pid, log)
    finally:
        process.terminate()
        process.wait(timeout=60)

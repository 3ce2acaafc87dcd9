"""Start and stop a real server process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

ROOT = Path(__file__).parents[2]

ATTEMPTS = 240
"""How often readiness is asked for, a quarter of a second apart, before the test gives up."""


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the file that gets all it prints."""

    url: str
    log: Path
    pid: int = 0

    def printed(self) -> str:
        """Return all the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def printed_with(self, line: str) -> str:
        """Return what was printed up to when `line` stood there: a log comes after its answer."""
        for _ in range(ATTEMPTS):
            if line in (printed := self.printed()):
                return printed
            time.sleep(0.05)
        pytest.fail(f"the server never printed {line!r}:\n{self.printed()}")


def environment(models: str, home: Path) -> dict[str, str]:
    """Return the environment of a server: nothing of BentoML's is taken from the caller's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENTOML", "RISKSCORE"))}
    own = {"RISKSCORE_MODELS": models} if models else {}
    return {**kept, **own, "BENTOML_HOME": str(home)}


def command(port: int) -> list[str]:
    """Return the command that serves on `port`."""
    return [
        sys.executable, "-m", "bentoml", "serve", "serving.service:RiskScore", "--port", str(port),
    ]  # fmt: skip


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BENTOML")}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@contextmanager
def serving(
    models: str,
    home: Path,
    options: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    start: Sequence[str] = (),
    folder: Path = ROOT,
) -> Iterator[Server]:
    """Serve until the block ends, with more options and variables.

    `start` is another command than `command`'s, without its port; `folder` is where it runs.
    """
    port = free_port()
    started = [*start, "--port", str(port)] if start else command(port)
    url = f"http://127.0.0.1:{port}"
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*started, *options],
            cwd=folder,
            env={**environment(models, home), **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(url, log, process.pid)
    try:
        _wait_until_ready(process, server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], server: Server) -> None:
    for _ in range(ATTEMPTS):
        try:
            if httpx.get(f"{server.url}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        try:
            process.wait(timeout=0.25)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the server did not get ready:\n{server.printed()}")

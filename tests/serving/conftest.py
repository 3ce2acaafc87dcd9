"""A real server process, and a client of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.live_server import ROOT, Server, environment, serving


@pytest.fixture(scope="session")
def server(
    cox_bundle: Path, forest_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve the Cox bundle (the default) and the forest."""
    models = os.pathsep.join([str(cox_bundle), str(forest_bundle)])
    with serving(models, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Connect to the server."""
    with httpx.Client(base_url=server.url, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="session")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a Bento from the checkout, and return its folder."""
    home = tmp_path_factory.mktemp("bento")
    subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT, env=environment("", home) | {"BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True, timeout=300, check=True,
    )  # fmt: skip
    return next((home / "bentos" / "riskscore").glob("*/bento.yaml")).parent

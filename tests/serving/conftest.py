"""A real server process, and a client of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.live_server import Server, serving


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

"""Where the service listens: the HTTP port alone, however it is started."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from riskscore.bundle import shipped_bundles
from serving.bento import TRIED, VersionError, check_versions
from tests.serving.live_server import ROOT, Server, command, environment, free_port, serving
from tests.serving.test_guard import line

BENTOML = [sys.executable, "-m", "bentoml"]


def sockets(server: Server) -> set[str]:
    """Return what the processes of a server listen on, or could be sent datagrams at."""
    first = psutil.Process(server.pid)
    open_ends = set()
    for process in (first, *first.children(recursive=True)):
        for end in process.net_connections("all"):
            if end.family.name == "AF_UNIX":
                if end.laddr:  # without an address nobody can connect
                    open_ends.add(f"unix {end.laddr}")
            elif end.status in (psutil.CONN_LISTEN, psutil.CONN_NONE) and not end.raddr:
                open_ends.add(f"{end.type.name} {end.laddr.ip} {end.laddr.port}")
    return open_ends


def recipe_of_make_serve() -> list[str]:
    """Return the command of `make serve`."""
    recipe = re.search(r"^serve:.*\n\t@?(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    words = [word for word in recipe[1].split() if "=" not in word]
    assert words[0] == "$(BIN)/bentoml"
    return words[1:]


def command_of_image() -> list[str]:
    """Return the command of the image, its port left out."""
    recipe = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert recipe is not None
    words: list[str] = json.loads(recipe[1])
    assert words[0] == "bentoml"
    assert words[-2:] == ["--port", "3000"]
    return words[1:-2]


def test_make_serve_listens_on_the_http_port_alone(tmp_path: Path) -> None:
    """BentoML's supervisor would open two more, one of which takes commands from anybody."""
    start = [*BENTOML, *recipe_of_make_serve()]
    variables = {"RISKSCORE_WORKERS": "2"}
    with serving("", tmp_path, start=start, variables=variables) as server:
        assert sockets(server) == {f"SOCK_STREAM 127.0.0.1 {urlsplit(server.url).port}"}


def test_the_image_listens_on_the_http_port_alone(tmp_path: Path) -> None:
    """Its command, here without its container."""
    tokens = tmp_path / "tokens"
    tokens.write_text(line("all", "A"))
    start = [*BENTOML, *command_of_image()]
    variables = {"RISKSCORE_TOKENS_FILE": str(tokens)}
    with serving("", tmp_path, start=start, variables=variables) as server:
        assert sockets(server) == {f"SOCK_STREAM 0.0.0.0 {urlsplit(server.url).port}"}


def test_a_built_bento_listens_on_the_http_port_alone(bento: Path, tmp_path: Path) -> None:
    """It is served from a folder that holds nothing of the checkout, cards of all models too."""
    start = [*BENTOML, "serve", str(bento)]
    with serving("", tmp_path, start=start, folder=tmp_path) as server:
        assert sockets(server) == {f"SOCK_STREAM 127.0.0.1 {urlsplit(server.url).port}"}
        for name in shipped_bundles():
            card = httpx.get(f"{server.url}/v1/models/{name}/card")
            assert card.headers["Content-Type"] == "text/html; charset=utf-8", name


def test_reloading_is_refused(tmp_path: Path) -> None:
    """The process that watches the files would send its commands to the control port."""
    run = subprocess.run(
        [*command(free_port()), "--reload"], cwd=ROOT, env=environment("", tmp_path),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "--reload needs a control port" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_another_version_is_refused(tmp_path: Path) -> None:
    """In one line with the remedy, by the command itself: nothing has started to listen."""
    with pytest.raises(VersionError, match=r"bentoml 1\.4\.40 is installed"):
        check_versions(lambda package: {**TRIED, "bentoml": "1.4.40"}[package])
    (tmp_path / "kantoku-9.9.dist-info").mkdir()
    (tmp_path / "kantoku-9.9.dist-info" / "METADATA").write_text("Name: kantoku\nVersion: 9.9\n")
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = subprocess.run(
        command(free_port()), cwd=ROOT, env={**environment("", tmp_path), **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "kantoku 9.9 is installed, and the service was tried with" in run.stderr
    assert "pip install -r serving/requirements.lock" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_the_versions_tried_are_those_installed_with_the_service() -> None:
    """The extra and the lock say the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["optional-dependencies"]["serving"]
    lock = (ROOT / "serving" / "requirements.lock").read_text()
    for package, tried in TRIED.items():
        assert f"{package}=={tried}" in asked
        assert f"\n{package}=={tried} " in lock

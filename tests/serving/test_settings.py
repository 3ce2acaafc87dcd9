"""Settings of the environment: what is wrong is said, with what would be right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from riskscore import BundleError
from serving.catalogue import load_models
from serving.settings import NAMES, SettingError, check_names, seconds, switch, workers
from tests.serving.live_server import ROOT, command, environment, free_port

WORKERS, TIMEOUT, APPROVED = "RISKSCORE_WORKERS", "RISKSCORE_TIMEOUT", "RISKSCORE_REQUIRE_APPROVED"


def test_right_settings_are_taken_and_missing_ones_have_defaults() -> None:
    """Spaces around a value are nobody's intention."""
    assert [workers({}), workers({WORKERS: " 2 "}), workers({WORKERS: "256"})] == [1, 2, 256]
    assert [seconds({}), seconds({TIMEOUT: "0.5"}), seconds({TIMEOUT: "3600"})] == [30, 0.5, 3600]
    assert [switch("X", {}), switch("X", {"X": "0"}), switch("X", {"X": "1"})] == [
        False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["0", "-1", "257", "abc", "1.5", "\u0663", "9" * 5000])
def test_a_number_of_workers_is_1_to_256(value: str) -> None:
    """Nothing else is guessed at."""
    rule = "RISKSCORE_WORKERS must be a whole number of 1 to 256, got "
    with pytest.raises(SettingError, match=rule):
        workers({WORKERS: value})


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "3601", "x", "1e400"])
def test_a_time_out_is_a_time(value: str) -> None:
    """In seconds, above 0."""
    rule = "RISKSCORE_TIMEOUT must be seconds, above 0 and at most 3600, got "
    with pytest.raises(SettingError, match=rule):
        seconds({TIMEOUT: value})


@pytest.mark.parametrize("value", ["yes", "true", "2", "-"])
def test_a_switch_is_0_or_1(value: str) -> None:
    """What an operator meant by another word is not guessed at, least of all about approval."""
    rule = f"RISKSCORE_REQUIRE_APPROVED must be 0 or 1, got '{value}'; set it to 1"
    with pytest.raises(SettingError, match=rule):
        load_models({APPROVED: value})


def test_approval_that_no_model_has_is_said() -> None:
    """The shipped models are drafts."""
    with pytest.raises(BundleError, match="REQUIRE_APPROVED is 1, and no model that is shipped"):
        load_models({APPROVED: "1"})


KUBERNETES = """
RISKSCORE_SERVICE_HOST RISKSCORE_SERVICE_PORT RISKSCORE_SERVICE_PORT_HTTP RISKSCORE_PORT
RISKSCORE_PORT_3000_TCP RISKSCORE_PORT_3000_TCP_PROTO RISKSCORE_PORT_3000_TCP_PORT
RISKSCORE_PORT_3000_TCP_ADDR RISKSCORE_WEB_SERVICE_HOST RISKSCORE_WEB_PORT_80_TCP_ADDR
"""


def test_variables_that_nothing_reads_are_refused() -> None:
    """But those that Kubernetes adds for a service of that name, and other programs' own."""
    check_names(dict.fromkeys([*NAMES, *KUBERNETES.split(), "PATH", "BENTOML_PORT"], "x"))
    for name in ("RISKSCORE_MODEL", "RISKSCORE_REQUIRE_APPROVAL", "RISKSCORE_", "RISKSCORE_HOST"):
        with pytest.raises(SettingError, match=rf"{name} is no setting of this service; it reads "):
            check_names({name: "1"})
    with pytest.raises(SettingError, match="RISKSCORE_A, RISKSCORE_B are no settings"):
        check_names({"RISKSCORE_B": "", "RISKSCORE_A": ""})


def test_every_setting_is_documented() -> None:
    """In the service's own table."""
    text = (ROOT / "serving" / "service.py").read_text()
    assert all(f"\n`{name}` " in text for name in NAMES)


def test_models_that_name_nothing_are_refused() -> None:
    """A list of nothing is not the list of all."""
    with pytest.raises(SettingError, match="RISKSCORE_MODELS must be directories of bundles or"):
        load_models({"RISKSCORE_MODELS": ":"})


def test_a_misspelt_variable_stops_the_command(tmp_path: Path) -> None:
    """One line, and no server."""
    done = subprocess.run(
        command(free_port()), cwd=ROOT,
        env={**environment("", tmp_path), "RISKSCORE_REQUIRE_APPROVAL": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "RISKSCORE_REQUIRE_APPROVAL is no setting" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("name", "value"), [(WORKERS, "abc"), (TIMEOUT, "-1"), (APPROVED, "yes")])
def test_the_command_says_so_without_a_traceback(tmp_path: Path, name: str, value: str) -> None:
    """One line, and no server."""
    done = subprocess.run(
        command(free_port()),
        cwd=ROOT,
        env={**environment("", tmp_path), name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"{name} must be" in printed
    assert f"got '{value}'" in printed
    assert "Traceback" not in printed

"""Validation that was stopped goes on where it was, and gives what it would have given."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskscore.errors import InputError
from tests.conftest import simulate
from tests.training.test_validation import cohort_of
from training.__main__ import main
from training.fit import Settings
from training.validation import resampling
from training.validation.figures import Figures
from training.validation.keeping import Kept, fingerprint, keeping
from training.validation.resampling import replicate
from training.validation.validating import validate


@dataclass(frozen=True)
class Noted:
    """A replicate that tells its number in every kind of result, and writes down that it ran."""

    log: str
    fails: tuple[int, ...] = ()
    stops_at: int = -1

    def __call__(self, number: int) -> tuple[Any, ...]:
        """Run, fail or be stopped."""
        if number == self.stops_at and not Path(self.log + ".stopped").exists():
            Path(self.log + ".stopped").touch()
            raise KeyboardInterrupt
        with open(self.log, "a") as log:
            log.write(f"{number}\n")
        if number in self.fails:
            raise ValueError(f"{number} cannot be done")
        odd = np.array([number / 3, np.nan, np.inf])
        figures = Figures(odd, odd[:, None], odd[:0], np.array([number > 3]))
        return figures, number, {"risk": odd, "n": number, "none": None}

    def ran(self) -> list[int]:
        """Return the numbers that ran since the last time."""
        lines = Path(self.log).read_text().split()
        Path(self.log).unlink()
        return [int(line) for line in lines]


@pytest.mark.parametrize("fails", [(), (0, 1, 5)])
def test_only_what_is_missing_is_done(
    fails: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kept replicates are not done again but for the first, and come back as they were."""
    one, file = Noted(str(tmp_path / "log"), fails, stops_at=7), tmp_path / "work.partial"
    with keeping(file):
        stopped = replicate(one, 10, 1)
    assert (stopped.stopped, len(stopped.results)) == (True, 7 - len(fails))
    assert one.ran() == list(range(7))
    told = capsys.readouterr().err
    assert f"of 10 resamples are kept in {file}; the same command does the rest" in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with keeping(file):
        found = replicate(one, 12, 1)
    first = 2 if fails else 0
    assert one.ran() == [*range(first + 1), *range(7, 12)]
    assert not file.exists()
    whole = replicate(one, 12, 1)
    assert not found.stopped
    assert found.failed == whole.failed
    assert repr(found.results) == repr(whole.results)
    assert isinstance(found.results[3][0], Figures)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("cox", "bootstrap"), ("forest", "632plus"), ("cox", "cv"), ("cox", "iecv")],
)
def test_every_method_gives_what_it_gives_at_one_go(
    kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after each third fit again and again: to the last bit."""
    cohort = cohort_of(simulate(60, 3))
    settings = Settings(trees=10, min_leaf=5, n_jobs=1)
    asked: dict[str, Any] = {"replicates": 5, "folds": 3, "repeats": 2}
    asked["column"] = np.arange(60) % 3
    whole = validate(cohort, kind, settings, method, **asked)
    honest, fits = resampling._try, [0]

    def tried(one: Any, number: int) -> Any:
        fits[0] += 1
        if fits[0] % 3 == 0:
            raise KeyboardInterrupt
        return honest(one, number)

    monkeypatch.setattr(resampling, "_try", tried)
    for _ in range(12):
        with keeping(tmp_path / "work.partial") as kept:
            try:
                found = validate(cohort, kind, settings, method, **asked)
            except KeyboardInterrupt:  # before there was enough for an answer
                assert kept.stopped
        if not kept.stopped:
            break
    assert json.dumps(found, sort_keys=True) == json.dumps(whole, sort_keys=True)


RUN = """
import signal
# Started in the background, a shell's children ignore Ctrl-C unless told.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from training.__main__ import main
from training.validation import keeping, resampling
keeping.SAVE_EVERY, resampling.SPREAD_FROM = 0.2, {spread}
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("spread", [0, 1000], ids=["processes", "one process"])
def test_a_stopped_command_says_so_and_the_same_command_goes_on(
    spread: int, tmp_path: Path
) -> None:
    """A real Ctrl-C: status 130, figures of what is there, and then the figures of the whole."""
    simulate(200, 5).to_csv(tmp_path / "patients.csv", index=False)
    file, found = tmp_path / "found.json.partial", tmp_path / "found.json"
    asked = ["validate", "--study", "deb-tace-hcc", "--predictors", "age,treatment"]
    asked += ["--cohort", str(tmp_path / "patients.csv"), "--outcome", "os", "--model", "forest"]
    asked += ["--method", "632plus", "--replicates", "24", "--trees", "50"]
    running = subprocess.Popen(
        [sys.executable, "-c", RUN.format(spread=spread), *asked, "--out", str(found)],
        text=True, process_group=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not file.exists() and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "stopped after" in out
    assert f"of 24 resamples are kept in {file}" in err
    assert "Traceback" not in err
    assert json.loads(found.read_bytes())["replicates"]["stopped_early"]
    assert main([*asked, "--out", str(found)]) == 0
    assert not file.exists()
    assert main([*asked, "--out", str(tmp_path / "whole.json")]) == 0
    assert found.read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.mark.parametrize(
    ("age", "seed", "rule", "got"),
    [
        (1.0, 0, "must be of the same work", "other cohort"),
        (0.0, 1, "must be of the same work", "other procedure, seed"),
    ],
)
def test_what_other_work_left_is_refused(
    age: float, seed: int, rule: str, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And left alone: it names what is not the same."""
    frame, file = simulate(90, 3), tmp_path / "work.partial"
    _stop_after(2, monkeypatch)
    with keeping(file):
        validate(cohort_of(frame), "cox", Settings(n_jobs=1), "bootstrap", replicates=4)
    monkeypatch.undo()
    before = file.read_bytes()
    other = cohort_of(frame.assign(age=frame["age"] + age))
    with pytest.raises(InputError) as refused, keeping(file):
        validate(other, "cox", Settings(n_jobs=1, seed=seed), "bootstrap", replicates=4)
    assert rule in str(refused.value)
    assert got in str(refused.value)
    assert str(file) in str(refused.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a file of ours", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """It says what to do, and leaves the file."""
    file = tmp_path / "work.partial"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"must be what a stopped run left.*or remove it"):
        Kept.open(file, {}, 0, (1,))
    assert file.read_bytes() == content


def test_results_that_do_not_repeat_are_refused(tmp_path: Path) -> None:
    """Another machine's last bits would make the answer depend on where the work was stopped."""
    kept = Kept(tmp_path / "work.partial", {"seed": "1"})
    kept.add(0, ((np.array([0.1]),), None))
    kept.save()
    with pytest.raises(InputError, match="must repeat to the last bit"):
        Kept.open(kept.path, kept.about, 0, (np.array([0.1 + 1e-16]) + 1e-16,))


def test_a_method_without_replicates_leaves_what_another_left(tmp_path: Path) -> None:
    """A file beside `--out` may be that of hours of other work."""
    file = tmp_path / "work.partial"
    file.write_bytes(b"hours")
    with keeping(file):
        validate(cohort_of(simulate(60, 3)), "forest", Settings(trees=20, n_jobs=1), "oob")
    assert file.read_bytes() == b"hours"


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    """With another seed of Python's own hashes, and any number of workers."""
    code = "from tests.training.test_validation_resumed import printed; print(printed({workers}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code.format(workers=workers)], check=True, capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": str(workers)},
        ).stdout
        for workers in (1, 2)
    }  # fmt: skip
    assert len(found) == 1


def printed(workers: int) -> str:
    """Return the fingerprint of one piece of work."""
    seen: list[dict[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "fingerprint", lambda one: seen.append(fingerprint(one)) or {})
        with keeping("never.partial"):
            validate(
                cohort_of(simulate(60, 3)), "cox", Settings(n_jobs=workers), "bootstrap",
                replicates=2,
            )  # fmt: skip
    return json.dumps(seen)


def _stop_after(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = resampling._try

    def tried(one: Any, at: int) -> Any:
        if at == number:
            raise KeyboardInterrupt
        return honest(one, at)

    monkeypatch.setattr(resampling, "_try", tried)

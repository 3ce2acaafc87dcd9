"""The search: repeatable by its seed, honest when it fails, with nothing written by halves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import training.reconstruction as door
from tests.training.conftest import read
from training.__main__ import main
from training.provenance import read_provenance
from training.published import DEB_TACE_COHORT
from training.reconstruction import (
    DEFAULT_SEED,
    Reconstruction,
    ReconstructionError,
    reconstruct,
)


def test_the_door_has_these_names() -> None:
    """What a caller may import is this."""
    assert door.__all__ == [
        "DEFAULT_SEED",
        "Reconstruction",
        "ReconstructionError",
        "Row",
        "compare",
        "reconstruct",
    ]


def test_the_default_seed_gives_the_committed_file_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command, piped, is silent but for its result, and repeats the committed file."""
    path = tmp_path / "again.csv"
    assert main(["reconstruct", "--out", str(path)]) == 0
    assert path.read_bytes() == DEB_TACE_COHORT.read_bytes()
    told = capsys.readouterr()
    assert f"seed {DEFAULT_SEED}: 90 patients, " in told.out
    assert told.err == ""
    stated = read_provenance(DEB_TACE_COHORT)
    assert read_provenance(path).to_dict() == stated.to_dict()


def test_another_seed_gives_another_cohort(committed: pd.DataFrame, second: pd.DataFrame) -> None:
    """Seeds matter."""
    assert not committed["os_months"].equals(second["os_months"])
    assert not committed["age"].equals(second["age"])


def test_a_search_without_time_says_so_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Giving up is an error, with a remedy and no file."""
    with pytest.raises(ReconstructionError, match="seed 7: no cohort met every published figure"):
        reconstruct(7, time_limit=0.0)
    path = tmp_path / "none.csv"
    assert main(["reconstruct", "--time-limit", "0", "--out", str(path)]) == 2
    assert "try another seed or a longer time limit" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_attempt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what could not be found."""
    clock = iter([0.0, 1.0, 3.0, 3.0])
    monkeypatch.setattr("training.reconstruction.search.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("training.reconstruction.search.assign_core", lambda *_: None)
    with pytest.raises(ReconstructionError, match="no assignment of the traits") as caught:
        reconstruct(1, time_limit=2.0)
    assert caught.value.misses == (
        "attempt 1: no assignment of the traits with the hazard ratios and the standard error",
    )


def test_a_cohort_off_target_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a stage of the search be wrong, the final comparison refuses its cohort."""
    clock = iter([0.0, 1.0, 3.0, 3.0])
    monkeypatch.setattr("training.reconstruction.search.time.monotonic", lambda: next(clock))
    wrong = read(DEB_TACE_COHORT)
    wrong["age"] = (wrong["age"] + 3).clip(upper=80)
    monkeypatch.setattr("training.reconstruction.search._attempt", lambda *_: wrong)
    with pytest.raises(ReconstructionError, match="not met: age: mean"):
        reconstruct(1, time_limit=2.0)


def test_progress_names_the_stage_and_the_attempt() -> None:
    """Whoever waits is told what for."""
    told: list[tuple[str, int]] = []
    found = reconstruct(DEFAULT_SEED, progress=lambda stage, attempt: told.append((stage, attempt)))
    assert isinstance(found, Reconstruction)
    assert found.ok
    assert found.misses == ()
    assert found.seconds > 0
    assert told[0] == ("overall survival", 1)
    assert told[-1] == ("age, diameter and the other traits", found.attempts)


def test_a_negative_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A seed is a whole number of 0 or more."""
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        reconstruct(-1)
    with pytest.raises(SystemExit, match="2"):
        main(["reconstruct", "--seed", "x", "--out", "a.csv"])
    assert "'x' is not a whole number of 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("cohort.txt", "--out must end in .csv, .parquet, .xlsx, got '.txt'; name it .csv"),
        ("missing/cohort.csv", "--out must be in a folder that exists"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    """Nobody waits for a search whose result has no place."""
    assert main(["reconstruct", "--out", str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err

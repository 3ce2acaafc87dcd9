"""The `riskscore` command: what it prints, writes and refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from riskscore import load_model
from riskscore.cli import main


@pytest.fixture
def table(tmp_path: Path, patient: dict[str, str]) -> Path:
    """Return two patients in a CSV file, with an identifier."""
    path = tmp_path / "patients.csv"
    rows = [{"id": "p1", **patient}, {"id": "p2", **patient, "treatment": "deb_tace_sorafenib"}]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_predict_prints_the_patients_with_their_survival(
    cox_bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV on standard output equals Python's answer; the statement goes to standard error."""
    assert main(["predict", str(cox_bundle), str(table), "--times", "6,12"]) == 0
    out, err = capsys.readouterr()
    printed = pd.read_csv(io.StringIO(out), float_precision="round_trip")
    expected = load_model(cox_bundle).predict(pd.read_csv(table), [6, 12])
    assert printed["id"].tolist() == ["p1", "p2"]
    assert printed["survival_12"].tolist() == expected.survival[12.0].tolist()
    assert "not for care" in err


def test_predict_writes_a_file_and_nothing_else(
    cox_bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -o standard output stays empty."""
    out = tmp_path / "out.parquet"
    assert main(["predict", str(cox_bundle), str(table), "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert "survival_24" in pd.read_parquet(out)


def test_nothing_of_the_patients_is_overwritten(
    cox_bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither their table nor a column of it is lost."""
    out = tmp_path / "out.csv"
    pd.read_csv(table).assign(notes="allergic", median=3).to_csv(table, index=False)
    before = table.read_text()
    assert main(["predict", str(cox_bundle), str(table), "-o", str(table)]) == 2
    err = capsys.readouterr().err
    for part in ("notes is a column of the table already", "median is a", "--out must not be"):
        assert part in err
    assert table.read_text() == before
    assert main(["predict", str(cox_bundle), str(table), "-o", str(out)]) == 2
    assert not out.exists()


def test_a_place_that_cannot_be_written_is_no_traceback(
    cox_bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system refuses is told like any other bad input."""
    assert main(["predict", str(cox_bundle), str(table), "-o", "/proc/out.csv"]) == 2
    assert "riskscore: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "arguments", "message"),
    [
        ({"treatment": "TACE"}, [], "row 1: treatment must be one of"),
        ({"treatment": ""}, [], "row 1: treatment must not be missing"),
        ({}, ["--times", "900"], "times must be 0 to"),
    ],
)
def test_bad_input_is_status_two_with_every_problem_and_no_traceback(
    cox_bundle: Path,
    patient: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    cells: dict[str, str],
    arguments: list[str],
    message: str,
) -> None:
    """Nothing is written when something is wrong."""
    table, out = tmp_path / "t.csv", tmp_path / "out.csv"
    pd.DataFrame([{**patient, **cells}]).to_csv(table, index=False)
    assert main(["predict", str(cox_bundle), str(table), "-o", str(out), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not out.exists()


def test_times_that_are_no_numbers_are_refused(
    cox_bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line says what a list of times looks like."""
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(cox_bundle), str(table), "--times", "soon"])
    assert stopped.value.code == 2
    assert "'soon' is not a list such as 6,12,24" in capsys.readouterr().err


def test_show_says_what_the_model_is(cox_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Identity, outcome, follow-up, predictors and the statement."""
    assert main(["show", str(cox_bundle)]) == 0
    out = capsys.readouterr().out
    manifest = load_model(cox_bundle).manifest
    for part in (
        manifest.digest,
        "Overall survival, from first DEB-TACE session",
        "6, 12, 18, 24 months",
        '"deb_tace", "deb_tace_sorafenib"',
        "For method review, not for care.",
    ):
        assert part in out


def test_show_says_how_good_the_model_is(
    cox_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right, wrong and the same, on its own data and elsewhere; the worst risks in absolute."""
    assert main(["show", str(cox_bundle)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Own data +of 100 pairs \d+ right, \d+ wrong, \d+ the same; concord", out)
    assert "not tested on other patients" in out
    assert main(["show", "deb-tace-hcc/os/cox"]) == 0
    out = capsys.readouterr().out
    assert "of 100 pairs 27 right, 17 wrong, 56 the same; concordance 0.55" in out
    assert "by month 24 84% expected to have the event, 49% had it" in out
    assert "90 records, 59 with the event (reconstructed" in out


def test_show_leaves_out_what_a_bundle_of_before_or_a_broken_attachment_lacks(
    cox_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another bundle's validation, one that is no JSON and one without figures say nothing."""
    bundle = tmp_path / "b"
    shutil.copytree(cox_bundle, bundle)
    (bundle / "external").mkdir()
    (bundle / "external" / "other.json").write_text('{"digest": "sha256:00"}')
    (bundle / "external" / "broken.json").write_text("{")
    digest = load_model(bundle).digest
    bare = {"digest": digest, "cohort": {"name": "bare.csv", "patients": 3}, "evaluation": {}}
    (bundle / "external" / "bare.json").write_text(json.dumps(bare))
    assert main(["show", str(bundle)]) == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("Elsewhere"))
    assert "bare.csv, 3 patients" in line


def test_show_of_a_forest_says_why_there_is_no_interval(
    forest_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No interval is a fact with a reason."""
    main(["show", str(forest_bundle)])
    assert "none: this forest carries no measure of its stability" in capsys.readouterr().out


def test_an_unknown_model_is_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists what there is."""
    assert main(["show", "no/such/model"]) == 2
    assert "riskscore: no shipped model is called no/such/model" in capsys.readouterr().err


def test_a_reader_that_stops_listening_is_no_error(cox_bundle: Path, table: Path) -> None:
    """`riskscore predict ... | head -1` ends in silence."""
    code = (
        "import sys\nfrom riskscore.cli import main\n"
        f"sys.exit(main(['predict', {str(cox_bundle)!r}, {str(table)!r}]))"
    )
    big = pd.concat([pd.read_csv(table)] * 5000)
    big.to_csv(table, index=False)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0


def test_models_lists_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    """A row a model, with outcome, size and the kind of its training data."""
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "OUTCOME", "PATIENTS", "WITH", "EVENT", "TRAINED", "ON"]
    row = next(line for line in lines if line.startswith("deb-tace-hcc/os/cox"))
    assert "Overall survival" in row
    assert " 90 " in row
    assert "reconstructed" in row


def test_compare_prints_differences_and_what_they_are_not(
    cox_bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row a patient and time, numbered from 1; Python's own numbers; the caution apart."""
    assert main(["compare", str(cox_bundle), str(table), "--times", "6,12"]) == 0
    out, err = capsys.readouterr()
    printed = pd.read_csv(io.StringIO(out), float_precision="round_trip")
    expected = load_model(cox_bundle).compare(pd.read_csv(table), [6, 12]).to_frame()
    assert printed["patient"].tolist() == [1, 1, 2, 2]
    assert printed["difference"].tolist() == expected["difference"].tolist()
    assert printed["difference_lower"].tolist() == expected["difference_lower"].tolist()
    assert "association" in err
    assert "not for care" in err


def test_explain_writes_the_shares(
    cox_bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reference and shares sum to the survival in the same row."""
    out = tmp_path / "shares.csv"
    assert main(["explain", str(cox_bundle), str(table), "--time", "12", "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "describes the model, not causes" in told.err
    found = pd.read_csv(out)
    parts = found.drop(columns=["patient", "survival"]).sum(axis=1)
    assert parts.tolist() == pytest.approx(found["survival"].tolist(), abs=1e-12)
    assert main(["explain", str(cox_bundle), str(table), "-o", str(table)]) == 2
    assert "--out must not be the table of patients" in capsys.readouterr().err
    assert main(["explain", "deb-tace-hcc/os/forest", str(table)]) == 2

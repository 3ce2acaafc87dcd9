"""The committed results of public cohorts: the page says what the files say, and no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from riskscore.study import load_study
from training.__main__ import main
from training.cohort import read_cohort
from training.fit import Settings
from training.results import RUNS
from training.results import making as room
from training.results.making import figures
from training.results.table import page
from training.ship import SEG, VISITS

FOLDER = Path(room.__file__).parent

NAMES = [run.name for run in RUNS]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """Return the committed figures by the run's name."""
    return {name: json.loads((FOLDER / f"{name}.json").read_bytes()) for name in NAMES}


def _cells(text: str) -> dict[str, dict[str, str]]:
    """Return the page's table as a reader takes it: by run and column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    heads, *body = lines
    return {row[0].strip("`"): dict(zip(heads, row, strict=True)) for row in body}


def test_every_run_has_its_file_and_its_row() -> None:
    """And no file or row is of a run that is gone."""
    files = {path.stem for path in FOLDER.glob("*.json")}
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert files == set(NAMES) == set(_cells(text))


def test_the_page_is_that_of_the_files(found: dict[str, dict[str, Any]]) -> None:
    """Written by hand it would not stay so."""
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == page(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_gives_each_figure_in_its_column(
    name: str, found: dict[str, dict[str, Any]]
) -> None:
    """Read back from the page without the code that wrote it: value and both limits."""
    row = _cells((FOLDER / "README.md").read_text(encoding="utf-8"))[name]
    run = found[name]
    last = run["horizons"][-1]
    index = {"concordance": run["concordance"], f"slope at {last['horizon']:g}": last["slope"]}
    for at in run["horizons"]:
        index[f"O/E at {at['horizon']:g}"] = at["observed_expected"]
        index[f"IPA at {at['horizon']:g}"] = at["ipa"]
    for column, one in index.items():
        told = [float(number) for number in re.findall(r"-?\d+\.\d+", row[column])]
        half = 0.5 * 10 ** -len(row[column].split(" ")[0].partition(".")[2])
        # Half of the last printed digit, and a hair for the binary fraction.
        assert told == pytest.approx([one["value"], one["lower"], one["upper"]], abs=half + 1e-9)
    who = run.get("judged_on", run)
    if "split" in run:
        who = {key.removeprefix("judged_"): value for key, value in run["split"].items()}
    assert row["patients"] == str(who["patients"])
    assert row["rows (deaths)"] == f"{who['rows']} ({who['events']})"


def test_what_the_page_says_in_words_is_so(found: dict[str, dict[str, Any]]) -> None:
    """New figures that turn a sentence round must not keep it."""
    cox, forest = found["first-cox-cv"], found["first-forest-cv"]
    assert forest["concordance"]["value"] < cox["concordance"]["value"]
    last = [run["horizons"][-1]["slope"]["value"] for run in (forest, cox)]
    assert last[0] < last[1] < 1
    early = [run["horizons"][0] for run in (forest, cox)]
    assert early[0]["slope"]["lower"] < 1 < early[0]["slope"]["upper"]
    assert early[1]["slope"]["lower"] > 1
    assert early[0]["ici"]["value"] < early[1]["ici"]["value"]
    flattering = found["first-forest-632plus"]
    for honest in (forest, found["first-forest-oob"]):
        assert flattering["concordance"]["value"] > honest["concordance"]["value"]
        for at, other in zip(flattering["horizons"], honest["horizons"], strict=True):
            assert at["ipa"]["value"] > other["ipa"]["value"]
    less = found["first-cox-elsewhere"]["less_the_other_kind"]["concordance"]
    assert less["lower"] < 0 < less["upper"]
    later, whole = found["all-cox-temporal"], found["all-cox-bootstrap"]
    assert all(at["observed_expected"]["upper"] < 1 for at in later["horizons"])
    assert later["concordance"]["value"] > whole["concordance"]["lower"]
    elsewhere = found["all-cox-elsewhere"]
    assert elsewhere["concordance"]["value"] < whole["concordance"]["lower"]
    assert elsewhere["horizons"][-1]["observed_expected"]["lower"] > 1
    predictors = set(found["all-cox-bootstrap"]["predictors"])
    assert predictors - set(found["first-cox-cv"]["predictors"]) == {
        "tumor_number", "vascular_invasion", "metastasis",
    }  # fmt: skip


def test_the_kinds_are_judged_on_the_same_patients(found: dict[str, dict[str, Any]]) -> None:
    """Else their figures could not stand in one table; what one has less, the other has more."""
    for method in ("cv", "temporal", "elsewhere"):
        cox, forest = found[f"first-cox-{method}"], found[f"first-forest-{method}"]
        for same in ("sha256", "patients", "rows", "events", "seed", "predictors"):
            assert cox[same] == forest[same], same
        assert cox.get("split") == forest.get("split")
        assert cox.get("judged_on") == forest.get("judged_on")
    one, other = found["first-cox-elsewhere"], found["first-forest-elsewhere"]
    apart = one["less_the_other_kind"]["concordance"]["value"]
    difference = one["concordance"]["value"] - other["concordance"]["value"]
    assert apart == pytest.approx(difference, abs=1e-12)  # the same sums, in another order
    assert other["less_the_other_kind"]["concordance"]["value"] == pytest.approx(-apart, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_no_list_is_long_enough_for_patients(name: str, found: dict[str, dict[str, Any]]) -> None:
    """Figures alone are committed: no curve, no prediction, no time."""

    def lists(value: Any) -> list[list[Any]]:
        if isinstance(value, list):
            return [value, *(inner for one in value for inner in lists(one))]
        if isinstance(value, dict):
            return [inner for one in value.values() for inner in lists(one)]
        return []

    assert max(len(one) for one in lists(found[name])) <= 7  # the study's predictors
    assert not {"calibration_curve", "histogram", "instability"} & set(
        re.findall(r'"(\w+)":', json.dumps(found[name]))
    )


@pytest.mark.parametrize("name", ["first-cox-temporal", "all-cox-temporal"])
def test_a_run_gives_its_committed_figures(
    name: str, cohorts: Path, found: dict[str, dict[str, Any]]
) -> None:
    """From the cohort itself, by today's code; the bootstrap's limits are left to the command."""
    run = next(run for run in RUNS if run.name == name)
    today = figures(run, cohorts, Settings(), 2)
    assert today["split"] == found[name]["split"]
    assert today["sha256"] == found[name]["sha256"]
    for key in ("concordance", "observed_expected", "slope"):
        places = [(today, found[name])] if key == "concordance" else [
            *zip(today["horizons"], found[name]["horizons"], strict=True)
        ]  # fmt: skip
        for now, then in places:
            # Newton's method stops at 1e-9 of the likelihood; machines differ in the last bits.
            assert now[key] == pytest.approx(then[key], abs=1e-6)


def test_what_first_visits_cannot_teach(cohorts: Path) -> None:
    """Three predictors have one value before 2016, and two are seen in 10 patients of all years."""
    study = load_study("hcc-tace")
    read = read_cohort(
        cohorts / VISITS, study, "os", None, "survivalpath-embolised", ("first_year",)
    )
    column = {p.name: read.X[:, j] for j, p in enumerate(read.predictors)}
    before = read.kept["first_year"] < 2016
    for name in ("tumor_number", "vascular_invasion", "metastasis"):
        assert len(set(column[name][before])) == 1, name
    assert [int(column[n].sum()) for n in ("vascular_invasion", "metastasis")] == [10, 10]


def test_a_folder_without_the_cohorts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    (tmp_path / "cohorts").mkdir()
    asked = ["results", "--cohorts", str(tmp_path / "cohorts"), "--out", str(tmp_path / "out")]
    assert main(asked) == 2
    assert f"--cohorts must hold the file, got '{SEG}'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_writes_each_run_and_the_page(
    found: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options reach the runs, and what is committed is what it would write."""
    asked = []

    def given(run: room.Run, cohorts: Path, settings: Settings, replicates: int) -> dict[str, Any]:
        asked.append((run, cohorts, settings, replicates))
        return found[run.name]

    monkeypatch.setattr(room, "figures", given)
    monkeypatch.setattr(room, "require", lambda cohorts: None)
    options = ["--seed", "7", "--trees", "60", "--replicates", "9"]
    assert main(["results", "--cohorts", "here", "--out", str(tmp_path / "out"), *options]) == 0
    settings = replace(Settings(), seed=7, trees=60)
    assert asked == [(run, Path("here"), settings, 9) for run in RUNS]
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()

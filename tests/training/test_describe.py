"""Published against reproduced, as a person reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from training.__main__ import main
from training.description import Description, describe
from training.description.adverse import with_adverse_events
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction.rows import Row


@pytest.fixture(scope="module")
def committed() -> Description:
    """Return the description of the committed cohort."""
    return describe(pd.read_csv(DEB_TACE_COHORT, dtype={"ecog": str}))


def test_every_figure_asked_of_the_committed_cohort_agrees(committed: Description) -> None:
    """Nothing is missed, and nothing that was asked is left out."""
    assert committed.missed == ()
    asked = [row for row in committed.rows if row.agrees != "not asked"]
    assert len(asked) == 82
    assert all(row.tolerance for row in asked)


@pytest.mark.parametrize(
    "line",
    [
        r"age: mean +60\.3 / 59\.7 +60\.\d\d / 59\.\d\d +0\.05 +yes",
        r"tumor_diameter: SD +3\.7 / 3\.0 +[\d. /]+ 0\.05 +yes",
        r"bclc_stage: C +29 / 33 +29 / 33 +exact +yes",
        r"response_3m: PD +1 / 7 +1 / 7 +exact +yes",
        r"response_1m: evaluated +42 / 46 +42 / 46 +exact +yes",
        r"OS median, deb_tace_sorafenib +18\.6 +18\.60 +0\.05 +yes",
        r"TTP median, deb_tace +6\.0 +6\.00 +0\.05 +yes",
        r"OS log-rank chi-square +6\.470 +6\.4\d+ +0\.0005 +yes",
        r"TTP log-rank chi-square +8\.271 +8\.27\d+ +0\.0005 +yes",
        r"deaths +53 to 71 +\d\d +within +yes",
        r"treatment: standard error +0\.276 +0\.2\d\d +0\.01 +yes",
        r"tumor_number: standard error +0\.333 +0\.\d+ +not asked",
        r"extrahepatic_metastasis: HR \(Efron\) +2\.310 +2\.\d+ +0\.0005 +yes",
        r"extrahepatic_metastasis: HR \(Breslow\) +2\.310 +2\.\d+ +not asked",
        r"treatment: coefficient +-1\.405 +-0\.57\d +not asked",
        r"longest follow-up +36 +36\.0 +0\.5 +yes",
        r"BCLC C: invasion, spread or ECOG >= 1 +0 breaches +0 +exact +yes",
    ],
)
def test_the_text_shows_a_figure_beside_its_published_one(
    committed: Description, line: str
) -> None:
    """One line a figure."""
    assert re.search(line, committed.text())


def test_the_text_fits_a_terminal_and_explains_its_marks(committed: Description) -> None:
    """A hundred columns; every mark has its note below."""
    lines = committed.text().splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("82 of 82 figures asked of the cohort agree; ")
    marks = set(re.findall(r"(?:yes|no|not asked) \[(\d+)\]$", committed.text(), re.MULTILINE))
    assert marks == set(re.findall(r"^\[(\d+)\] ", committed.text(), re.MULTILINE))
    assert "cannot be met: 90 patients cannot give less than 0.211" in committed.text()
    assert "the printed coefficient contradicts the printed hazard ratio" in committed.text()


def test_the_table_has_a_row_a_figure(committed: Description) -> None:
    """The same rows, for a program."""
    frame = committed.to_frame()
    assert list(frame) == [
        "where",
        "quantity",
        "published",
        "reproduced",
        "tolerance",
        "agrees",
        "note",
    ]
    assert len(frame) == len(committed.rows) + len(committed.constructed)


def test_a_missed_figure_is_counted_and_shown() -> None:
    """What is not met is not hidden."""
    rows = (
        Row("Table 1", "sex: male", "37 / 41", "36 / 41", "exact", "no"),
        Row("Table 1", "sex: P", "0.709", "0.700"),
    )
    description = Description(rows)
    assert description.missed == rows[:1]
    assert description.summary() == (
        "0 of 1 figures asked of the cohort agree; 1 more are shown and were not pursued"
    )


def test_the_command_describes_the_committed_cohort(
    committed: Description, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a cohort of one's own the reconstructed one is shown."""
    assert main(["describe"]) == 0
    assert capsys.readouterr().out == committed.text() + "\n"


def test_adverse_events_are_shown_and_not_counted_as_reproduced(committed: Description) -> None:
    """They are filled from the printed counts: 34 agree by construction, beside the 82."""
    assert "\n34 of 34 adverse-event counts agree, by construction\n" in committed.text()
    assert {row.where for row in committed.constructed} == {"Table 3", "Table 4"}
    shown = {row.quantity: row.reproduced for row in committed.constructed}
    assert shown["Nausea and vomiting"] == "30 / 34"
    assert shown["Hand-foot syndrome: grade III"] == "3"
    assert shown["Hypertension: total"] == "5"


def test_the_controls_of_table_3_are_the_48_of_every_other_table(committed: Description) -> None:
    """The printed P values follow from 48 and not from the 42 printed there."""
    rows = {row.quantity: row for row in committed.constructed}
    for label, printed in (("Fever", 0.835), ("Pain", 0.950), ("Nausea and vomiting", 0.950)):
        row = rows[f"{label}: P"]
        assert float(row.reproduced) == pytest.approx(printed, abs=0.0011)  # one in the last digit
        assert "sizes 42/42 printed, 42/48 taken" in row.note
        assert row.note.endswith("the P fits the sizes taken")
    assert rows["Liver abscess: P"].reproduced == "no events"


def test_adverse_events_change_no_other_column_and_depend_on_the_patient_alone() -> None:
    """The same columns whatever the order of the rows; the others as they were."""
    frame = pd.read_csv(DEB_TACE_COHORT, dtype=str, keep_default_na=False)
    published = load_published(DEB_TACE)
    full = with_adverse_events(frame, published, "treatment")
    pd.testing.assert_frame_equal(full[frame.columns], frame)
    shuffled = frame.sample(frac=1, random_state=3)
    again = with_adverse_events(shuffled, published, "treatment").sort_index()
    pd.testing.assert_frame_equal(again, full)
    graded = full["ae_hand_foot_syndrome"]
    assert set(graded[full["treatment"] == "deb_tace"]) == {""}  # nothing was reported of them


def test_the_source_described_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both figures, the Cox table on the four, responses and adverse events, side by side."""
    out = tmp_path / "described"
    assert main(["describe", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"written to {out}\n")
    assert {p.name for p in out.iterdir()} == {
        "describe.json", "describe.md",
        *(f"{kind}-{outcome}.{suffix}" for kind in ("kaplan-meier", "forest")
          for outcome in ("os", "ttp") for suffix in ("svg", "png")),
    }  # fmt: skip
    told = json.loads((out / "describe.json").read_text(encoding="utf-8"))
    medians = [[round(a["median"], 1) for a in o["arms"]] for o in told["outcomes"]]
    assert medians == [[12.7, 18.6], [6.0, 8.3]]
    joint = {r["predictor"]: r["multivariable"] for r in told["outcomes"][0]["regression"]["rows"]}
    assert round(joint["treatment"]["hazard_ratio"], 3) == 0.561
    assert joint["age"] is None
    grades = {row["name"]: row for row in told["adverse_events"]}
    assert grades["ae_diarrhea"]["groups"][1]["grades"] == {
        "1": 9, "2": 4, "3": 2, "4": 0, "5": 0,
    }  # fmt: skip
    assert grades["ae_diarrhea"]["groups"][0]["n"] == 0
    assert "agree by construction" in told["adverse_events_note"]
    assert told["published"]["summary"].startswith("82 of 82 figures")
    assert len(told["published"]["rows"]) > 150
    assert "Fever: P | 0.835 | 0.836 |" in (out / "describe.md").read_text(encoding="utf-8")


def test_the_command_refuses_what_is_no_cohort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, every problem, no traceback."""
    path = tmp_path / "table.csv"
    path.write_text("patient,age\n1,50\n", encoding="utf-8")
    assert main(["describe", "--cohort", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "- sex column is missing; add it, with" in told.err
    assert "Traceback" not in told.err

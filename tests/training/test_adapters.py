"""The public cohorts are adapted by stated rules, and every row left out is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskscore.errors import InputError
from riskscore.study import load_study
from training.adapters import AFP_FLOOR, DAYS_PER_MONTH, adapt
from training.cohort import read_cohort

STUDY = load_study("hcc-tace")
SEG = ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age")


def visit(**changes: Any) -> dict[str, Any]:
    """Return one visit as SurvivalPath publishes it, made up."""
    row = {
        "patient": 1, "first_year": 2015, "day": 0, "Age": 60, "Amount.of.Hepatic.Lesions": 2,
        "Largest.Diameter.of.Hepatic.Lesions": 45.0, "Vascular.Invasion": 0,
        "Distant.Metastasis": 1, "Child_pugh_score": 7, "AFP": 0.0, "Embolization": 1,
        "Resection": 0, "OStime_day": 365.25, "Status_of_death": 1,
    }  # fmt: skip
    return row | changes


DIRTY = pd.DataFrame(
    [
        visit(),
        visit(day=30, OStime_day=335.25),
        visit(day=30, OStime_day=335.25),
        visit(patient=2, OStime_day=0),
        visit(patient=3, Age=0),
        visit(patient=4, Age=110),
        visit(patient=5, **{"Amount.of.Hepatic.Lesions": 0}),
        visit(patient=6, **{"Largest.Diameter.of.Hepatic.Lesions": 0}),
        visit(patient=7, AFP=121_000, Child_pugh_score=6, **{"Amount.of.Hepatic.Lesions": 1}),
    ]
)


def test_each_rule_leaves_out_what_it_says() -> None:
    """One row of each kind of dirt, and two patients without."""
    frame, flow, provenance = adapt("survivalpath-all", DIRTY, STUDY)
    assert dict(flow.excluded) == {
        "a second visit of the patient on the same day": 1,
        "survival time of 0 days": 1,
        "age under 18 years": 1,
        "age above 100 years (implausible)": 1,
        "no liver lesion at the visit": 1,
        "a lesion with diameter 0": 1,
    }
    assert frame["patient"].tolist() == [1, 1, 7]
    assert dict(flow.changed) == {
        f"AFP below {AFP_FLOOR} ng/mL raised to it": 2,
        "AFP top-coded at 121,000 ng/mL by the source, kept": 1,
    }
    assert provenance.licence == "MIT"


def test_columns_are_translated_with_their_units() -> None:
    """Days become months, millimetres centimetres, the Child-Pugh score its class."""
    frame, _, _ = adapt("survivalpath-first", DIRTY, STUDY)
    first, last = frame.iloc[0], frame.iloc[-1]
    assert first["os_months"] == pytest.approx(12, rel=1e-15)  # 365.25 days
    assert first["largest_diameter"] == 4.5
    assert (first["child_class"], last["child_class"]) == ("B_or_C", "A")
    assert (first["tumor_number"], last["tumor_number"]) == ("multiple", "single")
    assert (first["vascular_invasion"], first["metastasis"]) == ("no", "yes")
    assert first["afp"] == AFP_FLOOR
    assert frame["patient"].tolist() == [1, 7]
    assert DAYS_PER_MONTH == 30.4375


@pytest.mark.parametrize(
    ("name", "study", "columns", "message"),
    [
        ("seer", "hcc-tace", None, "adapter must be known, got 'seer'; choose one of hcc-tace-seg"),
        ("survivalpath-all", "deb-tace-hcc", None, "study must be hcc-tace for survivalpath-all"),
        ("survivalpath-all", "hcc-tace", ["Age"], "Age column is missing; survivalpath-all reads"),
    ],
)
def test_what_an_adapter_does_not_know_is_refused(
    name: str, study: str, columns: list[str] | None, message: str
) -> None:
    """Another name, another study, another file."""
    frame = DIRTY.drop(columns=columns) if columns else DIRTY
    with pytest.raises(InputError, match=message):
        adapt(name, frame, load_study(study))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Vascular.Invasion", 2, "row 9: vascular_invasion must be one of .*got 2"),
        ("Child_pugh_score", 99, "row 9: child_class must be one of .*got 99"),
        ("Amount.of.Hepatic.Lesions", -1, "row 9: tumor_number must be one of .*got -1"),
        ("AFP", -5, "row 9: afp must be 0.5 to .*got -5"),
        ("OStime_day", -5, "row 9: os_months must be above 0"),
        ("OStime_day", "abc", "row 9: OStime_day must be a number, got 'abc'"),
        ("day", "", "row 9: day must be a number"),
        ("patient", "x", "row 9: patient must be a number, got 'x'"),
    ],
)
def test_a_value_the_source_does_not_have_is_refused_not_guessed(
    tmp_path: Path, column: str, value: Any, message: str
) -> None:
    """The error names the row of the source's file, whatever was left out before it."""
    frame = DIRTY.astype(object)
    frame.loc[8, column] = value
    path = tmp_path / "visits.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=message):
        read_cohort(path, STUDY, "os", None, "survivalpath-all")


@pytest.mark.cohorts
def test_hcc_tace_seg_as_it_lies_there(cohorts: Path) -> None:
    """105 patients, 93 deaths; the 17 rows of literal NA are a value."""
    cohort = read_cohort(cohorts / "hcc-tace-seg.csv", STUDY, "os", SEG, "hcc-tace-seg")
    assert (len(cohort.time), cohort.event.sum(), cohort.n_patients) == (105, 93, 105)
    assert cohort.X[:, 1].sum() == 23
    assert cohort.time.max() == pytest.approx(473.7142857 * 7 / 30.4375)
    from riskscore.tables import read_table

    frame, _, _ = adapt("hcc-tace-seg", read_table(cohorts / "hcc-tace-seg.csv"), STUDY)
    assert (frame["chemotherapy"] == "NA").sum() == 17


@pytest.mark.cohorts
def test_hcc_tace_seg_lacks_half_its_diameters(cohorts: Path) -> None:
    """With the diameter asked for, the cohort is refused, and 52 rows are named."""
    with pytest.raises(InputError, match="largest_diameter must not be missing") as caught:
        read_cohort(cohorts / "hcc-tace-seg.csv", STUDY, "os", None, "hcc-tace-seg")
    assert len(caught.value.problems) == 52


@pytest.mark.cohorts
@pytest.mark.parametrize(
    ("adapter", "counts"),
    [
        ("survivalpath-first", [9322, 2, 8, 8, 0, 1, 0]),
        ("survivalpath-all", [12, 149, 60, 6, 3700, 1]),
    ],
)
def test_survivalpath_as_it_lies_there(cohorts: Path, adapter: str, counts: list[int]) -> None:
    """The dirt its README lists is left out by name, and the sum is right."""
    path = cohorts / "survivalpath-hcc-visits.csv"
    flow = read_cohort(path, STUDY, "os", None, adapter).flow
    assert [step["rows"] for step in flow["excluded"]] == counts
    assert flow["read"] == 11684
    assert flow["read"] - sum(counts) == flow["analysed"]

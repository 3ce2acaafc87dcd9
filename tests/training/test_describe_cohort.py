"""`describe` for any cohort: what it shows, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.errors import InputError
from riskscore.study import StudyError, load_study
from tests.conftest import simulate
from training.__main__ import main
from training.description import check_sample, describe_cohort
from training.description.render import as_markdown, as_text

STUDY = load_study("deb-tace-hcc")
CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")


def described(frame: pd.DataFrame, **options: Any) -> dict[str, Any]:
    """Return the description of a simulated cohort."""
    together = options.pop("together", None)
    sample = check_sample(frame, STUDY, ["os"], CORE, **options)
    return describe_cohort(sample, together)


def with_reports(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cohort with a response and three adverse events."""
    n = np.arange(len(frame))
    return frame.assign(
        response_1m=np.array(["CR", "PR", "SD", "PD", "not_evaluated", ""])[n % 6],
        ae_fever=np.where(n % 3 == 0, "yes", "no"),
        ae_rash=np.where(frame["treatment"] == "deb_tace", "", np.array(list("01230"))[n % 5]),
        ae_none="0",
    )


def test_arms_are_the_studys_treatment_unless_told(cohort_frame: pd.DataFrame) -> None:
    """By treatment; by another category with `by`; overall where treatment is not described."""
    assert [a["level"] for a in described(cohort_frame)["arms"]] == [
        "deb_tace", "deb_tace_sorafenib",
    ]  # fmt: skip
    by = described(cohort_frame, by="tumor_number")
    assert [a["level"] for a in by["arms"]] == ["<=3", ">3"]
    assert "treatment" in [row["name"] for row in by["table_one"]]
    sample = check_sample(cohort_frame, STUDY, ["os"], ["tumor_number", "age"])
    alone = describe_cohort(sample)
    assert alone["by"] is None
    assert alone["arms"] == [{"level": "all", "n": 90}]
    assert alone["outcomes"][0]["logrank"] is None
    assert "SMD" not in as_text(alone)


def test_by_adds_its_predictor(cohort_frame: pd.DataFrame) -> None:
    """A category named by `by` need not be named twice."""
    sample = check_sample(cohort_frame, STUDY, ["os"], ["age"], "vascular_invasion")
    assert [p.name for p in sample.predictors] == ["vascular_invasion", "age"]


def test_counts_add_up(cohort_frame: pd.DataFrame) -> None:
    """Arms sum to everybody, level by level; each arm's events and risk sets to the cohort's."""
    told = described(cohort_frame)
    for row in told["table_one"]:
        assert sum(g["n"] for g in row["groups"]) == row["overall"]["n"] == 90
        for level, count in row["overall"].get("counts", {}).items():
            assert sum(g["counts"][level] for g in row["groups"]) == count
    (outcome,) = told["outcomes"]
    assert sum(a["events"] for a in outcome["arms"]) == cohort_frame["death"].sum()
    for i, tick in enumerate(outcome["ticks"]):
        at_risk = sum(a["at_risk"][i] for a in outcome["arms"])
        assert at_risk == (cohort_frame["os_months"] >= tick).sum()


def test_the_order_of_rows_does_not_matter(cohort_frame: pd.DataFrame) -> None:
    """The same text to the last character."""
    shuffled = cohort_frame.sample(frac=1, random_state=5).reset_index(drop=True)
    assert as_text(described(shuffled)) == as_text(described(cohort_frame))


def test_a_gap_is_shown_and_its_predictor_enters_no_model(cohort_frame: pd.DataFrame) -> None:
    """Table 1 counts who is missing; percentages and means are of those known."""
    frame = cohort_frame.assign(age=cohort_frame["age"].mask(cohort_frame.index < 7))
    told = described(frame)
    age = next(row for row in told["table_one"] if row["name"] == "age")
    assert (age["overall"]["n"], age["overall"]["missing"]) == (83, 7)
    assert age["overall"]["mean"] == pytest.approx(
        frame["age"].mean(), rel=1e-12
    )  # summation order
    assert told["left_out"] == {"age": "missing in 7 of 90"}
    assert "age" not in [row["predictor"] for row in told["outcomes"][0]["regression"]["rows"]]
    assert "age: in no model, missing in 7 of 90." in as_text(told)


def test_what_everybody_shares_is_shown_and_enters_no_model(cohort_frame: pd.DataFrame) -> None:
    """A constant has no test, no difference and no hazard ratio."""
    told = described(cohort_frame.assign(vascular_invasion="no"))
    row = next(row for row in told["table_one"] if row["name"] == "vascular_invasion")
    assert (row["test"], row["smd"]) == (None, 0.0)
    assert told["left_out"] == {"vascular_invasion": "the same in everybody"}


def test_a_model_that_runs_away_is_named_and_the_rest_is_shown(
    cohort_frame: pd.DataFrame,
) -> None:
    """A level without events has no hazard ratio; the description stands."""
    spread = cohort_frame["extrahepatic_metastasis"] == "yes"
    told = described(cohort_frame.assign(death=cohort_frame["death"].mask(spread, 0)))
    found = told["outcomes"][0]["regression"]
    assert set(found["refused"]) == {"extrahepatic_metastasis", "multivariable"}
    rows = {row["predictor"]: row for row in found["rows"]}
    assert rows["extrahepatic_metastasis"]["univariable"] is None
    assert rows["treatment"]["univariable"] is not None
    assert rows["treatment"]["multivariable"] is None
    assert found["refused"]["multivariable"]
    assert "multivariable: not estimated; " in as_text(told)


def test_multivariable_takes_the_named_predictors(cohort_frame: pd.DataFrame) -> None:
    """The others stand in the univariable column alone."""
    told = described(cohort_frame, together=["treatment", "age"])
    rows = told["outcomes"][0]["regression"]["rows"]
    joint = {row["predictor"] for row in rows if row["multivariable"] is not None}
    assert joint == {"treatment", "age"}
    assert all(row["univariable"] is not None for row in rows)


def test_responses_are_of_those_evaluated(cohort_frame: pd.DataFrame) -> None:
    """90 rows in turn: 15 of each response, 30 not evaluated; ORR one half, DCR three quarters."""
    frame = with_reports(cohort_frame)
    sample = check_sample(frame, STUDY, ["os"], ["age"])
    (row,) = describe_cohort(sample)["responses"]
    assert (row["label"], row["evaluated"], row["missing"]) == ("1m", [60], [30])
    assert row["counts"] == [{"CR": 15, "PR": 15, "SD": 15, "PD": 15}]
    assert [(r["name"], r["groups"][0]["share"]) for r in row["rates"]] == [
        ("ORR", 0.5), ("DCR", 0.75),
    ]  # fmt: skip


def test_adverse_events_by_grade_and_arm(cohort_frame: pd.DataFrame) -> None:
    """What was not recorded in an arm is a dash there, not a zero, and is not compared."""
    frame = with_reports(cohort_frame)
    told = described(frame)
    events = {row["name"]: row for row in told["adverse_events"]}
    treated = frame["treatment"] == "deb_tace_sorafenib"
    control, sorafenib = events["ae_rash"]["groups"]
    assert (control["n"], control["share"]) == (0, None)
    assert events["ae_rash"]["test"] is None
    for grade in "123":
        assert sorafenib["grades"][grade] == ((frame["ae_rash"] == grade) & treated).sum()
    assert sorafenib["count"] == sum(sorafenib["grades"].values())
    fever = events["ae_fever"]["groups"]
    assert sum(g["count"] for g in fever) == sum(g["ungraded"] for g in fever) == 30
    assert events["ae_fever"]["test"]["name"] == "chi-square"
    assert events["ae_none"]["test"] is None
    assert "  grade 2" in as_text(told)


def test_grades_of_a_typed_table_are_numbers(cohort_frame: pd.DataFrame) -> None:
    """Parquet and Excel have numbers, and NaN for nothing."""
    grades = np.where(cohort_frame.index % 2, 2.0, np.nan)
    told = described(cohort_frame.assign(ae_rash=grades))
    assert sum(g["grades"]["2"] for g in told["adverse_events"][0]["groups"]) == 45
    assert sum(g["n"] for g in told["adverse_events"][0]["groups"]) == 45


def test_an_arm_censored_before_the_first_event_takes_no_degree_of_freedom(
    cohort_frame: pd.DataFrame,
) -> None:
    """As in R; the other arms are compared as if it were not there."""
    frame = cohort_frame.assign(etiology="hepatitis_b")
    frame.loc[frame.index % 2 == 0, "etiology"] = "alcohol"
    options = {"outcomes": ["os"], "predictors": ["age", "etiology"], "by": "etiology"}
    before = describe_cohort(check_sample(frame, STUDY, **options))["outcomes"][0]["logrank"]
    early = frame.iloc[:3].assign(
        patient=[901, 902, 903], etiology="other", os_months=0.05, death=0
    )
    told = describe_cohort(check_sample(pd.concat([frame, early]), STUDY, **options))
    assert told["outcomes"][0]["logrank"] == before
    assert before["df"] == 1


def test_arms_never_watched_together_are_not_compared() -> None:
    """One arm is gone before the first event."""
    frame = simulate(20, seed=2)
    one = frame["treatment"] == "deb_tace"
    frame["os_months"] = np.where(one, 0.5, 5.0 + np.arange(20))
    frame["death"] = np.where(one, 0, 1)
    sample = check_sample(frame, STUDY, ["os"], ["treatment", "age"])
    assert describe_cohort(sample)["outcomes"][0]["logrank"] is None


def test_a_median_where_everybody_is_dead_has_no_symmetric_interval() -> None:
    """Its standard error would be nought."""
    frame = simulate(20, seed=2).assign(os_months=9.0, death=1)
    frame.loc[0, ["os_months", "death"]] = [10.0, 0]
    frame.loc[0, "treatment"] = "deb_tace"
    frame.loc[1:3, "treatment"] = "deb_tace_sorafenib"
    sample = check_sample(frame, STUDY, ["os"], ["treatment", "age"])
    last = describe_cohort(sample)["outcomes"][0]["arms"][1]
    assert last["median"] == 9
    assert np.isnan(last["symmetric_interval"]).all()


@pytest.mark.parametrize("by", ["treatment", "etiology"])
def test_the_text_fits_a_terminal(by: str) -> None:
    """At most 100 columns, also with arms that need a second block."""
    frame = with_reports(simulate(90, seed=4))
    frame["etiology"] = np.array(STUDY.predictors["etiology"].levels)[np.arange(90) % 4]
    sample = check_sample(frame, STUDY, ["os"], [*CORE, "etiology"], by)
    text = as_text(describe_cohort(sample))
    assert max(map(len, text.splitlines())) <= 100
    assert "Overall survival: hazard ratios" in text


def test_markdown_escapes_what_would_be_markup(cohort_frame: pd.DataFrame) -> None:
    """Levels such as <=3 stay text; every row of a table has its columns."""
    text = as_markdown(described(with_reports(cohort_frame)))
    assert "| &nbsp;&nbsp;&lt;=3 |" in text
    assert "<" not in text
    widths = [
        {line.count("|") for line in block.splitlines()}
        for block in text.split("\n\n")
        if block.startswith("|")
    ]
    assert all(len(width) == 1 for width in widths)


def test_the_command_prints_and_writes(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON without NaN, Markdown with the figures, SVG and PNG; the same bytes a second time."""
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        arguments = [
            "describe", "--study", "deb-tace-hcc", "--cohort", str(cohort_csv),
            "--predictors", ",".join(CORE), "--out", str(out),
        ]  # fmt: skip
        assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "cohort.csv: 90 patients of study deb-tace-hcc" in told.out
    names = {"describe.json", "describe.md"}
    names |= {f"{k}-os.{s}" for k in ("kaplan-meier", "forest") for s in ("svg", "png")}
    assert {p.name for p in outs[0].iterdir()} == names
    for name in names:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    json.loads((outs[0] / "describe.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (outs[0] / "kaplan-meier-os.png").read_bytes().startswith(b"\x89PNG")
    assert "](forest-os.svg)" in (outs[0] / "describe.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="age"), "age column is missing"),
        (lambda f: f.assign(age=f["age"].replace(f["age"][0], 130)), "age must be 18 to 80 years"),
        (lambda f: f.assign(treatment=["", *f["treatment"][1:]]), "treatment must not be missing"),
        (lambda f: f.assign(tumor_number="four"), "tumor_number must be one of"),
        (lambda f: f.assign(os_months=-f["os_months"]), "os_months must be above 0"),
        (lambda f: f.assign(death=0), "death has no event"),
        (lambda f: f.drop(columns="death"), "death column is missing"),
        (lambda f: f.assign(patient=1), "patient must not repeat"),
        (lambda f: f.assign(response_1m="better"), "response_1m must be one of CR, PR, SD, PD"),
        (lambda f: f.assign(ae_rash=6), "ae_rash must be a grade from 0 to 5"),
        (lambda f: f.assign(ae_rash=1.5), "ae_rash must be a grade from 0 to 5"),
        (lambda f: f.assign(ae_rash=True), "ae_rash must be a grade from 0 to 5"),
        (lambda f: f.assign(ae_rash="severe"), "ae_rash must be a grade from 0 to 5"),
    ],
)
def test_bad_cohorts_are_refused(
    cohort_frame: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    """The field, the rule and the remedy."""
    with pytest.raises(InputError, match=message):
        described(change(cohort_frame))


def test_every_problem_is_told_at_once(cohort_frame: pd.DataFrame) -> None:
    """Of predictors, outcome and reports; a gap is none."""
    frame = cohort_frame.assign(
        age=cohort_frame["age"].mask(cohort_frame.index == 3),
        tumor_number="x",
        death=2,
        ae_rash="y",
    )
    with pytest.raises(InputError) as caught:
        described(frame)
    assert {p.field for p in caught.value.problems} == {"tumor_number", "death", "ae_rash"}


def test_several_rows_of_a_patient_are_refused(cohort_frame: pd.DataFrame) -> None:
    """Even where the study has a cluster: no test here allows for them."""
    frame = cohort_frame.assign(patient=cohort_frame["patient"] // 2)
    with pytest.raises(InputError, match="patient must not repeat: 90 rows are of 46 patients"):
        check_sample(frame, replace(STUDY, cluster="patient"), ["os"], CORE)


def test_nothing_to_model_is_refused(cohort_frame: pd.DataFrame) -> None:
    """A Cox table needs one predictor without gaps."""
    frame = cohort_frame.assign(age=cohort_frame["age"].mask(cohort_frame.index < 3))
    with pytest.raises(InputError, match="predictors cannot be modelled"):
        check_sample(frame, STUDY, ["os"], ["age"])


def test_options_that_name_the_wrong_thing_are_refused(cohort_frame: pd.DataFrame) -> None:
    """Arms of a number, unknown names, an empty list."""
    with pytest.raises(InputError, match="--by must be a category"):
        described(cohort_frame, by="age")
    with pytest.raises(StudyError, match="stage"):
        described(cohort_frame, by="stage")
    with pytest.raises(StudyError, match="survival"):
        check_sample(cohort_frame, STUDY, ["survival"], CORE)
    with pytest.raises(InputError, match="outcome must name at least one"):
        check_sample(cohort_frame, STUDY, [], CORE)
    with pytest.raises(InputError, match="--multivariable must name described predictors"):
        described(cohort_frame, together=["sex"])
    with pytest.raises(InputError, match="--multivariable must name at least one"):
        described(cohort_frame, together=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "deb-tace-hcc"], "--cohort is needed with --study"),
        (["--by", "sex"], "--by is for describing a cohort of a study"),
        (["--out", "{tmp}/file"], "--out must be a directory"),
        (["--out", "{tmp}/no/where"], "--out must be in a folder that exists"),
        (["--study", "deb-tace-hcc", "--cohort", "{tmp}/none.csv"], "must exist"),
    ],
)
def test_the_command_refuses_with_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The problem on standard error, nothing on standard output, nothing written."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    filled = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    assert main(["describe", *filled]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert "Traceback" not in told.err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.cohorts
def test_a_real_cohort_with_gaps_is_described(
    cohorts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """105 patients; the diameter is missing in 52 and stands in Table 1 alone."""
    path = cohorts / "hcc-tace-seg.csv"
    arguments = ["describe", "--study", "hcc-tace", "--adapter", "hcc-tace-seg"]
    assert main([*arguments, "--cohort", str(path), "--by", "child_class"]) == 0
    text = capsys.readouterr().out
    assert "hcc-tace-seg.csv: 105 patients of study hcc-tace" in text
    assert "largest_diameter: in no model, missing in 52 of 105." in text

"""A cohort is refused with every problem at once, or taken as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.errors import InputError, StudyError
from riskscore.study import Study, load_study
from training.cohort import check_cohort, read_cohort
from training.provenance import read_provenance

CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
STUDY = load_study("deb-tace-hcc")


def refused(frame: pd.DataFrame, study: Study = STUDY) -> InputError:
    """Return the error a table is refused with."""
    with pytest.raises(InputError) as caught:
        check_cohort(frame, study, "os", CORE)
    return caught.value


def test_a_good_cohort_is_taken_whole(cohort_frame: pd.DataFrame) -> None:
    """Levels, times and events arrive as numbers, in the study's order."""
    cohort = check_cohort(cohort_frame, STUDY, "os", CORE)
    assert cohort.X.shape == (90, 5)
    assert cohort.n_patients == 90
    assert cohort.groups is None
    np.testing.assert_array_equal(cohort.X[:, 0], cohort_frame["tumor_number"] == ">3")
    np.testing.assert_array_equal(cohort.time, cohort_frame["os_months"])
    np.testing.assert_array_equal(cohort.y["event"], cohort_frame["death"] == 1)
    assert cohort.flow == {"read": 90, "excluded": [], "changed": [], "analysed": 90}
    assert cohort.provenance.kind == "not stated"
    half = cohort.subset(np.arange(45))
    assert (len(half.time), half.n_patients) == (45, 45)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("vascular_invasion", "Yes", r'row 3: vascular_invasion must be one of "no", "yes", got'
         r' \'Yes\'; did you mean "yes"\?'),
        ("treatment", "TACE", r"row 3: treatment must be one of"),
        ("age", 130.0, r"row 3: age must be 18 to 80 years, got 130.0; check the value"),
        ("age", None, r"row 3: age must not be missing; give 18 to 80 years"),
        ("tumor_number", None, r"row 3: tumor_number must not be missing"),
        ("os_months", -2.0, r"row 3: os_months must be above 0 and finite, got -2.0; leave"),
        ("os_months", 0.0, r"row 3: os_months must be above 0 and finite, got 0.0"),
        ("os_months", None, r"row 3: os_months must not be missing; give the time in months"),
        ("os_months", np.inf, r"row 3: os_months must be above 0 and finite, got 'inf'"),
        ("death", 2, r"row 3: death must be 0 or 1, got 2.*write 1 for death, 0 for censored"),
        ("os_months", "long", r"row 3: os_months must be a number, got 'long'"),
        ("death", None, r"row 3: death must not be missing"),
        ("death", pd.NA, r"row 3: death must not be missing"),
        ("death", [1], r"row 3: death must be 0 or 1"),
        ("patient", None, r"row 3: patient must not be missing; name the patient of each row"),
        ("patient", 1, r"row 1: patient must not repeat: the study has no cluster, got '1'"),
    ],
)  # fmt: skip
def test_a_bad_cell_names_row_field_rule_value_and_remedy(
    cohort_frame: pd.DataFrame, column: str, value: Any, message: str
) -> None:
    """One bad cell in the third row."""
    frame = cohort_frame.copy()
    frame[column] = frame[column].astype(object)
    frame.loc[2, column] = value
    with pytest.raises(InputError, match=message):
        check_cohort(frame, STUDY, "os", CORE)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("death", 0, r"death has no event: every row is 0; check the coding"),
        ("treatment", "deb_tace", r"treatment must have two levels present, got 'only deb_tace'"),
        ("age", 60.0, r"age must vary, got 'only 60.0'; leave it out with --predictors"),
    ],
)
def test_a_constant_column_is_refused(
    cohort_frame: pd.DataFrame, column: str, value: Any, message: str
) -> None:
    """No events, one level, one number: nothing can be learnt from it."""
    with pytest.raises(InputError, match=message):
        check_cohort(cohort_frame.assign(**{column: value}), STUDY, "os", CORE)


def test_a_level_nobody_has_is_refused(cohort_frame: pd.DataFrame) -> None:
    """Its effect cannot be estimated; the remedy is to merge it."""
    frame = cohort_frame.assign(ecog=np.where(cohort_frame["age"] > 60, "0", "1"))
    with pytest.raises(InputError, match=r"ecog must have every declared level.*nobody with 2"):
        check_cohort(frame, STUDY, "os", ("ecog",))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("age", r"age column is missing; add it, with 18 to 80 years"),
        ("os_months", r"os_months column is missing; add it, with follow-up time in months"),
        ("death", r"death column is missing; add it, with 1 for an event"),
    ],
)
def test_a_missing_column_is_refused(cohort_frame: pd.DataFrame, column: str, message: str) -> None:
    """The remedy says what belongs in it."""
    with pytest.raises(InputError, match=message):
        check_cohort(cohort_frame.drop(columns=column), STUDY, "os", CORE)


def test_a_misspelt_column_is_recognised(cohort_frame: pd.DataFrame) -> None:
    """The nearest column of the table is offered."""
    error = refused(cohort_frame.rename(columns={"tumor_number": "tumour_number"}))
    assert 'did you mean "tumour_number"?' in str(error)


def test_every_problem_is_listed_at_once(cohort_frame: pd.DataFrame) -> None:
    """Six problems in four columns and two rows come together, in the order of the rows."""
    frame = cohort_frame.astype(object).copy()
    frame.loc[1, ["age", "treatment"]] = [5, "x"]
    frame.loc[7, ["os_months", "death"]] = [0, 3]
    error = refused(frame.drop(columns="tumor_number"))
    assert [(p.row, p.field) for p in error.problems] == [
        (None, "tumor_number"), (2, "treatment"), (2, "age"), (8, "os_months"), (8, "death"),
    ]  # fmt: skip


def test_hundreds_of_problems_are_counted(cohort_frame: pd.DataFrame) -> None:
    """The first twenty are spelt out."""
    error = refused(cohort_frame.assign(age=5.0))
    assert len(error.problems) == 90
    assert "90 problems" in str(error)
    assert "and 70 more" in str(error)


def test_an_empty_table_is_refused(cohort_frame: pd.DataFrame) -> None:
    """A header without rows is no cohort."""
    assert "table has no rows" in str(refused(cohort_frame.iloc[:0]))


def test_events_may_be_booleans_or_text(cohort_frame: pd.DataFrame) -> None:
    """What CSV and Parquet give for 0 and 1 is understood alike."""
    expected = check_cohort(cohort_frame, STUDY, "os", CORE).event
    for death in (cohort_frame["death"].astype(bool), cohort_frame["death"].astype(str)):
        found = check_cohort(cohort_frame.assign(death=death), STUDY, "os", CORE)
        np.testing.assert_array_equal(found.event, expected)


def test_a_cluster_must_be_named_in_every_row(cohort_frame: pd.DataFrame) -> None:
    """Where the study has a cluster, repeats are welcome and gaps are not."""
    declared = STUDY.to_dict()
    declared["study"]["cluster"] = "patient"
    study = Study.from_dict(declared)
    frame = cohort_frame.assign(patient=np.arange(90) // 3)
    cohort = check_cohort(frame, study, "os", CORE)
    assert cohort.n_patients == 30
    assert cohort.n_patients_with_event == frame.loc[frame["death"] == 1, "patient"].nunique()
    alone = check_cohort(cohort_frame, study, "os", CORE)
    assert alone.groups is None  # nobody repeats: rows are patients
    assert cohort.groups is not None
    np.testing.assert_array_equal(np.bincount(cohort.groups), np.full(30, 3))
    frame["patient"] = frame["patient"].astype(object)
    frame.loc[4, "patient"] = None
    assert "row 5: patient must not be missing" in str(refused(frame, study))
    error = refused(frame.drop(columns="patient"), study)
    assert "patient column is missing; add it, with the patient each row belongs to" in str(error)


def test_horizons_beyond_the_follow_up_are_left_out_and_named(cohort_frame: pd.DataFrame) -> None:
    """Nothing is said about a time that nobody was followed to."""
    frame = cohort_frame.assign(os_months=cohort_frame["os_months"].clip(upper=14))
    cohort = check_cohort(frame, STUDY, "os", CORE)
    assert cohort.outcome.horizons == (6.0, 12.0)
    assert cohort.horizons_left_out == (18.0, 24.0)
    short = cohort_frame.assign(os_months=cohort_frame["os_months"].clip(upper=3))
    assert "must have a horizon within the follow-up, which ends at 3" in str(refused(short))


def test_an_undeclared_outcome_is_refused(cohort_frame: pd.DataFrame) -> None:
    """The study's outcomes are listed."""
    with pytest.raises(StudyError, match="got 'dfs'; choose from os, pfs, ttp"):
        check_cohort(cohort_frame, STUDY, "dfs")


def test_a_provenance_file_beside_the_cohort_is_read(cohort_csv: Path) -> None:
    """Source, licence and limits travel with the model; without the file, that is said."""
    assert read_cohort(cohort_csv, STUDY, "os", CORE).provenance.source == "not stated"
    stated = cohort_csv.with_suffix(".source.toml")
    stated.write_text(
        'kind = "patients"\nsource = "Our registry"\nlicence = "internal"\nlimits = ["One."]\n'
    )
    provenance = read_cohort(cohort_csv, STUDY, "os", CORE).provenance
    assert (provenance.kind, provenance.limits) == ("patients", ("One.",))
    assert provenance.statement == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind = ", "must be TOML"),
        ('kind = "real"\nsource = "x"\nlicence = "y"', "kind must be one of patients"),
        ('kind = "patients"\nlicence = "y"', "source is required"),
        (
            'kind = "patients"\nsource = "x"\nlicence = "y"\nlimits = "none"',
            "limits must be a list",
        ),
    ],
)
def test_a_wrong_provenance_file_is_refused(cohort_csv: Path, content: str, message: str) -> None:
    """What it says must be readable."""
    cohort_csv.with_suffix(".source.toml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_provenance(cohort_csv)

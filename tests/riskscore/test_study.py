"""Study files are read whole, or refused with every broken rule."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from riskscore.errors import StudyError
from riskscore.study import Study, load_study, shipped_studies

VALID: dict[str, Any] = {
    "format": 1,
    "study": {
        "id": "demo",
        "title": "A demonstration",
        "population": "Adults",
        "time_unit": "month",
        "time_origin": "diagnosis",
    },
    "outcomes": {"os": {"label": "Survival", "time": "t", "event": "d", "horizons": [6, 12]}},
    "predictors": {
        "sex": {"levels": ["male", "female"]},
        "age": {"unit": "year", "range": [18, 80]},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the valid study with one key set, or removed when the value is None."""
    declared = copy.deepcopy(VALID)
    *parents, key = path.split(".")
    table = declared
    for parent in parents:
        table = table[parent]
    if value is None:
        del table[key]
    else:
        table[key] = value
    return declared


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_survive_a_round_trip(name: str) -> None:
    """A study written as tables and read again is the same study."""
    study = load_study(name)
    assert study.id == name
    assert Study.from_dict(study.to_dict()) == study


def test_the_source_study_declares_what_its_tables_hold() -> None:
    """Three outcomes, the core four first, and the other items of Tables 1 and 5."""
    study = load_study("deb-tace-hcc")
    assert list(study.outcomes) == ["os", "pfs", "ttp"]
    assert list(study.predictors) == [
        "tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age", "sex",
        "etiology", "cirrhosis", "tumor_diameter", "ecog", "child_class", "bclc_stage",
        "afp_level", "previous_treatment",
    ]  # fmt: skip
    assert study.treatment is not None
    assert study.treatment.levels == ("deb_tace", "deb_tace_sorafenib")


def test_the_shared_study_clusters_on_the_patient() -> None:
    """The study of both real cohorts has repeated rows of a patient, and AFP on the log scale."""
    study = load_study("hcc-tace")
    assert study.cluster == "patient"
    assert study.predictors["afp"].form == "log"
    assert len(study.predictors) == 7


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, r"format must be one of 1, got 2; this version reads format 1"),
        ("study.id", "Demo Study", r"study.id must be lower-case letters and digits joined"),
        ("study.titel", "x", r'study.titel is not a key of this table; did you mean "title"\?'),
        ("study.title", None, r"study.title is required; add it"),
        ("study.title", " ", r"study.title must be a non-empty text"),
        ("study.time_unit", "months", r'time_unit must be one of .*did you mean "month"\?'),
        ("study", "demo", r"study must be a table, got 'demo'"),
        ("outcomes", {}, r"outcomes must declare at least one; add \[outcomes.NAME\]"),
        ("outcomes.os.horizons", [0, 6], r"outcomes.os.horizons must be above 0, got 0.0"),
        ("outcomes.os.horizons", [-3], r"outcomes.os.horizons must be above 0, got -3.0"),
        ("outcomes.os.horizons", [12, 6], r"horizons must ascend without repeats"),
        ("outcomes.os.horizons", 12, r"horizons must be a list of numbers, got 12"),
        ("outcomes.os.horizons", ["12"], r"must be a finite number, got '12'"),
        ("outcomes.os.time", "age", r"outcomes.os.time must not be the column of predictors.age"),
        ("outcomes.os.event", "t", r"outcomes.os.event must not be the column of outcomes.os.time"),
        ("study.cluster", "sex", r"study.cluster must not be the column of predictors.sex too"),
        ("predictors", {}, r"predictors must declare at least one"),
        ("predictors.sex.levels", ["a", "b", "a"], r"levels must not repeat a level, got 'a'"),
        ("predictors.sex.levels", ["a"], r"levels must be at least two, got 'a'"),
        ("predictors.sex.levels", [0, 1], r"levels must be a list of texts"),
        ("predictors.sex.levels", ["a", " b"], r"must be texts without space around them"),
        ("predictors.sex.unit", "year", r"predictors.sex.unit is not a key of this table"),
        ("predictors.age.range", [80, 18], r"range must go from low to high.*write \[18, 80\]"),
        ("predictors.age.range", [18], r"range must be two numbers"),
        ("predictors.age.range", None, r"predictors.age must have levels .* or unit and range"),
        ("predictors.age.unit", None, r"predictors.age.unit is required"),
        ("predictors.age.form", "cubic", r"form must be one of linear, log, spline, got 'cubic'"),
        ("predictors.age.form", 1, r"form must be one of linear, log, spline, got 1"),
        ("predictors.age.role", "treatment", r"role treatment needs levels to compare"),
        ("predictors.sex.missing", "impute", r"missing must be one of refuse, got 'impute'"),
        ("predictors.Sex", {"levels": ["a", "b"]}, r"must be named in lower-case letters"),
        ("predictors.sex.codes", "loinc", r"predictors.sex.codes must be a table"),
    ],
)
def test_a_wrong_study_names_file_key_rule_and_remedy(path: str, value: Any, message: str) -> None:
    """Each broken rule is refused in words that say what to do."""
    with pytest.raises(StudyError, match=message) as caught:
        Study.from_dict(changed(path, value), "demo.toml")
    assert str(caught.value).startswith("demo.toml: ")


def test_log_form_needs_a_positive_range() -> None:
    """The logarithm of 0 does not exist, so a range that holds 0 is refused."""
    declared = changed("predictors.age.range", [0, 80])
    declared["predictors"]["age"]["form"] = "log"
    with pytest.raises(StudyError, match="log needs a range above 0"):
        Study.from_dict(declared)


def test_two_treatments_are_refused() -> None:
    """A comparison with and without treatment switches one predictor."""
    declared = changed("predictors.sex.role", "treatment")
    declared["predictors"]["other"] = {"levels": ["a", "b"], "role": "treatment"}
    with pytest.raises(StudyError, match="at most one may have role treatment, got 'sex, other'"):
        Study.from_dict(declared)


def test_every_problem_is_listed_at_once() -> None:
    """Three broken rules give three problems."""
    declared = changed("study.time_unit", "fortnight")
    declared["predictors"]["sex"]["levels"] = ["a", "a"]
    declared["outcomes"]["os"]["horizons"] = [0]
    with pytest.raises(StudyError, match="3 problems") as caught:
        Study.from_dict(declared)
    fields = [p.field for p in caught.value.problems]
    assert sorted(fields) == ["outcomes.os.horizons", "predictors.sex.levels", "study.time_unit"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"format = ", "must be TOML: Invalid value"),
        (b"\xff\xfe", r"must be readable \(not UTF-8 text\)"),
        (None, r"must be readable \(No such file or directory\)"),
    ],
)
def test_a_file_that_is_no_study_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """Missing, not text, or not TOML: the error says which."""
    path = tmp_path / "s.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_a_study_is_reduced_in_its_own_order() -> None:
    """Training keeps the study's order of predictors, whatever order they were asked in."""
    study = load_study("deb-tace-hcc").reduced("os", ("treatment", "tumor_number"))
    assert list(study.predictors) == ["tumor_number", "treatment"]
    assert list(study.outcomes) == ["os"]


@pytest.mark.parametrize(
    ("outcome", "predictors", "message"),
    [
        ("oss", None, r"outcome must be declared by study demo, got 'oss'; choose from os"),
        ("os", ("weight",), r"predictor must be declared by study demo, got 'weight'"),
        ("os", ("age", "age"), r"must name at least one predictor, each once"),
        ("os", (), r"must name at least one predictor, each once"),
    ],
)
def test_a_reduction_names_what_is_not_declared(
    outcome: str, predictors: tuple[str, ...] | None, message: str
) -> None:
    """Unknown outcomes and predictors are refused with those there are."""
    with pytest.raises(StudyError, match=message):
        Study.from_dict(VALID).reduced(outcome, predictors)


def test_optional_keys_are_kept() -> None:
    """Codes, help and role travel through the tables."""
    declared = changed("predictors.sex.codes", {"loinc": "46098-0"})
    declared["predictors"]["sex"]["help"] = "as registered"
    study = Study.from_dict(declared)
    assert study.to_dict()["predictors"]["sex"] == {
        "label": "sex",
        "levels": ["male", "female"],
        "help": "as registered",
        "codes": {"loinc": "46098-0"},
    }


def test_levels_have_labels_for_people() -> None:
    """A label a level, in their order; the levels themselves where there are none."""
    plain = Study.from_dict(VALID)
    assert plain.predictors["sex"].shown_levels == ("male", "female")
    study = Study.from_dict(changed("predictors.sex.level_labels", ["Men", "Women"]))
    assert study.predictors["sex"].shown_levels == ("Men", "Women")
    assert Study.from_dict(study.to_dict()) == study
    three = changed("predictors.sex.level_labels", ["a", "b", "c"])
    with pytest.raises(StudyError, match="level_labels must be 2, got 'a, b, c'; label every"):
        Study.from_dict(three)

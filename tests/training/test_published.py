"""The file of published numbers: what it holds, and how a wrong one is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import training.published as door
from riskscore.study import load_study
from training.published import (
    DEB_TACE,
    Printed,
    Published,
    PublishedError,
    load_published,
)

SMALL = """
format = 1

[study]
id = "small"
study = "deb-tace-hcc"
citation = "Nobody"
design = "invented"
time_unit = "month"

[[arms]]
id = "deb_tace_sorafenib"
label = "A"
n = 10
where = "Table 1"

[[arms]]
id = "deb_tace"
label = "B"
n = 12
where = "Table 1"

[[counts]]
where = "Table 1"
variable = "sex"
label = "Sex"
n = [10, 12]
levels = { male = [6, 7], female = [4, 5] }
p = "0.450"

[[medians]]
where = "Text"
outcome = "os"
arm = "deb_tace"
median = "12.0"

[[graded_events]]
where = "Table 2"
label = "Rash"
arm = "deb_tace"
total = 3
grades = [2, 1, 0, 0]
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a file and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "numbers.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def source() -> Published:
    """Return the numbers of the DEB-TACE study."""
    return load_published(DEB_TACE)


def test_a_printed_number_keeps_its_digits() -> None:
    """Trailing zeros say how far rounding can have moved a number."""
    number = Printed("0.450")
    assert (number.value, number.decimals, str(number)) == (0.45, 3, "0.450")
    assert number.half_unit == pytest.approx(0.0005)
    assert number.interval == pytest.approx((0.4495, 0.4505))
    assert Printed("12").interval == (11.5, 12.5)
    assert Printed("-1.405").interval == pytest.approx((-1.4055, -1.4045))


def test_a_number_agrees_when_it_rounds_to_the_printed_digits() -> None:
    """Half a unit of the last digit either way, the edges included."""
    number = Printed("2.310")
    assert number.agrees(2.3105)
    assert number.agrees(2.3095)
    assert not number.agrees(2.3106)
    assert not number.agrees(float("nan"))


@pytest.mark.parametrize("text", ["nan", "inf", "", "12,5"])
def test_what_is_no_number_is_no_printed_number(text: str) -> None:
    """Words are not measurements."""
    with pytest.raises(ValueError, match=r"finite|convert"):
        Printed(text)


def test_a_small_file_is_read(written: Callable[[str], Path]) -> None:
    """Numbers arrive typed; what is absent is None or empty."""
    published = load_published(written(SMALL))
    assert [arm.n for arm in published.arms] == [10, 12]
    sex = published.counted("sex")
    assert sex.levels == {"male": (6, 7), "female": (4, 5)}
    assert sex.p == Printed("0.450")
    assert sex.denominators == (10, 12)
    assert published.medians[0].median.decimals == 1
    assert published.medians[0].lower is None
    assert published.graded_events[0].grades == (2, 1, 0, 0)
    assert published.effects == ()
    with pytest.raises(KeyError, match="age"):
        published.counted("age")
    with pytest.raises(KeyError, match="deaths"):
        published.suggests("deaths")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('p = "0.450"', "p = 0.450", "counts[1].p must be a printed number, got 0.45; write the "),
        ('p = "0.450"', 'p = "about 0.4"', "counts[1].p must be a printed number, got 'about 0.4'"),
        ('p = "0.450"', 'p = " 0.450"', "counts[1].p must be a printed number, got ' 0.450'"),
        ('p = "0.450"', 'pp = "0.450"', "counts[1].pp is not a key of this table; did you mean"),
        ("n = 10\n", "n = 10.5\n", "arms[1].n must be a count, got 10.5; write a whole number"),
        ("n = 10\n", "n = -1\n", "arms[1].n must be a count, got -1"),
        ("n = 10\n", "n = true\n", "arms[1].n must be a count, got True"),
        ("n = 10\n", "", "arms[1].n is required; add it"),
        ("[10, 12]", "[10]", "counts[1].n must hold 2 values, got 1; write one a declared arm"),
        ("[10, 12]", "10", "counts[1].n must be a list, got '10'; write it in brackets"),
        ("[6, 7]", "[6, 7, 8]", "counts[1].levels.male must hold 2 values, got 3"),
        ("{ male = [6, 7], female = [4, 5] }", '"many"', "counts[1].levels must be a table"),
        ('arm = "deb_tace"\nmedian', 'arm = "both"\nmedian', "medians[1].arm must be one of"),
        ('label = "A"', 'label = ""', "arms[1].label must be a non-empty text"),
        ("format = 1", "format = 2", "format must be one of 1, got 2; this version reads format 1"),
        ("[[graded_events]]", "[graded_events]", "graded_events must be a list of tables"),
        ("[[graded_events]]", "[[grades]]", "grades is not a key of this table"),
        ("format = 1", "format = ", "numbers.toml: 1 problem\n- file must be TOML in UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_key_rule_and_remedy(
    written: Callable[[str], Path], old: str, new: str, message: str
) -> None:
    """Each broken rule names where it is broken and what to do."""
    assert old in SMALL
    with pytest.raises(PublishedError) as caught:
        load_published(written(SMALL.replace(old, new, 1)))
    assert message in str(caught.value)


def test_a_file_without_arms_is_refused(written: Callable[[str], Path]) -> None:
    """Numbers by arm mean nothing without arms."""
    head = SMALL[: SMALL.index("[[arms]]")]
    with pytest.raises(PublishedError, match="arms must declare at least one"):
        load_published(written(head))


def test_every_problem_is_listed_at_once(written: Callable[[str], Path]) -> None:
    """Nobody mends a file one error at a time."""
    wrong = SMALL.replace('p = "0.450"', "p = 0.45").replace('median = "12.0"', "median = 12.0")
    with pytest.raises(PublishedError, match="2 problems") as caught:
        load_published(written(wrong))
    assert [problem.field for problem in caught.value.problems] == [
        "counts[1].p",
        "medians[1].median",
    ]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file and not a traceback."""
    with pytest.raises(PublishedError, match=r"none\.toml: 1 problem\n- file must be readable"):
        load_published(tmp_path / "none.toml")


def test_names_are_those_of_the_study(source: Published) -> None:
    """A cohort's columns and levels are compared with these."""
    study = load_study(source.study.study)
    assert study.treatment is not None
    assert {arm.id for arm in source.arms} == set(study.treatment.levels)
    for counts in source.counts:
        if not counts.variable.startswith("response"):
            assert set(counts.levels) == set(study.predictors[counts.variable].levels)
    variables = {m.variable for m in source.means} | {e.variable for e in source.effects}
    assert variables <= set(study.predictors)
    outcomes = {m.outcome for m in source.medians} | {t.outcome for t in source.logranks}
    assert outcomes | {e.outcome for e in source.effects} <= set(study.outcomes)
    levels = [(e, study.predictors[e.variable].levels) for e in source.effects if e.level]
    assert all({e.level, e.reference} == set(known) for e, known in levels)


def test_every_variable_of_the_study_has_its_numbers(source: Published) -> None:
    """Each predictor stands in the baseline table, the treatment as the arms."""
    study = load_study(source.study.study)
    described = {c.variable for c in source.counts} | {m.variable for m in source.means}
    assert set(study.predictors) - described == {"treatment"}


def test_the_tables_are_whole(source: Published) -> None:
    """As many rows as the source prints."""

    def table(n: int) -> int:
        kinds = (source.means, source.counts, source.adverse_events, source.graded_events)
        return sum(record.where == f"Table {n}" for kind in kinds for record in kind)

    assert [table(n) for n in (1, 2, 3, 4)] == [13, 2, 4, 6]
    assert [e.model for e in source.effects] == ["univariable"] * 11 + ["multivariable"] * 4
    printed = {e.variable: (str(e.coefficient), str(e.hr)) for e in source.multivariable("os")}
    assert printed == {
        "extrahepatic_metastasis": ("0.760", "2.310"),
        "tumor_number": ("0.426", "1.960"),
        "vascular_invasion": ("0.806", "1.971"),
        "treatment": ("-1.405", "0.561"),
    }
    assert [str(test.chi2) for test in source.logranks] == ["6.470", "8.271"]


def test_what_is_implied_is_kept_apart_with_its_reasoning(source: Published) -> None:
    """No number of ours stands among the printed ones."""
    deaths = source.suggests("deaths")
    assert (str(deaths.lower), str(deaths.upper)) == ("53", "71")
    se = source.suggests("standard_error", "treatment")
    assert (se.value, str(se.tolerance)) == ("0.276", "0.01")
    assert all(len(record.reasoning) > 40 for record in source.implied)


def test_no_number_of_the_file_is_a_float() -> None:
    """A TOML float would lose its trailing zeros."""

    def floats(value: Any) -> list[float]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [found for item in value for found in floats(item)]
        return [value] if isinstance(value, float) else []

    assert floats(tomllib.loads(DEB_TACE.read_text(encoding="utf-8"))) == []


def test_the_door_has_these_names() -> None:
    """What a caller may import is this."""
    assert door.__all__ == [
        "DEB_TACE",
        "DEB_TACE_COHORT",
        "Printed",
        "Published",
        "PublishedError",
        "load_published",
    ]

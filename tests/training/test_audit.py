"""The audit of the source study, as a person and a program read it, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import training.audit as door
from training.__main__ import main
from training.audit import SEVERITIES, Audit, Finding, audit, markdown, text, to_dict
from training.audit.report import FORMAT
from training.published import DEB_TACE, load_published


@pytest.fixture(scope="module")
def source() -> Audit:
    """Return the audit of the study behind the shipped models."""
    return audit(load_published(DEB_TACE))


def found(source: Audit, rule: str, subject: str = "") -> list[Finding]:
    """Return the findings of a rule whose subject begins so."""
    return [f for f in source.findings if f.rule == rule and f.subject.startswith(subject)]


def one(source: Audit, rule: str, subject: str) -> Finding:
    """Return the only finding of a rule on a subject."""
    (finding,) = found(source, rule, subject)
    return finding


JOINT = ("Extrahepatic metastasis", "Tumor numbers", "Vascular invasion", "Treatment")


@pytest.mark.parametrize(
    ("variable", "coefficient", "hr", "lower", "upper"),
    [
        # exp(0.760) = 2.138 and so on, by a pocket calculator.
        ("Extrahepatic metastasis", "0.760", "2.310", 2.137, 2.140),
        ("Tumor numbers", "0.426", "1.960", 1.530, 1.532),
        ("Vascular invasion", "0.806", "1.971", 2.237, 2.241),
        ("Treatment", "-1.405", "0.561", 0.245, 0.246),
    ],
)
def test_every_coefficient_contradicts_its_hazard_ratio(
    source: Audit, variable: str, coefficient: str, hr: str, lower: float, upper: float
) -> None:
    """All four of Table 5."""
    finding = one(source, "coefficient", variable)
    assert finding.reported == f"coefficient {coefficient}, HR {hr}"
    assert finding.severity == "impossible"
    assert finding.interval is not None
    assert lower < finding.interval.lower <= finding.interval.upper < upper


def test_the_metastasis_interval_is_wrong_in_three_ways(source: Audit) -> None:
    """Off its centre, beside a P value on the other side of 0.05, and too narrow."""
    metastasis = "Extrahepatic metastasis, multivariable"
    assert "2.438 to 2.439" in one(source, "centre", metastasis).recomputed
    assert "excludes 1" in one(source, "significance", metastasis).recomputed
    narrow = one(source, "standard-error", metastasis)
    assert narrow.reported == "interval 1.673 to 3.554"
    assert narrow.recomputed == "SE 0.192, which needs 109 events; 90 patients give 0.211 at least"
    assert narrow.severity == "impossible"


def test_the_p_values_of_tumour_number_and_treatment_do_not_follow(source: Audit) -> None:
    """0.013 beside 0.044, and 0.001 beside 0.036; vascular invasion's 0.008 does follow."""
    assert one(source, "p-value", "Tumor numbers, multi").recomputed == "P 0.043 to 0.045"
    assert one(source, "p-value", "Treatment, multi").recomputed == "P 0.036 to 0.037"
    assert found(source, "p-value", "Vascular invasion, multi") == []
    assert found(source, "centre", "Vascular invasion, multi") == []


def test_univariable_significance_contradicts_the_intervals(source: Audit) -> None:
    """Three "significant" with intervals across 1, and BCLC the reverse."""
    for variable in ("Extrahepatic metastasis", "Tumor numbers", "Vascular invasion"):
        finding = one(source, "significance", f"{variable}, univariable")
        assert "includes 1" in finding.recomputed
        assert finding.severity == "inconsistent"
    assert "excludes 1" in one(source, "significance", "BCLC stage").recomputed


def test_the_p_values_of_age_and_diameter_are_one_sided(source: Audit) -> None:
    """Two-sided they are 0.83 and 0.48."""
    for variable, p in (("Age", "0.417"), ("Tumor diameter", "0.241")):
        finding = one(source, "t-test", variable)
        assert finding.reported.startswith(f"P {p} for")
        assert "one-sided" in finding.meaning


def test_the_etiology_p_fits_no_test(source: Audit) -> None:
    """0.915 beside Pearson's 0.996."""
    finding = one(source, "count-test", "History of liver disease")
    assert "Pearson 0.9958" in finding.recomputed
    assert "no usual test fits" in finding.recomputed
    assert finding.severity == "inconsistent"


def test_three_medians_are_not_the_centres_of_their_intervals(source: Audit) -> None:
    """19, 13 and 9 instead of 18.6, 12.7 and 8.3; the fourth, 6.0, is."""
    reported = [f.reported.split()[1] for f in found(source, "median")]
    assert reported == ["18.6", "12.7", "8.3"]
    centres = [
        f.recomputed.removeprefix("centre of the interval ") for f in found(source, "median")
    ]
    assert centres == ["19.00", "13.00", "9.00"]
    assert len(found(source, "whole-centre")) == 1


def test_patients_stand_in_the_tables_whom_the_criteria_exclude(source: Audit) -> None:
    """Metastasis was excluded and is present in 14."""
    assert "14 patients" in one(source, "eligibility", "Extrahepatic metastasis").recomputed
    assert "75 patients" in one(source, "eligibility", "Previous treatment").recomputed


def test_the_control_group_has_two_sizes(source: Audit) -> None:
    """42 in Table 3, 48 elsewhere; the P values of Table 3 are those of 48."""
    finding = one(source, "group-size", "size of the control group")
    assert (finding.where, finding.reported) == ("Table 3", "n 42")
    assert finding.recomputed.startswith("n 48 (Table 1")
    fits = [f for f in found(source, "count-test") if f.where == "Table 3"]
    assert [f.subject for f in fits] == ["Fever", "Pain", "Nausea and vomiting"]
    assert all("it fits groups of 42 and 48" in f.recomputed for f in fits)


def test_grade_three_events_contradict_the_text(source: Audit) -> None:
    """Seven events of grade III in Table 4, none above grade 2 in the text."""
    finding = one(source, "highest-grade", "")
    assert (finding.where, finding.reported) == ("Results, Adverse reaction", "no grade above 2")
    assert finding.recomputed.startswith("7 above it (Table 4)")


def test_logistic_and_cox_regression_are_named_for_one_analysis(source: Audit) -> None:
    """The abstract says one, the methods the other."""
    finding = one(source, "analysis", "analysis of os")
    assert (finding.where, finding.reported) == ("Abstract", "logistic regression")
    assert finding.recomputed.startswith("Cox regression")


def test_more_is_found_than_by_hand(source: Audit) -> None:
    """Follow-up, log-rank against Cox, impossible P values, a P of Table 2, digits cut off."""
    assert "26.0 at most" in one(source, "follow-up", "").recomputed
    assert len(found(source, "log-rank-cox", "Treatment")) == 2
    assert "14,858 events" in one(source, "standard-error", "Vascular invasion, uni").recomputed
    assert one(source, "standard-error", "Treatment, multi").reported == "HR 0.561 with P 0.001"
    assert one(source, "count-test", "DCR at 1 month").severity == "inconsistent"
    assert one(source, "count-test", "Vascular invasion").severity == "remark"


def test_what_agrees_is_left_alone(source: Audit) -> None:
    """Rules that were asked and found nothing."""
    silent = (
        "range",
        "levels",
        "percentage",
        "total",
        "grades",
        "log-rank",
        "significant",
        "claim",
    )
    assert {rule: source.found(rule) for rule in silent} == dict.fromkeys(silent, 0)
    assert all(source.checks[rule] > 0 for rule in silent)


def test_the_text_fits_a_terminal_and_explains_its_marks(source: Audit) -> None:
    """A hundred columns, the severest first, each mark with its meaning below."""
    shown = text(source)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line.split()[0].lower() for line in lines if re.match(r"[A-Z]+ \(\d+\)", line)]
    assert tuple(heads) == SEVERITIES
    table, _, notes = shown.partition("What it means for a model")
    assert set(re.findall(r" \[(\d+)\]$", table, re.MULTILINE)) == set(
        re.findall(r"^\[(\d+)\] ", notes, re.MULTILINE)
    )
    numbers = re.findall(r"^(\d+) ", table.split("IMPOSSIBLE")[1], re.MULTILINE)
    assert numbers == [str(i) for i in range(1, len(source.findings) + 1)]


def test_markdown_has_a_row_a_finding_and_a_row_a_rule(source: Audit) -> None:
    """Bars and angle brackets do not break its tables."""
    lines = markdown(source).splitlines()
    rows = [line for line in lines if re.match(r"\| \d+ \|", line)]
    assert len(rows) == len(source.findings)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 8 for row in rows)
    assert not any("<" in line for line in lines)
    assert sum(
        line.startswith(f"| {rule.name} |") for rule in source.rules for line in lines
    ) >= len(source.rules)


def test_json_has_a_stable_form(source: Audit) -> None:
    """The keys a bundle's reader may rely on, and numbers that JSON can hold."""
    written = json.loads(json.dumps(to_dict(source), allow_nan=False))
    assert list(written) == ["format", "study", "summary", "count_tests", "rules", "findings"]
    assert written["format"] == FORMAT == 1
    assert written["study"]["id"] == "deb-tace-2021"
    assert sum(written["summary"].values()) == len(written["findings"])
    assert sum(rule["findings"] for rule in written["rules"]) == len(written["findings"])
    assert list(written["findings"][0]) == [
        "number",
        "where",
        "subject",
        "rule",
        "severity",
        "reported",
        "recomputed",
        "interval",
        "meaning",
    ]
    intervals = [f["interval"] for f in written["findings"] if f["interval"]]
    assert all(set(interval) == {"lower", "upper"} for interval in intervals)


def test_the_command_writes_all_three(
    source: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0, whatever it finds."""
    paths = [tmp_path / name for name in ("audit.md", "audit.json")]
    options = ["--markdown", str(paths[0]), "--json", str(paths[1])]
    assert main(["audit", str(DEB_TACE), *options]) == 0
    assert capsys.readouterr().out == text(source) + "\n"
    assert paths[0].read_text(encoding="utf-8") == markdown(source)
    assert json.loads(paths[1].read_text(encoding="utf-8")) == to_dict(source)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that audits a wrong file and returns what it is told."""

    def run(old: str, new: str) -> str:
        right = DEB_TACE.read_text(encoding="utf-8")
        assert old in right
        path = tmp_path / "numbers.toml"
        path.write_text(right.replace(old, new, 1), encoding="utf-8")
        assert main(["audit", str(path), "--json", str(tmp_path / "audit.json")]) == 2
        assert not (tmp_path / "audit.json").exists()
        told = capsys.readouterr()
        assert told.out == ""
        assert "Traceback" not in told.err
        return told.err

    return run


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 42\n", "n = 0\n", "arms[1].n must be 1 or more, got 0; count its patients"),
        ('hr = "0.976"', "hr = 0.976", "hr must be a printed number, got 0.976"),
        ('levels = ["CR", "PR"]', 'levels = ["CR", "P"]', "rates[1].levels must be levels that"),
        ('topic = "software"', 'topic = "program"', "statements[1].topic must be one of analysis"),
        ('model = "response"', 'model = "answer"', "model must be one of univariable"),
        ('value = "0.05"', 'value = "five"', "value must be a number in quotes, got 'five'"),
        ('cell = ["arms", "n"]', 'cell = ["arm", "n"]', "arm is none of arms, counts"),
        ('cell = ["arms", "n"]', 'cell = ["arms", "c"]', "claims[1].cell must name a cell"),
        ('cell = ["arms", "n"]', 'cell = ["arms"]', "arms cells have another number of names"),
        ('relation = "equals"', 'relation = "is"', "claims[1].relation must be one of equals"),
        ('relation = "equals"\nvalue = "90"', 'relation = "equals"', "must hold either value or"),
        ('["graded_events", "Hypertension", "3"]', '["graded_events", "Hyp", "3"]', "called Hyp"),
        ('["logranks", "os", "p"]', '["logranks", "os", "q"]', "q was not printed"),
    ],
)
def test_a_wrong_file_is_refused(
    refused: Callable[..., str], old: str, new: str, message: str
) -> None:
    """Exit status 2, which record, the rule and the remedy; nothing is written."""
    assert message in refused(old, new)


def test_a_missing_file_and_a_missing_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is computed."""
    assert main(["audit", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: 1 problem" in capsys.readouterr().err
    assert main(["audit", str(DEB_TACE), "--json", str(tmp_path / "no" / "audit.json")]) == 2
    assert "--json must be in a folder that exists" in capsys.readouterr().err


def test_a_study_without_contradictions_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No table, no notes, and still exit status 0."""
    head = DEB_TACE.read_text(encoding="utf-8").partition("# ---- Characteristics")[0]
    path = tmp_path / "small.toml"
    path.write_text(head, encoding="utf-8")
    assert main(["audit", str(path)]) == 0
    assert "0 findings in 0 checks" in capsys.readouterr().out


def test_the_door_has_these_names() -> None:
    """What a caller may import is this."""
    assert door.__all__ == [
        "RULES",
        "SEVERITIES",
        "Audit",
        "Finding",
        "Interval",
        "Rule",
        "audit",
        "markdown",
        "text",
        "to_dict",
    ]

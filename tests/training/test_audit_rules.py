"""Each rule of the audit on a case that is consistent and one that is not, both worked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from training.audit import RULES, Finding, audit
from training.published import Printed, Published
from training.published.records import (
    AdverseEvent,
    Arm,
    Claim,
    Counts,
    Effect,
    Events,
    FollowUp,
    GradedEvent,
    Logrank,
    Means,
    Median,
    Rate,
    Statement,
    StudyHead,
    Total,
)

EMPTY = Published(
    study=StudyHead("small", "none", "Nobody", "invented", "month"),
    arms=(Arm("a", "Group A", 40, "Table 1"), Arm("b", "Group B", 50, "Table 1")),
)
"""90 patients, so that a standard error is at least 2 / sqrt(90) = 0.2108 for an indicator."""


def effect(hr: str, interval: str = "", p: str | None = None, **more: Any) -> Effect:
    """Return a row of a Cox table, of an indicator unless `level` says otherwise."""
    low, _, high = interval.partition(" ")
    values: dict[str, Any] = {
        "where": "Table 5",
        "outcome": "os",
        "model": "multivariable",
        "variable": "x",
        "label": "X",
        "hr": Printed(hr),
        "lower": Printed(low) if low else None,
        "upper": Printed(high) if high else None,
        "p": Printed(p) if p else None,
        "level": "yes",
        "reference": "no",
    }
    return Effect(**values | more)


def effects(*rows: Effect) -> Published:
    """Return a study with these rows."""
    return replace(EMPTY, effects=rows)


def coefficient(text: str, hr: str) -> Published:
    """Return a study with one coefficient and hazard ratio."""
    return effects(effect(hr, coefficient=Printed(text)))


def counts(levels: dict[str, tuple[int, int]], **more: Any) -> Counts:
    """Return counts of the 40 and 50 patients."""
    values: dict[str, Any] = {"where": "Table 1", "variable": "x", "label": "X", "n": (40, 50)}
    return Counts(**values | {"levels": levels} | more)


def means(mean: tuple[str, str], sd: tuple[str, str], p: str, test: str | None = None) -> Published:
    """Return a study with one number by arm."""
    pairs = [tuple(map(Printed, pair)) for pair in (mean, sd)]
    return replace(
        EMPTY,
        means=(Means("Table 1", "age", "Age", (40, 50), pairs[0], pairs[1], Printed(p), test),),
    )


def median(value: str, low: str, high: str, software: str = "SPSS 20") -> Published:
    """Return a study with one median and the software that made it."""
    row = Median("Text", "os", "a", *map(Printed, (value, low, high)))
    return replace(EMPTY, medians=(row,), statements=(Statement("M", "software", software),))


def medians(*rows: tuple[str, str, str]) -> Published:
    """Return a study with several medians by SPSS."""
    known = tuple(Median("Text", "os", "a", *map(Printed, row)) for row in rows)
    return replace(EMPTY, medians=known, statements=(Statement("M", "software", "SPSS"),))


def rate(percent: tuple[str, str], chi2: str | None = None, p: str | None = None) -> Published:
    """Return a study in which 10 of 40 and 25 of 50 responded: 25 % and 50 %."""
    row = Rate(
        "Table 2",
        "x",
        "ORR",
        ("yes",),
        tuple(map(Printed, percent)),
        Printed(chi2) if chi2 else None,
        Printed(p) if p else None,
    )
    return replace(EMPTY, counts=(counts({"yes": (10, 25), "no": (30, 25)}),), rates=(row,))


def said(topic: str, records: dict[str, Any], **more: Any) -> Published:
    """Return a study with one statement and the records it speaks of."""
    return replace(EMPTY, statements=(Statement("Text", topic, **more),), **records)


def claim(relation: str, value: str, cell: tuple[str, ...] = ("arms", "n")) -> Published:
    """Return a study with one claim."""
    return replace(EMPTY, claims=(Claim("Text", "it", relation, cell, Printed(value)),))


def follow_up(mean: str, longest: str = "30") -> Published:
    """Return a study whose medians are 12.0 and 8.0, followed from 2 to `longest` months."""
    rows = (
        Median("Text", "os", "a", Printed("12.0")),
        Median("Text", "os", "b", Printed("8.0")),
    )
    row = FollowUp("Text", "os", Printed("2"), Printed(longest), Printed(mean))
    return replace(EMPTY, medians=rows, follow_up=(row,))


SEX: dict[str, Any] = {
    "counts": (counts({"male": (30, 25), "female": (10, 25)}, p=Printed("0.016")),)
}
RASH: dict[str, Any] = {"graded_events": (GradedEvent("Table 4", "Rash", "a", 9, (6, 2, 1)),)}
AGED: dict[str, Any] = {"means": means(("60.0", "70.0"), ("9.0", "9.0"), "1").means}
LIMITS: dict[str, Any] = {"variable": "age", "lower": Printed("18"), "upper": Printed("80")}
TREATED = {"model": "univariable", "level": "a", "reference": "b"}

CASES: list[tuple[str, Published, Published, str, str]] = [
    (
        "range",
        effects(effect("1.20", "0.90 1.60", "1")),
        effects(effect("1.20", "0.90 1.60", "1.20")),
        "impossible",
        "P 1.20",
    ),
    (
        "range",
        effects(effect("1.20", "0.90 1.60")),
        effects(effect("1.20", "1.60 0.90")),
        "impossible",
        "1.60 to 0.90",
    ),
    # Values from 18 to 80 with mean 60 have an SD of sqrt(42 x 20 x 40 / 39) = 29.4 at most.
    (
        "spread",
        said("eligible", AGED, **LIMITS),
        said("eligible", {"means": means(("60.0", "60.0"), ("9.0", "30.5"), "1").means}, **LIMITS),
        "impossible",
        "SD 30.5",
    ),
    (
        "spread",
        said("eligible", AGED, variable="age", lower=Printed("50")),
        said("eligible", AGED, variable="age", lower=Printed("52")),
        "remark",
        "limit 52",
    ),
    (
        "levels",
        replace(EMPTY, counts=(counts({"yes": (10, 20), "no": (30, 30)}),)),
        replace(EMPTY, counts=(counts({"yes": (10, 20), "no": (31, 30)}),)),
        "impossible",
        "n 40",
    ),
    (
        "levels",
        replace(EMPTY, counts=(counts({"yes": (10, 20), "no": (30, 30)}),)),
        replace(EMPTY, counts=(counts({"yes": (10, 20), "no": (30, 29)}),)),
        "inconsistent",
        "n 50",
    ),
    (
        "group-size",
        replace(EMPTY, adverse_events=(AdverseEvent("Table 3", "Fever", (40, 50), (4, 5)),)),
        replace(EMPTY, adverse_events=(AdverseEvent("Table 3", "Fever", (40, 40), (4, 5)),)),
        "inconsistent",
        "n 40",
    ),
    (
        "denominator",
        replace(
            EMPTY,
            counts=(counts({"yes": (40, 50)}, evaluated=(40, 50), evaluated_where="Text"),),
        ),
        replace(
            EMPTY, counts=(counts({"yes": (40, 48)}, evaluated=(40, 48), evaluated_where="Text"),)
        ),
        "remark",
        "n 50 in the head",
    ),
    ("percentage", rate(("25.0", "50.0")), rate(("25.0", "51.0")), "inconsistent", "51.0 %"),
    (
        "total",
        replace(EMPTY, totals=(Total("Text", "Males", 55, "x", "male"),), **SEX),
        replace(EMPTY, totals=(Total("Text", "Males", 56, "x", "male"),), **SEX),
        "inconsistent",
        "56",
    ),
    (
        "total",  # 55 / 90 = 61.11 %
        replace(EMPTY, totals=(Total("T", "M", 55, "x", "male", percent=Printed("61.1")),), **SEX),
        replace(EMPTY, totals=(Total("T", "M", 55, "x", "male", percent=Printed("61.5")),), **SEX),
        "inconsistent",
        "61.5 %",
    ),
    (
        "grades",
        replace(EMPTY, **RASH),
        replace(EMPTY, graded_events=(GradedEvent("Table 4", "Rash", "a", 9, (6, 2, 2)),)),
        "inconsistent",
        "total 9",
    ),
    # t = 2 / (10 sqrt(1/40 + 1/50)) = 0.943 with 88 degrees of freedom: P 0.348, one-sided 0.174.
    (
        "t-test",
        means(("62.0", "60.0"), ("10.0", "10.0"), "0.348"),
        means(("62.0", "60.0"), ("10.0", "10.0"), "0.174"),
        "inconsistent",
        "P 0.174",
    ),
    # 10/40 against 25/50: 90 (10 x 25 - 30 x 25)^2 / (35 x 55 x 40 x 50) = 5.844.
    (
        "chi-square",
        rate(("25", "50"), "5.844", "0.016"),
        rate(("25", "50"), "5.900", "0.016"),
        "inconsistent",
        "chi-square 5.900",
    ),
    (
        "count-test",
        replace(EMPTY, **SEX),
        replace(EMPTY, counts=(replace(SEX["counts"][0], p=Printed("0.021")),)),
        "inconsistent",
        "P 0.021 for 30/40 and 25/50",
    ),
    # 3.841 is the 95 % point.
    (
        "log-rank",
        replace(EMPTY, logranks=(Logrank("Text", "os", Printed("3.84"), Printed("0.050")),)),
        replace(EMPTY, logranks=(Logrank("Text", "os", Printed("3.84"), Printed("0.040")),)),
        "impossible",
        "P 0.040",
    ),
    (
        "median",
        median("12.0", "9.0", "15.0"),
        median("12.0", "9.0", "16.5"),
        "inconsistent",
        "12.0",
    ),
    (
        "median",
        median("12.0", "9.0", "16.5", "R 4.3"),
        median("17.0", "9.0", "16.5", "R 4.3"),
        "impossible",
        "median 17.0",
    ),
    (
        "whole-centre",
        medians(("12.6", "9.111", "16.123"), ("8.0", "7.100", "9.000"), ("6.0", "5.55", "6.55")),
        medians(("12.6", "9.877", "16.123"), ("8.0", "7.000", "9.000"), ("5.8", "5.25", "6.75")),
        "remark",
        "12.6, 8.0, 5.8",
    ),
    # At most (40 (12.05 + 30.5) + 50 (8.05 + 30.5)) / 2 / 90 = 20.2.
    ("follow-up", follow_up("20.1"), follow_up("20.3"), "inconsistent", "mean 20.3"),
    ("follow-up", follow_up("20.1"), follow_up("31.0"), "impossible", "mean 31.0"),
    # exp(0.693) = 2.000, exp(0.760) = 2.138.
    ("coefficient", coefficient("0.693", "2.000"), coefficient("0.760", "2.310"), "impossible", ""),
    # sqrt(0.5 x 2) = 1.
    (
        "centre",
        effects(effect("1.000", "0.500 2.000")),
        effects(effect("1.200", "0.500 2.000")),
        "inconsistent",
        "HR 1.200",
    ),
    (
        "centre",
        effects(effect("1.000", "0.500 2.000")),
        effects(effect("1.005", "0.500 2.000")),
        "remark",
        "HR 1.005",
    ),
    (
        "centre",
        effects(effect("1.000", "0.500 2.000")),
        effects(effect("2.100", "0.500 2.000")),
        "impossible",
        "HR 2.100",
    ),
    # SE = log(4) / 3.92 = 0.3536; z = log(2) / 0.3536 = 1.960: P 0.050.
    (
        "p-value",
        effects(effect("2.000", "1.000 4.000", "0.050")),
        effects(effect("2.000", "1.000 4.000", "0.010")),
        "inconsistent",
        "P 0.010",
    ),
    # |z(0.04)| = 2.054 is within a tenth of 1.960: a likelihood-ratio test could give it.
    (
        "p-value",
        effects(effect("2.000", "1.000 4.000", "0.050")),
        effects(effect("2.000", "1.000 4.000", "0.040")),
        "remark",
        "P 0.040",
    ),
    (
        "significance",
        effects(effect("2.000", "1.010 3.960", "0.047")),
        effects(effect("2.000", "0.990 4.040", "0.020")),
        "inconsistent",
        "P 0.020",
    ),
    (
        "significance",
        effects(effect("2.000", "0.990 4.040", "0.053")),
        effects(effect("2.000", "1.010 3.960", "0.130")),
        "inconsistent",
        "P 0.130",
    ),
    # On the threshold a likelihood-ratio test may fall on the other side.
    (
        "significance",
        effects(effect("2.000", "0.990 4.040", "0.053")),
        effects(effect("2.000", "1.010 3.960", "0.053")),
        "remark",
        "P 0.053",
    ),
    # log(3.20 / 1.35) / 3.92 = 0.220; log(3.00 / 1.50) / 3.92 = 0.177 < 0.2108.
    (
        "standard-error",
        effects(effect("2.08", "1.35 3.20")),
        effects(effect("2.12", "1.50 3.00")),
        "impossible",
        "interval 1.50 to 3.00",
    ),
    # log(1.1) / 2.33 = 0.041 from the hazard ratio with P = 0.02.
    (
        "standard-error",
        effects(effect("1.10", "", "0.80")),
        effects(effect("1.10", "", "0.02")),
        "impossible",
        "HR 1.10 with P 0.02",
    ),
    # z = log(2) / 0.3536 = 1.96 against sqrt(3.9) = 1.97, then against sqrt(1.2) = 1.10.
    (
        "log-rank-cox",
        replace(
            effects(effect("2.000", "1.000 4.000", **TREATED)),
            logranks=(Logrank("Text", "os", Printed("3.900")),),
        ),
        replace(
            effects(effect("2.000", "1.000 4.000", **TREATED)),
            logranks=(Logrank("Text", "os", Printed("1.200")),),
        ),
        "inconsistent",
        "HR 2.000",
    ),
    # SE 0.3536 alone; adjusted 0.37, then log(2.5 / 1.6) / 3.92 = 0.114.
    (
        "adjustment",
        effects(
            effect("2.00", "1.00 4.00", model="univariable"),
            effect("2.10", "1.02 4.34"),
        ),
        effects(
            effect("2.00", "1.00 4.00", model="univariable"),
            effect("2.00", "1.60 2.50"),
        ),
        "remark",
        "SE 0.352 to 0.355 alone",
    ),
    (
        "adjustment",
        effects(
            effect("0.50", "0.25 1.00", model="univariable"),
            effect("1.00", "0.50 2.00"),
        ),
        effects(
            effect("0.50", "0.25 1.00", model="univariable"),
            effect("2.90", "1.45 5.80"),
        ),
        "remark",
        "HR 2.90",
    ),
    (
        "eligibility",
        said("eligible", SEX, variable="x", levels=("male", "female")),
        said("eligible", SEX, variable="x", levels=("male",)),
        "inconsistent",
        "only male",
    ),
    (
        "eligibility",
        said("excluded", SEX, variable="x", levels=("other",)),
        said("excluded", SEX, variable="x", levels=("male",)),
        "inconsistent",
        "no male",
    ),
    (
        "significant",
        said("significant", SEX, variables=("x",), model="baseline"),
        said("not_significant", SEX, variables=("x",), model="baseline"),
        "inconsistent",
        "said to be not significant",
    ),
    (
        "significant",  # a list of what is significant in a Cox table is complete
        said(
            "significant",
            {"effects": (effect("2.000", "1.010 3.960", "0.047"),)},
            variables=("x",),
            model="multivariable",
        ),
        said(
            "significant",
            {"effects": (effect("2.000", "1.010 3.960", "0.047"),)},
            variables=("y",),
            model="multivariable",
        ),
        "inconsistent",
        "said to be not significant",
    ),
    (
        "highest-grade",
        said("highest_grade", RASH, value="3", arm="a"),
        said("highest_grade", RASH, value="2", arm="a"),
        "inconsistent",
        "no grade above 2",
    ),
    (
        "analysis",
        replace(
            EMPTY,
            statements=(
                Statement("Abstract", "analysis", "a Cox model", outcome="os"),
                Statement("Methods", "analysis", "Cox regression", outcome="os"),
            ),
        ),
        replace(
            EMPTY,
            statements=(
                Statement("Abstract", "analysis", "logistic regression", outcome="os"),
                Statement("Methods", "analysis", "Cox regression", outcome="os"),
            ),
        ),
        "inconsistent",
        "logistic regression",
    ),
    ("claim", claim("equals", "90"), claim("equals", "91"), "inconsistent", "equals 91"),
    ("claim", claim("at_least", "90"), claim("more_than", "90"), "inconsistent", "more than 90"),
    ("claim", claim("at_most", "90"), claim("less_than", "90"), "inconsistent", "less than 90"),
]


def found(published: Published, rule: str) -> list[Finding]:
    """Return what a rule finds."""
    return [f for f in audit(published).findings if f.rule == rule]


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "severity", "reported"),
    CASES,
    ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)],
)
def test_a_rule_tells_a_contradiction_from_agreement(
    rule: str, right: Published, wrong: Published, severity: str, reported: str
) -> None:
    """Silent on the one, one finding of the right severity on the other."""
    assert found(right, rule) == []
    (finding,) = found(wrong, rule)
    assert finding.severity == severity
    assert reported in finding.reported
    assert finding.meaning.endswith(".")
    assert audit(right).checks[rule] > 0


def test_every_rule_has_its_cases() -> None:
    """No rule is without a consistent and an inconsistent case."""
    assert {case[0] for case in CASES} == {rule.name for rule in RULES}


def test_the_least_standard_error_asks_for_a_known_range() -> None:
    """ECOG 0 to 2 may be one number or two indicators; age spans its limits of eligibility."""
    open_contrast = {"level": None, "reference": None, "variable": "ecog"}
    ecog = counts({"0": (10, 20), "1": (20, 20), "2": (10, 10)}, variable="ecog")
    narrow = effect("2.12", "1.50 3.00", **open_contrast)
    published = replace(EMPTY, effects=(narrow,), counts=(ecog,))
    assert audit(published).checks["standard-error"] == 0
    two = counts({"0": (10, 20), "1": (30, 30)}, variable="ecog")
    assert len(found(replace(published, counts=(two,)), "standard-error")) == 1
    # 2 / (62 sqrt(90)) = 0.0034; this row's standard error is 0.016.
    age = effect("0.976", "0.945 1.008", **open_contrast | {"variable": "age"})
    aged = said("eligible", {"effects": (age,)}, **LIMITS)
    assert found(aged, "standard-error") == []
    assert audit(aged).checks["standard-error"] == 1


def test_printed_events_sharpen_the_least_standard_error() -> None:
    """0.246 would do for 90 events, but not for 60, nor for 35 and 25 by arm."""
    published = effects(effect("1.62", "1.00 2.62"))
    assert found(published, "standard-error") == []
    whole = (Events("Text", "os", 60),)
    arms = (Events("Text", "os", 35, "a"), Events("Text", "os", 25, "b"))
    for events in (whole, arms):
        (finding,) = found(replace(published, events=events), "standard-error")
        assert "60 events give 0.258 at least" in finding.recomputed


def test_a_p_value_that_fits_other_group_sizes_says_so() -> None:
    """14/40 and 17/50 give Pearson 0.921; of 40 each they give 0.491."""
    event = AdverseEvent("Table 3", "Fever", (40, 40), (14, 17), Printed("0.921"))
    (finding,) = found(replace(EMPTY, adverse_events=(event,)), "count-test")
    assert "it fits groups of 40 and 50 (Pearson 0.9210)" in finding.recomputed


def test_a_digit_that_was_cut_off_is_a_remark() -> None:
    """For 8/40 and 25/50 Yates gives 0.00664; 0.006 is that cut off, nothing is near 0.009."""
    levels = {"yes": (8, 25), "no": (32, 25)}
    for p, severity in (("0.006", "remark"), ("0.009", "inconsistent")):
        published = replace(EMPTY, counts=(counts(levels, p=Printed(p)),))
        (finding,) = found(published, "count-test")
        assert finding.severity == severity


def test_doubt_about_rounding_is_no_finding() -> None:
    """A limit printed 1.00 may lie on either side of 1, a P value printed 0.05 of 0.05."""
    for row in (effect("2.00", "1.00 4.00", "0.06"), effect("2.00", "0.99 4.04", "0.05")):
        assert found(effects(row), "significance") == []


def test_an_interval_of_another_level_is_read_at_that_level() -> None:
    """A 90 % interval of 1.118 to 3.577 has the standard error of the 95 % one of 1 to 4."""
    row = effect("2.000", "1.118 3.578", "0.050", confidence=Printed("0.90"))
    assert found(effects(row), "p-value") == []
    assert found(effects(replace(row, confidence=None)), "p-value") != []
    assert audit(effects(row)).checks["significance"] == 0


def test_a_bound_on_p_is_understood() -> None:
    """P < 0.001 is every number below it."""
    assert found(effects(effect("4.000", "2.000 8.000", "<0.001")), "p-value") == []
    (finding,) = found(effects(effect("2.000", "1.000 4.000", "<0.001")), "p-value")
    assert finding.reported.startswith("P <0.001")


def test_a_study_of_one_arm_is_audited_too() -> None:
    """What compares arms is not asked of it."""
    alone = replace(EMPTY, arms=EMPTY.arms[:1], effects=(effect("2.000", "1.000 4.000", "0.050"),))
    counted = Counts("Table 1", "x", "X", (40,), {"yes": (10,), "no": (30,)}, p=Printed("0.2"))
    assert audit(replace(alone, counts=(counted,))).findings == ()

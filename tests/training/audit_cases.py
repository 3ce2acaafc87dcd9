"""For each rule of the audit a study that is consistent and one that is not, worked by hand.

A case is the rule, the right study, the wrong one, how bad that is, and what the finding cites.
"""

from __future__ import annotations

from dataclasses import replace

from tests.training.invented import (
    AGED,
    EMPTY,
    LIMITS,
    RASH,
    SEX,
    TREATED,
    claim,
    coefficient,
    counts,
    effect,
    effects,
    follow_up,
    means,
    median,
    medians,
    rate,
    said,
)
from training.published import Printed, Published
from training.published.records import (
    AdverseEvent,
    GradedEvent,
    Logrank,
    Statement,
    Total,
)

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

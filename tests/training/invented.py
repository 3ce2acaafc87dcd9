"""Small invented studies, as published: what an audit is tried on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from training.published import Printed, Published
from training.published.records import (
    Arm,
    Claim,
    Counts,
    Effect,
    FollowUp,
    GradedEvent,
    Means,
    Median,
    Rate,
    Statement,
    StudyHead,
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

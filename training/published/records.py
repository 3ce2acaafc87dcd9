"""What a file of published numbers holds, as types.

Every record says where in the source it stands. A field that is None was not printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from training.published.printed import Printed

__all__ = [
    "AdverseEvent",
    "Arm",
    "Claim",
    "Counts",
    "Effect",
    "Events",
    "FollowUp",
    "GradedEvent",
    "Implied",
    "Literature",
    "Logrank",
    "Means",
    "Median",
    "Published",
    "Quantity",
    "Rate",
    "Statement",
    "StudyHead",
    "Total",
]

T = TypeVar("T")


@dataclass(frozen=True)
class StudyHead:
    """Which study was published; `study` is the id of the study file that names the columns."""

    id: str
    study: str
    citation: str
    design: str
    time_unit: str


@dataclass(frozen=True)
class Arm:
    """One arm; `id` is the treatment's level in the study file."""

    id: str
    label: str
    n: int
    where: str


@dataclass(frozen=True)
class Means:
    """Mean and standard deviation of a number, by arm."""

    where: str
    variable: str
    label: str
    n: tuple[int, ...]
    mean: tuple[Printed, ...]
    sd: tuple[Printed, ...]
    p: Printed | None = None
    test: str | None = None


@dataclass(frozen=True)
class Counts:
    """Patients by level and arm; `evaluated` where fewer than `n` could be classified."""

    where: str
    variable: str
    label: str
    n: tuple[int, ...]
    levels: dict[str, tuple[int, ...]]
    evaluated: tuple[int, ...] | None = None
    evaluated_where: str | None = None
    p: Printed | None = None
    test: str | None = None

    @property
    def denominators(self) -> tuple[int, ...]:
        """Patients that could be classified, by arm."""
        return self.n if self.evaluated is None else self.evaluated


@dataclass(frozen=True)
class Rate:
    """Share of the patients in some levels of a counted variable, in percent, by arm."""

    where: str
    variable: str
    label: str
    levels: tuple[str, ...]
    percent: tuple[Printed, ...]
    chi2: Printed | None = None
    p: Printed | None = None


@dataclass(frozen=True)
class Total:
    """A count over all arms, or in one arm."""

    where: str
    label: str
    count: int
    variable: str | None = None
    level: str | None = None
    arm: str | None = None
    of: int | None = None
    percent: Printed | None = None


@dataclass(frozen=True)
class Events:
    """How many had the event of an outcome, over all arms or in one."""

    where: str
    outcome: str
    count: int
    arm: str | None = None


@dataclass(frozen=True)
class FollowUp:
    """Range and mean of follow-up in the study's unit; calendar months as "2017-01".

    `outcome` is the one whose event ends follow-up.
    """

    where: str
    outcome: str | None = None
    lower: Printed | None = None
    upper: Printed | None = None
    mean: Printed | None = None
    enrolled_from: str | None = None
    enrolled_to: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Median:
    """Kaplan-Meier median time of an arm, in the study's unit, with its interval."""

    where: str
    outcome: str
    arm: str
    median: Printed
    lower: Printed | None = None
    upper: Printed | None = None
    confidence: Printed | None = None


@dataclass(frozen=True)
class Logrank:
    """Log-rank test between the arms."""

    where: str
    outcome: str
    chi2: Printed
    p: Printed | None = None


@dataclass(frozen=True)
class Effect:
    """One row of a Cox table: the hazard ratio of `level` against `reference`."""

    where: str
    outcome: str
    model: str
    variable: str
    label: str
    hr: Printed
    lower: Printed | None = None
    upper: Printed | None = None
    p: Printed | None = None
    coefficient: Printed | None = None
    level: str | None = None
    reference: str | None = None
    confidence: Printed | None = None


@dataclass(frozen=True)
class AdverseEvent:
    """Patients with an adverse event, by arm, with the group sizes its table prints."""

    where: str
    label: str
    n: tuple[int, ...]
    count: tuple[int, ...]
    p: Printed | None = None


@dataclass(frozen=True)
class GradedEvent:
    """Patients of one arm with an adverse event, by grade from the first upwards."""

    where: str
    label: str
    arm: str
    total: int
    grades: tuple[int, ...] = field(metadata={"free_length": True})


@dataclass(frozen=True)
class Statement:
    """A claim of the text: its topic, and what it is about, in a form that can be checked."""

    where: str
    topic: str
    value: str | None = None
    variable: str | None = None
    variables: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None
    lower: Printed | None = None
    upper: Printed | None = None
    outcome: str | None = None
    model: str | None = None
    arm: str | None = None


@dataclass(frozen=True)
class Claim:
    """What the text says of a cell of a table: `cell` is in `relation` to `value` or to `than`.

    `relation` is one of equals, at_most, at_least, less_than and more_than. `cell` and `than` are
    paths: ["arms", "n"], ["arms", ARM], ["counts", VARIABLE, LEVEL], ["rates", LABEL, ARM],
    ["medians", OUTCOME, ARM], ["logranks", OUTCOME, "chi2" or "p"], ["effects", MODEL, "rows"],
    ["effects", MODEL, VARIABLE, "hr" or "p"], ["adverse_events", LABEL], ["graded_events", LABEL,
    GRADE or "total"]; an ARM may follow counts and adverse events.
    """

    where: str
    subject: str
    relation: str
    cell: tuple[str, ...]
    value: Printed | None = None
    than: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Quantity:
    """Any other quantity of the text: a value or a range, with its unit."""

    where: str
    label: str
    value: str | None = None
    lower: Printed | None = None
    upper: Printed | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Literature:
    """A number that the source quotes from another study; `reference` is that study's there."""

    where: str
    reference: str
    label: str
    value: str | None = None
    lower: Printed | None = None
    upper: Printed | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Implied:
    """What the source does not print but implies, with the reasoning."""

    quantity: str
    reasoning: str
    variable: str | None = None
    value: str | None = None
    lower: Printed | None = None
    upper: Printed | None = None
    tolerance: Printed | None = None


@dataclass(frozen=True)
class Published:
    """Every printed number of one study. Read it with `load_published`."""

    study: StudyHead
    arms: tuple[Arm, ...]
    means: tuple[Means, ...] = ()
    counts: tuple[Counts, ...] = ()
    rates: tuple[Rate, ...] = ()
    totals: tuple[Total, ...] = ()
    events: tuple[Events, ...] = ()
    follow_up: tuple[FollowUp, ...] = ()
    medians: tuple[Median, ...] = ()
    logranks: tuple[Logrank, ...] = ()
    effects: tuple[Effect, ...] = ()
    adverse_events: tuple[AdverseEvent, ...] = ()
    graded_events: tuple[GradedEvent, ...] = ()
    statements: tuple[Statement, ...] = ()
    claims: tuple[Claim, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    literature: tuple[Literature, ...] = ()
    implied: tuple[Implied, ...] = ()

    def counted(self, variable: str) -> Counts:
        """Return the counts of a variable, or raise `KeyError`."""
        return _first((c for c in self.counts if c.variable == variable), variable)

    def multivariable(self, outcome: str) -> tuple[Effect, ...]:
        """Return the rows of the multivariable model of an outcome."""
        return tuple(e for e in self.effects if e.model == "multivariable" and e.outcome == outcome)

    def suggests(self, quantity: str, variable: str | None = None) -> Implied:
        """Return what is implied about a quantity, or raise `KeyError`."""
        found = (i for i in self.implied if (i.quantity, i.variable) == (quantity, variable))
        return _first(found, quantity)


def _first(found: Iterator[T], sought: str) -> T:
    for record in found:
        return record
    raise KeyError(sought)

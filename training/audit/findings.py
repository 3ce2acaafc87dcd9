"""What an audit says: a finding, and the outcome of all rules over one study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from training.audit.rounding import Interval, cut_off
from training.published import Printed, Published

__all__ = ["SEVERITIES", "Audit", "Checks", "Finding", "Rule", "Severity", "grade"]

Severity = Literal["impossible", "inconsistent", "remark"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""impossible: no data give these numbers by the method stated. inconsistent: two printed figures
contradict each other. remark: possible, but a reader must know of it."""


@dataclass(frozen=True)
class Finding:
    """One disagreement.

    Attributes
    ----------
    where : str
        Where in the source the figure stands.
    subject : str
        Which row or statement it is.
    reported : str
        The figures as printed.
    recomputed : str
        What the other printed figures give, in words.
    severity : str
        One of `SEVERITIES`.
    meaning : str
        What it means for a model built on the figures.
    interval : Interval or None
        The recomputed number, with every rounding of its ingredients; None where it is no number.
    rule : str
        Name of the rule that was broken.
    """

    where: str
    subject: str
    reported: str
    recomputed: str
    severity: Severity
    meaning: str
    interval: Interval | None = None
    rule: str = ""


Checks = Iterator[Finding | None]
"""What a rule yields: one item a check, None where the figures agree."""


@dataclass(frozen=True)
class Rule:
    """A rule: its name, the question it asks, and the function that asks it of a study."""

    name: str
    question: str
    check: Callable[[Published], Checks]

    def __call__(self, published: Published) -> list[Finding | None]:
        """Return one item a check, findings carrying the rule's name."""
        return [
            found and replace(found, rule=self.name)  # None stays None
            for found in self.check(published)
        ]


@dataclass(frozen=True)
class Audit:
    """Every finding in one study.

    Attributes
    ----------
    published : Published
    findings : tuple of Finding
        The severest first; within a severity as the rules are listed.
    checks : dict of str to int
        How often each rule was applied, whatever it found.
    rules : tuple of Rule
    """

    published: Published
    findings: tuple[Finding, ...]
    checks: dict[str, int]
    rules: tuple[Rule, ...]

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of one severity."""
        return tuple(f for f in self.findings if f.severity == severity)

    def found(self, rule: str) -> int:
        """Return how many findings a rule made."""
        return sum(f.rule == rule for f in self.findings)

    def summary(self) -> str:
        """Return the counts in one line."""
        counts = ", ".join(f"{severity} {len(self.of(severity))}" for severity in SEVERITIES)
        total = sum(self.checks.values())
        return f"{len(self.findings)} findings in {total} checks: {counts}"


def grade(severity: Severity, number: Printed, truth: Interval) -> Severity:
    """Return `severity`, or "remark" where a digit that was cut off explains the difference."""
    return "remark" if cut_off(number, truth) else severity

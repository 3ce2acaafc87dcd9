"""An audit as a person reads it, on a terminal and in Markdown, and as a program does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from training.audit.findings import SEVERITIES, Audit, Finding
from training.audit.rules_tests import fitting

__all__ = ["FORMAT", "markdown", "text", "to_dict"]

FORMAT = 1
"""Format of the JSON. Raise it when a key changes its meaning or goes; a new key leaves it."""

WIDTHS = (3, 28, 27, 32, 4)
"""Columns of the table; with a space between them a line is 98 characters at most."""

GRADES = {
    "impossible": "no data give these figures by the method stated",
    "inconsistent": "two printed figures contradict each other",
    "remark": "possible, but to be known",
}

PREAMBLE = (
    "Every recomputed figure allows for the rounding of each printed figure that it rests on; a "
    "finding is made only where no rounding can reconcile the two."
)


def text(audit: Audit) -> str:
    """Return the findings as an aligned table, the meanings as notes below; 100 columns at most."""
    notes = _notes(audit)
    lines = [audit.published.study.citation, audit.summary(), *textwrap.wrap(PREAMBLE, 98)]
    number = 0
    for severity in SEVERITIES:
        found = audit.of(severity)
        if not found:
            continue
        lines += ["", f"{severity.upper()} ({len(found)}): {GRADES[severity]}"]
        lines += _row("", "where: what", "reported", "recomputed", "why")
        for finding in found:
            number += 1
            lines += _row(
                str(number),
                f"{finding.where}: {finding.subject}",
                finding.reported,
                finding.recomputed,
                f"[{notes[finding.meaning]}]",
            )
    lines += ["", *textwrap.wrap(_fitting(audit), 98)]
    if notes:
        lines += ["", "What it means for a model"]
    for meaning, note in notes.items():
        lines += textwrap.wrap(f"[{note}] {meaning}", 98, subsequent_indent="    ")
    return "\n".join(lines)


def markdown(audit: Audit) -> str:
    """Return the findings as Markdown, a table a severity, and how often each rule was applied."""
    lines = [
        f"# Audit of the printed numbers: {_cell(audit.published.study.citation)}",
        "",
        f"{audit.summary()}. {PREAMBLE}",
    ]
    number = 0
    for severity in SEVERITIES:
        found = audit.of(severity)
        if not found:
            continue
        lines += ["", f"## {severity.capitalize()}: {GRADES[severity]}", ""]
        lines += ["| | where | what | rule | reported | recomputed | what it means |"]
        lines += ["|--:|---|---|---|---|---|---|"]
        for finding in found:
            number += 1
            cells = (
                str(number),
                finding.where,
                finding.subject,
                finding.rule,
                finding.reported,
                finding.recomputed,
                finding.meaning,
            )
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
    lines += ["", _fitting(audit)]
    lines += ["", "## Rules", "", "| rule | question | checks | findings |", "|---|---|--:|--:|"]
    for rule in audit.rules:
        counts = f"{audit.checks[rule.name]} | {audit.found(rule.name)}"
        lines.append(f"| {rule.name} | {rule.question} | {counts} |")
    return "\n".join(lines) + "\n"


def to_dict(audit: Audit) -> dict[str, Any]:
    """Return the audit for JSON.

    Returns
    -------
    dict
        `format`; `study` (id, citation); `summary` (severity: count); `count_tests` (test: how
        many printed P values of counts it gives); `rules` (name, question, checks, findings);
        `findings` (number, where, subject, rule, severity, reported, recomputed, interval with
        lower and upper or null, meaning). A bound that is not finite is null.
    """
    study = audit.published.study
    return {
        "format": FORMAT,
        "study": {"id": study.id, "citation": study.citation},
        "summary": {severity: len(audit.of(severity)) for severity in SEVERITIES},
        "count_tests": fitting(audit.published),
        "rules": [
            {
                "name": rule.name,
                "question": rule.question,
                "checks": audit.checks[rule.name],
                "findings": audit.found(rule.name),
            }
            for rule in audit.rules
        ],
        "findings": [_finding(i, finding) for i, finding in enumerate(audit.findings, 1)],
    }


def _finding(number: int, finding: Finding) -> dict[str, Any]:
    return {
        "number": number,
        "where": finding.where,
        "subject": finding.subject,
        "rule": finding.rule,
        "severity": finding.severity,
        "reported": finding.reported,
        "recomputed": finding.recomputed,
        "interval": finding.interval.json if finding.interval else None,
        "meaning": finding.meaning,
    }


def _fitting(audit: Audit) -> str:
    fits = ", ".join(f"{test} {n}" for test, n in fitting(audit.published).items() if n)
    return f"Printed P values of counts that a test gives to the last digit: {fits or 'none'}."


def _notes(audit: Audit) -> dict[str, int]:
    notes: dict[str, int] = {}
    for finding in audit.findings:
        notes.setdefault(finding.meaning, len(notes) + 1)
    return notes


def _row(*cells: str) -> Iterator[str]:
    """Yield the lines of a row, each cell wrapped within its column."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)]
    for i in range(max(map(len, wrapped))):
        parts = (lines[i] if i < len(lines) else "" for lines in wrapped)
        yield " ".join(p.ljust(width) for p, width in zip(parts, WIDTHS, strict=True)).rstrip()


def _cell(content: str) -> str:
    """Keep a cell on one line and its bars and angle brackets from being read as Markdown."""
    for mark, written in (("\n", " "), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;")):
        content = content.replace(mark, written)
    return content

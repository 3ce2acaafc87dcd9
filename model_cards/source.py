"""Where the knowledge of a reconstructed cohort comes from: the audit, and the other cohorts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import Audit, ColumnRow, Columns, Contradiction, Draws, PredictorFacts
from riskscore.bundle import AUDIT, Bundle
from riskscore.errors import Problem
from riskscore.sensitivity import SENSITIVITY

__all__ = ["audit_of", "draws_of"]

REMARK = "remark"
SHOWN = 12.0
"""Horizon of the two columns, where the outcome has it; the first otherwise."""


def audit_of(bundle: Bundle, problems: list[Problem]) -> Audit | None:
    """Return what the bundle's audit found, findings of one meaning told once."""
    if AUDIT not in bundle:
        return None
    audit = Facts(bundle.read(AUDIT), "audit", problems)
    summary = audit.table("summary")
    found: dict[tuple[str, str], Contradiction] = {}
    for row in audit.tables("findings", may_be_empty=True):
        severity, meaning = row.text("severity"), row.text("meaning")
        if severity == REMARK:
            continue
        known = found.get((severity, meaning))
        found[severity, meaning] = Contradiction(
            severity=severity,
            meaning=meaning,
            findings=1 if known is None else known.findings + 1,
            where=known.where if known else row.text("where"),
            subject=known.subject if known else row.text("subject"),
            reported=known.reported if known else row.text("reported"),
            recomputed=known.recomputed if known else row.text("recomputed"),
        )
    return Audit(
        citation=audit.table("study").text("citation"),
        checks=sum(rule.count("checks") for rule in audit.tables("rules")),
        impossible=summary.count("impossible"),
        inconsistent=summary.count("inconsistent"),
        remarks=summary.count(REMARK),
        contradictions=tuple(found.values()),
    )


def draws_of(
    bundle: Bundle,
    predictors: Sequence[PredictorFacts],
    horizons: Sequence[float],
    problems: list[Problem],
) -> Draws | None:
    """Return what the bundle says of the other cohorts that fit its source."""
    if SENSITIVITY not in bundle:
        return None
    content = Facts(bundle.read(SENSITIVITY), "sensitivity", problems)
    events = content.table("events")
    return Draws(
        draws=content.count("draws"),
        how=content.text("how"),
        fewest_events=_whole(events.number("least")),
        most_events=_whole(events.number("most")),
        columns=_columns(content.table("columns"), predictors, horizons)
        if "columns" in content
        else None,
    )


def _whole(value: float) -> int:
    # What is no number was noted; no card is made of it.
    return 0 if math.isnan(value) else round(value)


def _columns(
    columns: Facts, predictors: Sequence[PredictorFacts], horizons: Sequence[float]
) -> Columns:
    time = SHOWN if SHOWN in horizons else horizons[0]
    rows = [row for row in columns.tables("committed") if row.number("horizon") == time]
    if not rows:
        columns.refuse("committed", f"must have the horizon {time:g}", None, FIT_AGAIN)
    return Columns(
        how=columns.text("how"),
        time=time,
        labels=tuple(p.label for p in predictors),
        rows=tuple(
            ColumnRow(
                traits=tuple(p.said(row.table("profile").text(p.name)) for p in predictors),
                hazard_ratio=row.number("hazard_ratio"),
                coefficient=row.number("coefficient"),
            )
            for row in rows
        ),
    )

"""A validation as a person reads it on a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable

from riskscore.metrics._estimates import Estimate
from riskscore.metrics._evaluate import AtHorizon
from riskscore.validation.case_mix import CaseMix
from riskscore.validation.subgroups import FEW_EVENTS
from riskscore.validation.validating import Validation

__all__ = ["text"]


def text(found: Validation) -> str:
    """Return the figures with their intervals, the case mix and the subgroups."""
    c, e = found.cohort, found.evaluation
    rows = f" in {c['rows']} rows" if c["rows"] != c["patients"] else ""
    lines = [
        f"{found.model} on {c['name']}: {c['patients']} patients{rows}, {c['events']} events"
        + (f", {c['competing']} competing" if "competing" in c else ""),
        f"{found.outcome}; intervals of {100 * e.level:g} %",
        "",
        f"  {'Concordance (Harrell)':<34}{_said(e.harrell)}   chance 0.5, perfect order 1",
        *([f"  {'  of 100 pairs':<34}{e.harrell.in_words}"] if e.harrell else []),
        f"  {f'Concordance (Uno, to {e.tau:g})':<34}{_said(e.uno)}",
    ]
    if e.integrated_brier is not None:
        brier, ipa = e.integrated_brier.brier, e.integrated_brier.ipa
        lines.append(f"  {'Integrated Brier score':<34}{_said(brier)}   0 is best")
        lines.append(f"  {'Integrated IPA':<34}{_said(ipa)}   0 is Kaplan-Meier")
    heads = "".join(f"{f'{found.time_unit} {h:g}':<27}" for h in found.horizons)
    lines += ["", f"  {'':<34}{heads}".rstrip()]
    for label, of in (*COMPETING, *FIGURES[1:]) if "competing" in c else FIGURES:
        cells = "".join(f"{_said(of(at)):<27}" for at in e.horizons)
        lines.append(f"  {label:<34}{cells}".rstrip())
    lines.append("  Slope and ICI: follow-up administratively censored at the horizon.")
    lines += ["", "Case mix: development against this cohort", *map(_case, found.case_mix)]
    head = f"  {'':<44}{'events':>7}   {'concordance':<27}"
    ratios = "".join(f"{f'O/E {found.time_unit} {h:g}':<27}" for h in found.horizons)
    lines += ["", "Subgroups", (head + ratios).rstrip()]
    for g in found.subgroups:
        mark = f"  fewer than {FEW_EVENTS} events: noise" if g.few else ""
        cells = "".join(f"{_said(r):<27}" for r in (g.concordance, *g.observed_expected))
        lines.append(f"  {f'{g.label}: {g.name}':<44}{g.events:>7}   {cells.rstrip()}{mark}")
    if found.paired is not None:
        p = found.paired
        lines += [
            "",
            f"Against {p.other}: first less second, on the same patients",
            f"  {'Concordance':<34}{_said(p.concordance, 4)}   above 0 the first orders better",
        ]
        for h, brier in zip(found.horizons, p.brier, strict=True):
            label = f"Brier score, {found.time_unit} {h:g}"
            lines.append(f"  {label:<34}{_said(brier, 4)}   below 0 the first predicts better")
    population = [found.population.note] if found.population else []
    notes = [*population, *found.notes, *found.left_out, *e.notes]
    if notes:
        lines += ["", "Notes", *(f"  {note}" for note in notes)]
    return "\n".join(lines)


def _said(found: Estimate | None, digits: int = 3) -> str:
    if found is None or math.isnan(found.value):
        return "none"
    value = f"{found.value:.{digits}f}"
    if found.lower is None or found.upper is None or math.isnan(found.lower):
        return value
    return f"{value} ({found.lower:.{digits}f} to {found.upper:.{digits}f})"


def _case(row: CaseMix) -> str:
    name = f"{row.label}: {row.level}" if row.level else row.label
    if row.level:
        values = f"{row.development:>7.1%} {row.validation:>10.1%}"
    else:
        values = f"{row.development:>7.4g} {row.validation:>10.4g}"
    outside = f"   {row.outside} outside the development's range" if row.outside else ""
    return f"  {name:<44}{values}   standardised difference {row.difference:+.2f}{outside}"


FIGURES: tuple[tuple[str, Callable[[AtHorizon], Estimate | None]], ...] = (
    ("Observed risk (Kaplan-Meier)", lambda at: at.calibration.observed),
    ("Mean predicted risk", lambda at: Estimate(at.calibration.expected)),
    ("Observed / expected (1 is right)", lambda at: at.calibration.observed_expected),
    ("Slope to the horizon (1 is right)", lambda at: at.calibration.slope),
    ("ICI (0 is right)", lambda at: at.calibration.ici),
    ("AUC", lambda at: at.auc),
    ("Brier score", lambda at: at.brier.brier),
    ("IPA (0 is Kaplan-Meier)", lambda at: at.brier.ipa),
)
"""Rows of the table by horizon."""

COMPETING: tuple[tuple[str, Callable[[AtHorizon], Estimate | None]], ...] = (
    ("Observed risk (Aalen-Johansen)", lambda at: at.calibration.observed),
    ("  if it censored what competes", lambda at: at.calibration.observed_censoring),
)
"""What stands in place of the first row where an event competes."""

"""What the text claims against what the tables show."""

from __future__ import annotations

from collections.abc import Iterator

from training.audit.cells import RELATIONS, look_up
from training.audit.facts import said, threshold
from training.audit.findings import Checks, Finding
from training.audit.rounding import Interval, printed, probability
from training.published import Printed, Published
from training.published.records import Counts, Means, Statement

__all__ = ["analyses", "claims", "eligibility", "highest_grade", "significant"]

FAMILIES = ("cox", "logistic", "linear", "poisson", "fine-gray", "weibull")
"""Words that tell one kind of regression from another."""


def eligibility(published: Published) -> Checks:
    """Ask whether the patients counted are those that the criteria let in."""
    for statement in (*said(published, "eligible"), *said(published, "excluded")):
        named = statement.levels
        for row in published.counts:
            if row.variable != statement.variable or named is None:
                continue
            keeps = statement.topic == "eligible"
            barred = {k: v for k, v in row.levels.items() if (k in named) != keeps}
            number = sum(map(sum, barred.values()))
            yield None if number == 0 else _ineligible(statement, row, barred, number)


def significant(published: Published) -> Checks:
    """Compare what the text calls significant, and leaves out, with the printed P values."""
    limit = threshold(published)
    for statement in (*said(published, "significant"), *said(published, "not_significant")):
        named = set(statement.variables or ())
        for variable, where, label, p in _printed_p(published, statement):
            # A list of what is significant says of all others in its model that they are not; a
            # list of what is not says nothing of the others.
            if statement.topic == "not_significant" and variable not in named:
                continue
            complete = statement.model in ("univariable", "multivariable")
            if variable not in named and not complete:
                continue
            claimed = (variable in named) == (statement.topic == "significant")
            own = probability(p)
            if (own.lower < limit) if claimed else (own.upper >= limit):
                yield None
                continue
            yield Finding(
                where=statement.where,
                subject=f"{label}, {statement.model}",
                reported=f"said to be {'' if claimed else 'not '}significant",
                recomputed=f"P {p} ({where})",
                interval=own,
                severity="inconsistent",
                meaning="The text and the table disagree on whether this matters. Read the table.",
            )


def highest_grade(published: Published) -> Checks:
    """Compare the worst grade that the text admits with the grades of the table."""
    for statement in said(published, "highest_grade"):
        highest = int(float(statement.value or 0))
        rows = [row for row in published.graded_events if statement.arm in (None, row.arm)]
        if not rows:
            continue
        worse = {row.label: sum(row.grades[highest:]) for row in rows}
        number = sum(worse.values())
        if number == 0:
            yield None
            continue
        listed = ", ".join(f"{label} {n}" for label, n in worse.items() if n)
        yield Finding(
            where=statement.where,
            subject="worst grade of adverse events",
            reported=f"no grade above {highest}",
            recomputed=f"{number} above it ({rows[0].where}): {listed}",
            interval=Interval(number, number),
            severity="inconsistent",
            meaning="The text makes the treatment look safer than its table does. Use the "
            "table, not the text, to weigh benefit against harm.",
        )


def analyses(published: Published) -> Checks:
    """Ask whether every part of the text names the same kind of regression for an outcome."""
    statements = list(said(published, "analysis"))
    for outcome in dict.fromkeys(s.outcome for s in statements):
        about = [s for s in statements if s.outcome == outcome and _families(s)]
        if len(about) < 2:
            continue
        reference = about[-1]
        for statement in about[:-1]:
            if _families(statement) & _families(reference):
                yield None
                continue
            yield Finding(
                where=statement.where,
                subject=f"analysis of {outcome}",
                reported=str(statement.value),
                recomputed=f"{reference.value} ({reference.where})",
                severity="inconsistent",
                meaning="Two different models are named for one analysis. Odds ratios are not "
                "hazard ratios: if the printed ratios came from the other model they must not "
                "enter a survival model.",
            )


def claims(published: Published) -> Checks:
    """Ask whether each claim about a cell can hold, whatever rounding did to its numbers."""
    for claim in published.claims:
        cell = look_up(published, claim.cell)
        other: Interval | None = None
        if claim.than is not None:
            other = look_up(published, claim.than)
        elif claim.value is not None:
            # A claimed threshold is meant exactly; a claimed value may have been rounded.
            exact = Interval(claim.value.value, claim.value.value)
            other = printed(claim.value) if claim.relation == "equals" else exact
        if other is None or RELATIONS[claim.relation](cell, other):
            yield None
            continue
        of = " ".join(claim.than) if claim.than else str(claim.value)
        yield Finding(
            where=claim.where,
            subject=claim.subject,
            reported=f"{claim.relation.replace('_', ' ')} {of}",
            recomputed=f"{cell.text(3).rstrip('0').rstrip('.') or '0'} in {' '.join(claim.cell)}",
            interval=cell,
            severity="inconsistent",
            meaning="The text says what its table does not show. Use the table.",
        )


def _ineligible(
    statement: Statement, row: Counts, barred: dict[str, tuple[int, ...]], number: int
) -> Finding:
    keeps = statement.topic == "eligible"
    detail = f" ({statement.value})" if statement.value else ""
    return Finding(
        where=f"{statement.where}; {row.where}",
        subject=row.label,
        reported=f"{'only' if keeps else 'no'} {', '.join(statement.levels or ())}{detail}",
        recomputed=f"{number} patients with {', '.join(barred)}",
        interval=Interval(number, number),
        severity="inconsistent",
        meaning="The cohort holds patients whom the criteria shut out. Whom the criteria kept "
        "away is then unknown, and so is to whom a model of this cohort applies.",
    )


def _printed_p(
    published: Published, statement: Statement
) -> Iterator[tuple[str, str, str, Printed]]:
    """Yield variable, place, label and P value of each result a statement may speak of."""
    if statement.model == "baseline":
        rows: list[Means | Counts] = [*published.means, *published.counts]
        for row in rows:
            if row.p is not None:
                yield row.variable, row.where, row.label, row.p
    elif statement.model == "response":
        for rate in published.rates:
            if rate.p is not None:
                yield rate.label, rate.where, rate.label, rate.p
    elif statement.model == "adverse":
        for event in published.adverse_events:
            if event.p is not None:
                yield event.label, event.where, event.label, event.p
    else:
        for effect in published.effects:
            same = effect.model == statement.model
            if same and statement.outcome in (None, effect.outcome) and effect.p is not None:
                yield effect.variable, effect.where, effect.label, effect.p


def _families(statement: Statement) -> set[str]:
    said_of = (statement.value or "").lower()
    return {family for family in FAMILIES if family in said_of}

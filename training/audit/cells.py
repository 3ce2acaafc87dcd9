"""Cells of a study's tables by their path, for claims of the text to be compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from riskscore.errors import Problem
from training.audit.rounding import Interval, printed
from training.published import Printed, Published, PublishedError

__all__ = ["RELATIONS", "check_references", "look_up"]

T = TypeVar("T")

RELATIONS: dict[str, Callable[[Interval, Interval], bool]] = {
    "equals": lambda a, b: a.meets(b),
    "at_most": lambda a, b: a.lower <= b.upper,
    "at_least": lambda a, b: a.upper >= b.lower,
    "less_than": lambda a, b: a.lower < b.upper,
    "more_than": lambda a, b: a.upper > b.lower,
}
"""Whether a relation can hold between two rounded numbers."""

TOPICS = (
    "analysis",
    "software",
    "threshold",
    "eligible",
    "excluded",
    "significant",
    "not_significant",
    "highest_grade",
)
MODELS = ("univariable", "multivariable", "baseline", "response", "adverse")


def look_up(published: Published, path: tuple[str, ...]) -> Interval:
    """Return what the number in a cell can have been.

    Raises
    ------
    KeyError
        If there is no such cell, with what is missing.
    """
    kind, *rest = path
    if kind not in _READERS:
        raise KeyError(f"{kind} is none of {', '.join(_READERS)}")
    try:
        found = _READERS[kind](published, *rest)
    except TypeError:
        raise KeyError(f"{kind} cells have another number of names") from None
    return found if isinstance(found, Interval) else printed(found)


def check_references(published: Published, name: str = "") -> None:
    """Refuse a file whose records name what it does not hold.

    Raises
    ------
    PublishedError
        With every such record, what must hold and what to do.
    """
    problems = [
        *_wrong_arms(published),
        *_wrong_rates(published),
        *_wrong_statements(published),
        *_wrong_claims(published),
    ]
    if problems:
        raise PublishedError(problems, name)


def _wrong_arms(published: Published) -> Iterable[Problem]:
    for i, arm in enumerate(published.arms, 1):
        if arm.n < 1:
            yield Problem(None, f"arms[{i}].n", "must be 1 or more", arm.n, "count its patients")


def _wrong_rates(published: Published) -> Iterable[Problem]:
    for i, rate in enumerate(published.rates, 1):
        levels = {
            level for c in published.counts if c.variable == rate.variable for level in c.levels
        }
        for level in rate.levels:
            if level not in levels:
                rule = f"must be levels that [[counts]] has of {rate.variable}"
                yield Problem(
                    None, f"rates[{i}].levels", rule, level, "add the counts, or name them"
                )


def _wrong_statements(published: Published) -> Iterable[Problem]:
    for i, row in enumerate(published.statements, 1):
        field = f"statements[{i}]"
        if row.topic not in TOPICS:
            yield _choose(f"{field}.topic", TOPICS, row.topic)
        elif row.topic in ("significant", "not_significant") and row.model not in MODELS:
            yield _choose(f"{field}.model", MODELS, row.model)
        elif row.topic in ("threshold", "highest_grade") and not _is_number(row.value):
            rule = "must be a number in quotes"
            yield Problem(None, f"{field}.value", rule, row.value, 'write it like "0.05"')


def _wrong_claims(published: Published) -> Iterable[Problem]:
    for i, claim in enumerate(published.claims, 1):
        field = f"claims[{i}]"
        if claim.relation not in RELATIONS:
            yield _choose(f"{field}.relation", tuple(RELATIONS), claim.relation)
        if (claim.value is None) == (claim.than is None):
            rule = "must hold either value or than"
            yield Problem(None, field, rule, None, "compare the cell with one thing")
        for key, path in (("cell", claim.cell), ("than", claim.than)):
            try:
                _ = path and look_up(published, path)
            except KeyError as error:
                rule = f"must name a cell of the file: {error.args[0]}"
                remedy = "write a path as the comment of [[claims]] lists them"
                yield Problem(None, f"{field}.{key}", rule, ", ".join(path or ()), remedy)


def _choose(field: str, known: tuple[str, ...], value: object) -> Problem:
    return Problem(None, field, f"must be one of {', '.join(known)}", value, "choose one")


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and float(text) >= 0
    except ValueError:
        return False


def _only(records: Iterable[T], missing: str) -> T:
    for record in records:
        return record
    raise KeyError(f"nothing is called {missing}")


def _given(number: Printed | None, missing: str) -> Printed:
    if number is None:
        raise KeyError(f"{missing} was not printed")
    return number


def _of_arm(published: Published, values: tuple[int, ...], arm: str | None) -> int:
    if arm is None:
        return sum(values)
    return values[_arm(published, arm)]


def _arm(published: Published, arm: str) -> int:
    return _only((i for i, known in enumerate(published.arms) if known.id == arm), arm)


def _arms(published: Published, arm: str) -> int:
    sizes = tuple(known.n for known in published.arms)
    return _of_arm(published, sizes, None if arm == "n" else arm)


def _counts(published: Published, variable: str, level: str, arm: str | None = None) -> int:
    rows = [c for c in published.counts if c.variable == variable and level in c.levels]
    return _of_arm(published, _only(rows, f"{variable} {level}").levels[level], arm)


def _rates(published: Published, label: str, arm: str) -> Printed:
    row = _only((r for r in published.rates if r.label == label), label)
    return row.percent[_arm(published, arm)]


def _medians(published: Published, outcome: str, arm: str) -> Printed:
    rows = (m for m in published.medians if (m.outcome, m.arm) == (outcome, arm))
    return _only(rows, f"{outcome} {arm}").median


def _logranks(published: Published, outcome: str, figure: str) -> Printed:
    row = _only((t for t in published.logranks if t.outcome == outcome), outcome)
    return _given({"chi2": row.chi2, "p": row.p}.get(figure), figure)


def _effects(
    published: Published, model: str, variable: str, figure: str | None = None
) -> Printed | int:
    rows = [e for e in published.effects if e.model == model]
    if variable == "rows" and figure is None:
        return len({e.variable for e in rows})
    row = _only((e for e in rows if e.variable == variable), f"{model} {variable}")
    return _given({"hr": row.hr, "p": row.p}.get(str(figure)), str(figure))


def _adverse(published: Published, label: str, arm: str | None = None) -> int:
    row = _only((e for e in published.adverse_events if e.label == label), label)
    return _of_arm(published, row.count, arm)


def _graded(published: Published, label: str, grade: str) -> int:
    row = _only((e for e in published.graded_events if e.label == label), label)
    if grade == "total":
        return row.total
    return _only((n for i, n in enumerate(row.grades, 1) if str(i) == grade), f"grade {grade}")


_READERS: dict[str, Callable[..., Interval | Printed | int]] = {
    "arms": _arms,
    "counts": _counts,
    "rates": _rates,
    "medians": _medians,
    "logranks": _logranks,
    "effects": _effects,
    "adverse_events": _adverse,
    "graded_events": _graded,
}

"""What can go wrong, and how it is said.

Every error this package raises on purpose is one of these::

    RiskscoreError
    +-- StudyError        a study file breaks a rule (lists every one)
    +-- InputError        patients or a cohort break a rule (lists every one)
    +-- BundleError       a model on disk is missing, damaged or of another format
    +-- ModelError        the model cannot answer what was asked, or cannot be fitted
    +-- AnswerError       the graph answered what is no survival curve; it is not given out

All are `ValueError` too, so that callers without this module can catch them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "SHOWN",
    "AnswerError",
    "BundleError",
    "InputError",
    "ModelError",
    "Problem",
    "RiskscoreError",
    "StudyError",
    "json_safe",
]

SHOWN = 20
"""How many problems a message spells out; the rest are counted."""


class RiskscoreError(ValueError):
    """Base of every error raised on purpose by riskscore."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: where, which, by what value, and what to do.

    Attributes
    ----------
    row : int or None
        1-based number of the patient in the table or list; None when the problem is the
        table's, not a row's.
    field : str
        Column, request field or study key.
    rule : str
        What must hold, as a phrase that follows the field ("must be 18 to 80 year").
    value : object
        What was found, made JSON-safe; None when nothing was.
    remedy : str
        What to do about it.
    """

    row: int | None
    field: str
    rule: str
    value: Any
    remedy: str

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row}: "
        found = "" if self.value is None else f", got {self.value!r}"
        return f"{where}{self.field} {self.rule}{found}; {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as a JSON-ready dictionary."""
        return asdict(self)


def json_safe(value: object) -> Any:
    """Return `value` if JSON can hold it as it is, else its text, cut at 80 characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return (
            value
            if abs(value) < 10**15
            else f"{float(value):g}"
            if abs(value) < 10**300
            else "huge"
        )
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def listing(problems: Sequence[Problem]) -> str:
    """Return one line a problem: the first 20, then the count of the rest."""
    lines = [f"- {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"- and {len(problems) - SHOWN} more")
    return "\n".join(lines)


class _ListedError(RiskscoreError):
    """An error that carries every problem found, not just the first."""

    def __init__(self, problems: Iterable[Problem], where: str = "") -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        head = f"{where + ': ' if where else ''}{count} problem{'' if count == 1 else 's'}"
        super().__init__(f"{head}\n{listing(self.problems)}")


class StudyError(_ListedError):
    """A study file breaks a rule; `problems` lists every one, `field` being the key."""


class InputError(_ListedError):
    """Patients or a cohort break a rule; `problems` lists every one."""


class BundleError(RiskscoreError):
    """A model on disk is missing, damaged, or of a format this version does not read."""


class ModelError(RiskscoreError):
    """The model cannot answer what was asked of it, or cannot be fitted."""


class AnswerError(RiskscoreError):
    """What the model answered is no survival: the bundle or the machine is broken."""

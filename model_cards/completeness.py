"""The last look before a card is rendered: every field holds something, or nothing is made."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from model_cards.card import EmptyMeans
from riskscore.errors import Problem

__all__ = ["blanks"]

REMEDY = "write the bundle again, or mend what computes this field"


def blanks(part: Any, path: str = "card", *, may_be_empty: bool = False) -> list[Problem]:
    """Return a problem for every field of a card that holds nothing.

    Parameters
    ----------
    part : Card or any part of one
    path : str
        Dotted path of the part.
    may_be_empty : bool
        Whether nothing (None, an empty text or list) has a meaning here. A number that is not
        finite never has.

    Examples
    --------
    >>> from model_cards.card import Step
    >>> [problem.field for problem in blanks(Step(rule=" ", rows=3), "card.data.excluded[0]")]
    ['card.data.excluded[0].rule']
    """
    if is_dataclass(part) and not isinstance(part, type):
        marked = _may_be_empty(type(part))
        return [
            problem
            for f in fields(part)
            for problem in blanks(
                getattr(part, f.name), f"{path}.{f.name}", may_be_empty=f.name in marked
            )
        ]
    if isinstance(part, float) and not math.isfinite(part):
        return [Problem(None, path, "is not a number", None, REMEDY)]
    if part is None or part == () or (isinstance(part, str) and not part.strip()):
        return [] if may_be_empty else [Problem(None, path, "is empty", None, REMEDY)]
    if isinstance(part, tuple):
        return [p for i, item in enumerate(part) for p in blanks(item, f"{path}[{i}]")]
    return []


@cache
def _may_be_empty(kind: type) -> frozenset[str]:
    """Return the fields of a dataclass that are marked with what their being empty means."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(
        name
        for name, hint in hints.items()
        if get_origin(hint) is Annotated
        and any(isinstance(mark, EmptyMeans) for mark in get_args(hint))
    )

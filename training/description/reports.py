"""Responses and adverse events, where a cohort has the columns.

`response_1m`, `response_3m`, ... hold CR, PR, SD or PD; empty or "not_evaluated" where there was no
evaluation. `ae_NAME` holds the worst grade of an adverse event, 0 (none) to 5, as in the Common
Terminology Criteria for Adverse Events; "no" or "yes" where grades were not told; empty where the
event was not recorded, which is not the same as its absence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import Problem, json_safe
from riskscore.records import is_missing

__all__ = ["EVENT_PREFIX", "GRADES", "RESPONSES", "RESPONSE_PREFIX", "Reports", "read_reports"]

RESPONSE_PREFIX = "response_"
EVENT_PREFIX = "ae_"

RESPONSES = ("CR", "PR", "SD", "PD")
"""Complete and partial response, stable and progressive disease; the first two are objective
responses, the first three disease control."""

NOT_EVALUATED = "not_evaluated"

GRADES = (1, 2, 3, 4, 5)

ABSENT, UNGRADED, UNRECORDED = 0, -1, -2
"""Codes beside the grades: no event; an event without a grade; nothing recorded."""


@dataclass(frozen=True)
class Reports:
    """What was recorded of each row beyond predictors and outcomes.

    Attributes
    ----------
    responses : dict of ndarray of shape (n,)
        By column: place in `RESPONSES`, or `UNRECORDED`.
    adverse_events : dict of ndarray of shape (n,)
        By column: grade, `ABSENT`, `UNGRADED` or `UNRECORDED`.
    """

    responses: dict[str, NDArray[np.int64]]
    adverse_events: dict[str, NDArray[np.int64]]


def read_reports(frame: pd.DataFrame) -> tuple[Reports, list[Problem]]:
    """Return the responses and adverse events of a table, and every problem found in them."""
    problems: list[Problem] = []

    def read(
        prefix: str, code: Callable[[Any], int | None], allowed: str
    ) -> dict[str, NDArray[np.int64]]:
        found = {}
        for name in (str(c) for c in frame.columns if str(c).startswith(prefix)):
            values = frame[name].tolist()
            codes = [code(value) for value in values]
            problems.extend(
                Problem(
                    i, name, f"must be {allowed}", json_safe(value), "leave it empty if unknown"
                )
                for i, (value, known) in enumerate(zip(values, codes, strict=True), 1)
                if known is None
            )
            found[name] = np.array([UNRECORDED if c is None else c for c in codes], dtype=np.int64)
        return found

    words = ", ".join((*RESPONSES, NOT_EVALUATED))
    responses = read(RESPONSE_PREFIX, _response, f"one of {words}, or empty")
    events = read(EVENT_PREFIX, _grade, "a grade from 0 to 5, no or yes, or empty")
    return Reports(responses, events), problems


def _response(value: Any) -> int | None:
    if is_missing(value) or value == NOT_EVALUATED:
        return UNRECORDED
    return RESPONSES.index(value) if value in RESPONSES else None


def _grade(value: Any) -> int | None:
    if is_missing(value):
        return UNRECORDED
    if isinstance(value, str):
        if value in ("no", "yes"):
            return ABSENT if value == "no" else UNGRADED
        return int(value) if value in tuple("012345") else None
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return None
    return int(value) if value in (ABSENT, *GRADES) else None

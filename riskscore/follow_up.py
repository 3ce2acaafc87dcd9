"""The outcome's columns of a cohort: follow-up, events, and which rows are one patient's.

Training and validation read them by the same rules.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import Problem, json_safe
from riskscore.records import encode_values, is_missing
from riskscore.study import Outcome, Predictor, Study
from riskscore.tables import numeric

__all__ = ["PATIENT", "read_events", "read_groups", "read_times"]

FloatArray = NDArray[np.float64]

PATIENT = "patient"
"""Column that names the patient. A study without a cluster allows each patient one row."""


def read_times(
    frame: pd.DataFrame, outcome: Outcome, unit: str
) -> tuple[FloatArray, list[Problem]]:
    """Return follow-up times in the study's unit, and every problem with them."""
    if outcome.time not in frame:
        return np.array([]), [_missing_column(outcome.time, f"follow-up time in {unit}s")]
    values = numeric(frame[outcome.time])
    number = Predictor(outcome.time, outcome.time, unit=unit, range=(-np.inf, np.inf))
    time, _ = encode_values(values, number)
    problems = []
    for i in np.flatnonzero(~((time > 0) & (time < np.inf))).tolist():
        found = json_safe(values[i])
        if is_missing(values[i]):
            rule, found, remedy = "must not be missing", None, f"give the time in {unit}s"
        elif np.isnan(time[i]):
            rule, remedy = "must be a number", "write it as a plain number, without quotes or unit"
        else:
            rule, remedy = "must be above 0 and finite", "leave the row out, or correct the date"
        problems.append(Problem(i + 1, outcome.time, rule, found, remedy))
    return time, problems


def read_events(frame: pd.DataFrame, outcome: Outcome) -> tuple[FloatArray, list[Problem]]:
    """Return 1 for an event and 0 for a censored row, and every problem with them."""
    if outcome.event not in frame:
        return np.array([]), [_missing_column(outcome.event, "1 for an event, 0 for censored")]
    series = frame[outcome.event]
    values = series.astype(int).tolist() if series.dtype == bool else numeric(series)
    event = np.array([_event(v) for v in values], dtype=float)
    remedy = f"write 1 for {outcome.event.replace('_', ' ')}, 0 for censored"
    problems = [
        Problem(
            int(i) + 1,
            outcome.event,
            "must not be missing" if is_missing(values[i]) else "must be 0 or 1",
            None if is_missing(values[i]) else json_safe(values[i]),
            remedy,
        )
        for i in np.flatnonzero(np.isnan(event))
    ]
    if len(event) and not problems and not event.any():
        rule = "has no event: every row is 0"
        problems = [Problem(None, outcome.event, rule, None, "check the coding (1 is an event)")]
    return event, problems


def _event(value: Any) -> float:
    known = isinstance(value, int | float | np.number) and value in (0, 1)
    return float(value) if known else math.nan


def read_groups(
    frame: pd.DataFrame, study: Study
) -> tuple[NDArray[np.int64] | None, list[Problem]]:
    """Return each row's patient where the study has a cluster; else refuse repeated patients."""
    if not study.cluster:
        if PATIENT not in frame:
            return None, []
        named = frame[PATIENT].tolist()
        counts = Counter(str(v) for v in named if not is_missing(v))
        problems = [
            Problem(
                i,
                PATIENT,
                "must not repeat: the study has no cluster",
                patient,
                f'keep one row a patient, or declare cluster = "{PATIENT}" in the study',
            )
            for i, patient in enumerate(map(str, named), 1)
            if counts[patient] > 1
        ]
        return None, problems + _unnamed(PATIENT, named)
    if study.cluster not in frame:
        return None, [_missing_column(study.cluster, "the patient each row belongs to")]
    values = frame[study.cluster].tolist()
    patients, numbers = np.unique(np.array([str(v) for v in values]), return_inverse=True)
    # Where nobody repeats, rows are patients and the model-based variance holds.
    groups = numbers.astype(np.int64) if len(patients) < len(values) else None
    return groups, _unnamed(study.cluster, values)


def _unnamed(column: str, values: list[Any]) -> list[Problem]:
    remedy = "name the patient of each row"
    return [
        Problem(i, column, "must not be missing", None, remedy)
        for i, value in enumerate(values, 1)
        if is_missing(value)
    ]


def _missing_column(name: str, what: str) -> Problem:
    return Problem(None, name, "column is missing", None, f"add it, with {what}")

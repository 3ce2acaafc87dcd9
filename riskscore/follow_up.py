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
from riskscore.ties import join_times

__all__ = ["PATIENT", "read_competing", "read_events", "read_groups", "read_times"]

FloatArray = NDArray[np.float64]

PATIENT = "patient"
"""Column that names the patient. A study without a cluster allows each patient one row."""

SAME_TIME = 1e-6
"""Relative difference up to which two columns hold one time (one of them may be converted)."""


def read_times(
    frame: pd.DataFrame, outcome: Outcome, unit: str
) -> tuple[FloatArray, list[Problem]]:
    """Return follow-up times in the study's unit, and every problem with them.

    Times that differ from each other, or from a horizon, by rounding alone are one time.
    """
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
    return join_times(time, outcome.horizons), problems


def read_events(frame: pd.DataFrame, outcome: Outcome) -> tuple[FloatArray, list[Problem]]:
    """Return 1 for an event and 0 for a censored row, and every problem with them."""
    event, problems = _flags(frame, outcome.event, "censored")
    if len(event) and not problems and not event.any():
        rule = "has no event: every row is 0"
        problems = [Problem(None, outcome.event, rule, None, "check the coding (1 is an event)")]
    return event, problems


def read_competing(
    frame: pd.DataFrame, outcome: Outcome, study: Study | None = None
) -> tuple[FloatArray | None, list[Problem]]:
    """Return 1 where follow-up ends with the competing event, else 0, and every problem.

    None where the outcome declares no competing event. A row that has the event ends with it,
    whatever its competing column says: a patient may progress and die later. A row with the
    competing event alone ends with that one, so its time must be that event's.

    Parameters
    ----------
    frame : DataFrame
    outcome : Outcome
    study : Study, optional
        Where the competing column is the event of another of its outcomes, whose time the cohort
        has, the two times are compared: a row that ends with the competing event must have both
        alike, and no event may follow it.
    """
    if not outcome.competing:
        return None, []
    column = outcome.competing
    flags, problems = _flags(frame, column, "none")
    if problems or outcome.event not in frame:
        return flags, problems
    event = _flags(frame, outcome.event, "censored")[0]
    other = None
    for o in () if study is None else study.outcomes.values():
        if o.event == column and o.time in frame and outcome.time in frame and study is not None:
            other = o.time
            time = read_times(frame, outcome, study.time_unit)[0]
            its_time = read_times(frame, o, study.time_unit)[0]
    if other is not None:
        apart = (flags == 1) & (event == 0) & (np.abs(time - its_time) > SAME_TIME * its_time)
        rule = f"must be {other} where {column} is 1 and {outcome.event} is 0"
        remedy = (
            f"follow the row to the {column.replace('_', ' ')} if nothing came before it, or leave "
            "the row out"
        )
        problems += [
            Problem(int(i) + 1, outcome.time, rule, float(time[i]), remedy)
            for i in np.flatnonzero(apart)
        ]
        late = (flags == 1) & (event == 1) & (time - its_time > SAME_TIME * its_time)
        rule, remedy = f"must not be after {other}: {column} is 1 there", "correct one of the times"
        problems += [
            Problem(int(i) + 1, outcome.time, rule, float(time[i]), remedy)
            for i in np.flatnonzero(late)
        ]
    return np.where(event == 1, 0.0, flags), problems


def _flags(frame: pd.DataFrame, column: str, else_: str) -> tuple[FloatArray, list[Problem]]:
    if column not in frame:
        return np.array([]), [_missing_column(column, f"1 for an event, 0 for {else_}")]
    series = frame[column]
    values = series.astype(int).tolist() if series.dtype == bool else numeric(series)
    found = np.array([_event(v) for v in values], dtype=float)
    remedy = f"write 1 for {column.replace('_', ' ')}, 0 for {else_}"
    return found, [
        Problem(
            int(i) + 1,
            column,
            "must not be missing" if is_missing(values[i]) else "must be 0 or 1",
            None if is_missing(values[i]) else json_safe(values[i]),
            remedy,
        )
        for i in np.flatnonzero(np.isnan(found))
    ]


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

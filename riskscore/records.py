"""From patients to the numbers a model takes, and the list of what is wrong with them.

One core serves Python, the command line and HTTP: columns of plain values go in, a float64 matrix
and the problems come out. Nothing here raises for bad values; `checked` does, with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore._reader import nearest
from riskscore.errors import SHOWN, InputError, Problem, json_safe
from riskscore.study import Predictor

__all__ = [
    "checked",
    "encode_columns",
    "encode_records",
    "encode_times",
    "encode_values",
    "is_missing",
]

FloatArray = NDArray[np.float64]


def encode_records(
    records: Sequence[Mapping[str, Any]], predictors: Sequence[Predictor]
) -> tuple[FloatArray, list[Problem]]:
    """Return the model's input from patients given as dictionaries, and every problem found.

    Parameters
    ----------
    records : sequence of mappings
        One patient each: every predictor's value by name, and no other key.
    predictors : sequence of Predictor
        The model's predictors, in the model's order.

    Returns
    -------
    X : ndarray of shape (n_patients, n_predictors)
        A category is its level's index (0 = reference), a number is itself; NaN where a value has
        a problem.
    problems : list of Problem
    """
    names = [p.name for p in predictors]
    known = set(names)
    problems: list[Problem] = []
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for row, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            remedy = "give each patient as predictor names with values"
            problems.append(Problem(row, "patient", "must be an object", json_safe(record), remedy))
            record = {}
        # dict views compare as sets at C speed: the usual, correct record costs one comparison.
        elif record.keys() != known:
            problems += _key_problems(row, record, names, hints=len(problems) < SHOWN)
        for name in names:
            columns[name].append(record.get(name, ABSENT))
    if not records:
        problems.append(_no_patients())
    X, found = encode_columns(columns, predictors)
    return X, problems + found


def encode_columns(
    columns: Mapping[str, Sequence[Any]], predictors: Sequence[Predictor]
) -> tuple[FloatArray, list[Problem]]:
    """Return the model's input from columns of values, and every problem found.

    Parameters
    ----------
    columns : mapping of str to sequence
        Values by column name, all of one length; columns that no predictor names are left alone.
    predictors : sequence of Predictor
        The model's predictors, in the model's order.

    Returns
    -------
    X : ndarray of shape (n_rows, n_predictors)
        NaN where a value has a problem.
    problems : list of Problem
        Ordered by row, then by predictor.
    """
    n_rows = len(next(iter(columns.values()))) if columns else 0
    X = np.full((n_rows, len(predictors)), np.nan)
    problems: list[Problem] = []
    for j, predictor in enumerate(predictors):
        if predictor.name not in columns:
            hint = nearest(predictor.name, list(map(str, columns)))
            problems.append(
                Problem(
                    None,
                    predictor.name,
                    "column is missing",
                    None,
                    f"{hint}add it, with {predictor.allowed()}",
                )
            )
            continue
        X[:, j], found = encode_values(columns[predictor.name], predictor)
        problems += found
    problems.sort(key=lambda p: p.row or 0)
    return X, problems


def encode_values(values: Sequence[Any], predictor: Predictor) -> tuple[FloatArray, list[Problem]]:
    """Return one predictor's values as numbers (NaN where refused), and the problems found."""
    if predictor.is_category:
        get = predictor.index.get
        try:
            found = [get(v) for v in values]
        except TypeError:  # an unhashable value, such as a list
            found = [get(v) if isinstance(v, str) else None for v in values]
        encoded = np.array(found, dtype=np.float64)  # None becomes NaN
        if None not in found:
            return encoded, []
        refused = np.isnan(encoded)
    else:
        assert predictor.range is not None
        low, high = predictor.range
        encoded = np.array([_as_number(v) for v in values], dtype=np.float64)
        refused = ~((encoded >= low) & (encoded <= high))
    if not refused.any():
        return encoded, []
    rows = np.flatnonzero(refused)
    encoded[rows] = np.nan
    return encoded, [
        problem
        for number, i in enumerate(rows.tolist())
        if (problem := _value_problem(i + 1, values[i], predictor, hint=number < SHOWN))
    ]


def encode_times(
    times: Iterable[float], limit: float, unit: str
) -> tuple[FloatArray, list[Problem]]:
    """Return the times a prediction is asked for as numbers, and every problem with them.

    Parameters
    ----------
    times : iterable of float
    limit : float
        Longest follow-up in training, beyond which nothing is known.
    unit : str
        Of time.
    """
    form = f"give times in {unit}s, such as [6, 12]"
    items = list(times) if isinstance(times, Iterable) and not isinstance(times, str) else None
    if not items:
        rule = "must be a list of numbers"
        return np.array([]), [Problem(None, "times", rule, json_safe(times), form)]
    problems: list[Problem] = []
    values: dict[str, float] = {}  # by name: twelve digits, as columns show them
    for t in items:
        is_number = isinstance(t, int | float | np.number) and not isinstance(t, bool)
        if not is_number or not 0 <= t <= limit:
            rule = f"must be 0 to {limit:g} {unit}s, the longest follow-up in training"
            beyond = is_number and t > limit
            remedy = "leave it out: nothing is known beyond the follow-up" if beyond else form
            problems.append(Problem(None, "times", rule, json_safe(t), remedy))
        elif f"{float(t):.12g}" in values:
            problems.append(Problem(None, "times", "must not repeat", float(t), "drop one"))
        else:
            values[f"{float(t):.12g}"] = float(t)
    return np.array(list(values.values())), problems


def checked(X: FloatArray, problems: list[Problem]) -> FloatArray:
    """Return `X`, or raise `InputError` if there are problems."""
    if problems:
        raise InputError(sorted(problems, key=lambda p: p.row or 0))
    return X


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: None, NaN (of any kind) or an empty text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA refuses to say; an array has no single answer
        return type(value).__name__ == "NAType"


class _Absent:
    """A key that a record does not have: already reported, so not reported as a value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def _as_number(value: object) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError):  # an integer beyond float64, or a complex number
        return math.nan


def _key_problems(
    row: int, record: Mapping[str, Any], names: list[str], *, hints: bool
) -> Iterable[Problem]:
    for name in names:
        if name not in record:
            yield Problem(row, name, "is missing", None, "add it: the model needs every predictor")
    unknown = [key for key in record if key not in names]
    for number, key in enumerate(unknown):
        # Looking for the nearest name is slow; nobody reads the thousandth hint.
        hint = nearest(str(key)[:100], names) if hints and number < SHOWN else ""
        remedy = f"{hint}the model takes {', '.join(names)}"
        yield Problem(row, json_safe(str(key)), "is not a predictor of this model", None, remedy)


def _value_problem(row: int, value: object, p: Predictor, *, hint: bool) -> Problem | None:
    if value is ABSENT:
        return None
    if is_missing(value):
        return Problem(row, p.name, "must not be missing", None, f"give {p.allowed()}")
    found = json_safe(value)
    if p.is_category:
        # Spelling says nothing of a number: 3 tumours look like ">3" and belong to "<=3".
        is_word = isinstance(found, str) and any(map(str.isalpha, found))
        likely = nearest(found, p.levels).rstrip() if hint and is_word else ""
        remedy = likely or f"use {p.allowed()}"
        return Problem(row, p.name, f"must be {p.allowed()}", found, remedy)
    number = _as_number(value)
    if math.isnan(number):
        remedy = "write it as a plain number, without quotes or unit"
        return Problem(row, p.name, "must be a number", found, remedy)
    return Problem(
        row,
        p.name,
        f"must be {p.allowed()}",
        found,
        f"check the value and its unit ({p.unit_words})",
    )


def _no_patients() -> Problem:
    return Problem(None, "patients", "must be at least one", None, "give one patient or more")

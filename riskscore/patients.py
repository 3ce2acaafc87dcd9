"""Patients in whatever form a Python caller has them, read by the one core of `records`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.records import encode_columns, encode_records
from riskscore.study import Predictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Patients", "read_patients"]

FloatArray = NDArray[np.float64]

Patients: TypeAlias = "pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]"
"""One row or dictionary a patient."""


def read_patients(
    patients: Patients, predictors: Sequence[Predictor], switched: Predictor | None = None
) -> tuple[FloatArray, list[Problem], pd.Index[Any] | None]:
    """Return the input of patients, what is wrong with it, and the index of a table.

    Parameters
    ----------
    patients : DataFrame, dict or sequence of dicts
    predictors : sequence of Predictor
        The model's.
    switched : Predictor, optional
        A predictor that is switched afterwards, and may be absent.
    """
    default = {} if switched is None else {switched.name: switched.levels[0]}
    if isinstance(patients, Mapping):
        patients = [patients]
    if isinstance(patients, Sequence) and not isinstance(patients, str | bytes):
        if default:
            patients = [default | dict(p) if isinstance(p, Mapping) else p for p in patients]
        return *encode_records(patients, predictors), None
    from riskscore.tables import columns_of, repeated_columns

    if not hasattr(patients, "columns") or not hasattr(patients, "index"):
        found = type(patients).__name__
        remedy = "give a DataFrame, a dictionary or a list of dictionaries"
        raise InputError([Problem(None, "patients", "must be a table", found, remedy)])
    if wrong := repeated_columns(patients):
        raise InputError(wrong)
    absent = {name: level for name, level in default.items() if name not in patients}
    table = patients.assign(**absent) if absent else patients
    X, problems = encode_columns(columns_of(table, predictors), predictors)
    if not len(X):
        remedy = "give one patient or more"
        problems.append(Problem(None, "patients", "must be at least one", None, remedy))
    return X, problems, patients.index

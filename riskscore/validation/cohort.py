"""A cohort to validate a model on: its patients, checked by the model's own manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.follow_up import read_competing, read_events, read_groups, read_times
from riskscore.manifest import Manifest
from riskscore.records import checked, encode_columns, encode_values
from riskscore.study import Outcome, Predictor, Study
from riskscore.tables import columns_of, read_table

__all__ = ["ValidationCohort", "check_validation_cohort", "read_validation_cohort"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ValidationCohort:
    """Patients with the model's predictors and its outcome.

    Attributes
    ----------
    X : ndarray of shape (n, n_predictors)
        Checked input of the model.
    time : ndarray of shape (n,)
        Follow-up, in the study's unit.
    event : ndarray of shape (n,), bool
    groups : ndarray of shape (n,) or None
        Number of each row's patient, where patients have several rows.
    others : dict of (Predictor, ndarray of shape (n,))
        Columns of the study that the model does not ask for: subgroups are looked at by them. NaN
        where a cell is empty or breaks the study's rule.
    name, sha256 : str
        Of the file.
    competing : ndarray of shape (n,), bool, or None
        Whether follow-up ends with the competing event; None where the outcome declares none.
    """

    X: FloatArray
    time: FloatArray
    event: NDArray[np.bool_]
    groups: NDArray[np.int64] | None
    others: dict[str, tuple[Predictor, FloatArray]]
    name: str
    sha256: str
    competing: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def patients(self) -> int:
        """Number of patients; of rows, where each has one."""
        return len(self) if self.groups is None else len(np.unique(self.groups))


def read_validation_cohort(
    path: str | Path, manifest: Manifest, study: Study | None = None
) -> ValidationCohort:
    """Read and check a cohort from a file.

    Parameters
    ----------
    path : str or Path
        CSV, Parquet or Excel, with the columns of the model's study.
    manifest : Manifest
        Of the model.
    study : Study, optional
        The whole study, for subgroups by columns that the model does not ask for.

    Raises
    ------
    InputError
        Listing every problem: row (1-based), field, rule, value, remedy.
    """
    file = Path(path)
    frame = read_table(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return check_validation_cohort(frame, manifest, study, name=file.name, sha256=digest)


def check_validation_cohort(
    frame: pd.DataFrame,
    manifest: Manifest,
    study: Study | None = None,
    *,
    name: str = "table",
    sha256: str = "",
) -> ValidationCohort:
    """Check a table against a model and return the cohort; as `read_validation_cohort`."""
    predictors = manifest.predictors
    X, problems = encode_columns(columns_of(frame, predictors), predictors)
    time, found = read_times(frame, manifest.outcome, manifest.study.time_unit)
    problems += found
    event, found = read_events(frame, manifest.outcome)
    problems += found
    competing, found = read_competing(frame, _outcome(manifest, study), study)
    problems += found
    clustered = manifest.study
    if clustered.cluster and clustered.cluster not in frame:
        # One row a patient needs no column that says so.
        clustered = replace(clustered, cluster="")
    groups, found = read_groups(frame, clustered)
    problems += found
    if not len(frame):
        problems.append(Problem(None, "table", "has no rows", None, "export it again"))
    try:
        checked(X, problems)
    except InputError as error:
        raise InputError(error.problems, name) from None
    others = {} if study is None else _others(frame, manifest, study)
    ended = None if competing is None else competing.astype(bool)
    return ValidationCohort(X, time, event.astype(bool), groups, others, name, sha256, ended)


def _outcome(manifest: Manifest, study: Study | None) -> Outcome:
    """Return the model's outcome, with what the whole study declares to compete with it.

    What competes is a matter of the patients who are looked at, so a model that was fitted before
    the study said it need not be fitted again.
    """
    own = manifest.outcome
    whole = None if study is None else study.outcomes.get(own.name)
    if own.competing or whole is None or (whole.time, whole.event) != (own.time, own.event):
        return own
    return replace(own, competing=whole.competing)


def _others(
    frame: pd.DataFrame, manifest: Manifest, study: Study
) -> dict[str, tuple[Predictor, FloatArray]]:
    found: dict[str, tuple[Predictor, Any]] = {}
    for p in study.predictors.values():
        if p.name in frame and p.name not in manifest.study.predictors:
            values, _ = encode_values(columns_of(frame[[p.name]], (p,))[p.name], p)
            found[p.name] = (p, values)
    return found

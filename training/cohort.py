"""A cohort ready to fit: checked against its study, with its provenance and participant flow.

A user's table is refused when anything in it breaks a rule, with every problem listed. Only an
adapter, which knows a particular public file, may leave rows out; it counts them by reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.follow_up import PATIENT, read_events, read_groups, read_times
from riskscore.records import encode_columns, is_missing
from riskscore.study import Outcome, Predictor, Study
from riskscore.tables import columns_of, read_table
from training.provenance import Flow, Provenance, read_provenance

__all__ = ["PATIENT", "Cohort", "check_cohort", "read_cohort"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Cohort:
    """A checked cohort, for one outcome and one set of predictors.

    Attributes
    ----------
    study : Study
        Reduced to the outcome and the predictors.
    X : ndarray of shape (n, n_predictors)
        Model input: level indices and numbers.
    time : ndarray of shape (n,)
        Follow-up, in the study's unit.
    event : ndarray of shape (n,), bool
    groups : ndarray of shape (n,) or None
        Number of each row's patient, where the study has a cluster.
    horizons_left_out : tuple of float
        Declared horizons beyond the longest follow-up, about which nothing can be said.
    kept : dict of str to ndarray of shape (n,)
        Other columns that were asked for: a centre, a year.
    """

    study: Study
    X: FloatArray
    time: FloatArray
    event: NDArray[np.bool_]
    groups: NDArray[np.int64] | None
    flow: dict[str, Any]
    provenance: Provenance
    name: str
    sha256: str
    horizons_left_out: tuple[float, ...] = ()
    kept: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The outcome."""
        return next(iter(self.study.outcomes.values()))

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """The predictors, in the order of the columns of `X`."""
        return tuple(self.study.predictors.values())

    @property
    def n_patients(self) -> int:
        """Number of patients (rows, where each patient has one)."""
        return len(self.time) if self.groups is None else len(np.unique(self.groups))

    @property
    def n_patients_with_event(self) -> int:
        """Number of patients with an event in any row."""
        if self.groups is None:
            return int(self.event.sum())
        return len(np.unique(self.groups[self.event]))

    @property
    def y(self) -> NDArray[Any]:
        """Event and time as the structured array scikit-survival takes."""
        y = np.empty(len(self.time), dtype=[("event", bool), ("time", float)])
        y["event"], y["time"] = self.event, self.time
        return y

    def subset(self, rows: NDArray[np.intp]) -> Cohort:
        """Return the cohort of the given rows (with repeats, for resampling)."""
        groups = None if self.groups is None else self.groups[rows]
        kept = {name: values[rows] for name, values in self.kept.items()}
        return replace(
            self,
            X=self.X[rows],
            time=self.time[rows],
            event=self.event[rows],
            groups=groups,
            kept=kept,
        )


def read_cohort(
    path: str | Path,
    study: Study,
    outcome: str,
    predictors: Sequence[str] | None = None,
    adapter: str | None = None,
    keep: Sequence[str] = (),
) -> Cohort:
    """Read and check a cohort from a file.

    Parameters
    ----------
    path : str or Path
        CSV, Parquet or Excel. A file of the same name ending in `.source.toml` beside it states the
        provenance.
    study : Study
    outcome : str
    predictors : sequence of str, optional
        All of the study's by default.
    adapter : str, optional
        Name of an adapter, for a public file whose columns are not the study's.
    keep : sequence of str
        Further columns to keep, a value in every row: a centre, a year.

    Raises
    ------
    InputError
        Listing every problem of the table.
    StudyError
        If the outcome or a predictor is not declared.
    """
    from training.adapters import adapt

    file = Path(path)
    frame = read_table(file)
    source_rows = None
    if adapter is None:
        flow, provenance = Flow(len(frame)), read_provenance(file)
    else:
        frame, flow, provenance = adapt(adapter, frame, study)
        source_rows = frame.index.to_numpy() + 1
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return check_cohort(
        frame, study, outcome, predictors,
        flow=flow, provenance=provenance, name=file.name, sha256=digest, source_rows=source_rows,
        keep=keep,
    )  # fmt: skip


def check_cohort(
    frame: pd.DataFrame,
    study: Study,
    outcome: str,
    predictors: Sequence[str] | None = None,
    *,
    flow: Flow | None = None,
    provenance: Provenance | None = None,
    name: str = "table",
    sha256: str = "",
    source_rows: NDArray[np.int64] | None = None,
    keep: Sequence[str] = (),
) -> Cohort:
    """Check a table against its study and return the cohort.

    `source_rows` numbers the table's rows as the file they came from does, for error messages.

    Raises
    ------
    InputError
        Listing every problem: row (1-based), field, rule, value, remedy.
    """
    reduced = study.reduced(outcome, None if predictors is None else tuple(predictors))
    declared_outcome = chosen = reduced.outcomes[outcome]
    declared = tuple(reduced.predictors.values())
    X, problems = encode_columns(columns_of(frame, declared), declared)
    time, found = read_times(frame, chosen, study.time_unit)
    problems += found
    event, found = read_events(frame, chosen)
    problems += found
    groups, found = read_groups(frame, study)
    problems += found
    kept, found = _keep(frame, keep)
    problems += found
    problems += _variation(X, declared, problems)
    if not problems and len(time):
        within = tuple(h for h in chosen.horizons if h <= time.max())
        chosen = replace(chosen, horizons=within)
        reduced = replace(reduced, outcomes={outcome: chosen})
        if not within:
            rule = f"must have a horizon within the follow-up, which ends at {time.max():g}"
            remedy = "declare an earlier horizon in the study"
            found_horizons = str(list(declared_outcome.horizons))
            problems.append(Problem(None, f"outcomes.{outcome}", rule, found_horizons, remedy))
    if not len(frame):
        problems.append(Problem(None, "table", "has no rows", None, "export it again"))
    if problems:
        if source_rows is not None:
            problems = [
                p if p.row is None else replace(p, row=int(source_rows[p.row - 1]))
                for p in problems
            ]
        raise InputError(sorted(problems, key=lambda p: p.row or 0), name)
    return Cohort(
        study=reduced,
        X=X,
        time=time,
        event=event.astype(bool),
        groups=groups,
        flow=(flow or Flow(len(frame))).to_dict(len(frame)),
        provenance=provenance or Provenance(),
        name=name,
        sha256=sha256,
        horizons_left_out=declared_outcome.horizons[len(chosen.horizons) :],
        kept=kept,
    )


def _keep(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], list[Problem]]:
    """Return further columns, each with a value in every row."""
    kept: dict[str, NDArray[Any]] = {}
    problems = []
    for name in names:
        if name not in frame:
            remedy = "add it, or name another: a centre or a year in every row"
            problems.append(Problem(None, name, "column is missing", None, remedy))
            continue
        values = frame[name].tolist()
        problems += [
            Problem(row, name, "must not be missing", None, "fill it, or leave the row out")
            for row, value in enumerate(values, 1)
            if is_missing(value)
        ]
        kept[name] = np.array(values)
    return kept, problems


def _variation(
    X: FloatArray, predictors: Sequence[Predictor], problems: Sequence[Problem]
) -> list[Problem]:
    """Refuse a predictor that takes one value only; a column with problems of its own is spared."""
    spoilt = {p.field for p in problems}
    found = []
    for j, p in enumerate(predictors):
        if p.name in spoilt or not len(X):
            continue
        values = np.unique(X[:, j])
        if len(values) < 2:
            rule = "must have two levels present" if p.is_category else "must vary"
            value = p.levels[int(values[0])] if p.is_category else float(values[0])
            remedy = "leave it out with --predictors: it cannot tell patients apart"
            found.append(Problem(None, p.name, rule, f"only {value}", remedy))
        elif p.is_category and len(values) < len(p.levels):
            absent = [lv for i, lv in enumerate(p.levels) if i not in values]
            rule = "must have every declared level present"
            remedy = "merge the level in the study, or leave the predictor out with --predictors"
            found.append(Problem(None, p.name, rule, f"nobody with {', '.join(absent)}", remedy))
    return found

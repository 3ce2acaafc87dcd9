"""A cohort ready to describe: what a model needs, and beside it what a description also shows.

Unlike a fit, a description shows gaps: a predictor with missing values stands in Table 1 with how
many are missing, and enters no model. It is told nowhere else, and a fit would refuse it. Outcomes
and arms have no gaps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.records import encode_columns, is_missing
from riskscore.study import Predictor, Study
from riskscore.tables import columns_of, read_table
from training.adapters import adapt
from training.cohort import Cohort, check_cohort
from training.description.reports import Reports, read_reports
from training.provenance import Flow, Provenance, read_provenance

__all__ = ["Sample", "check_sample", "read_sample"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """A checked cohort, its arms, and what else was recorded.

    Attributes
    ----------
    cohorts : dict of Cohort
        By outcome, in the order asked for, with the predictors that can enter a model.
    predictors : tuple of Predictor
        All that are described, in the study's order.
    X : ndarray of shape (n, n_predictors)
        Level indices and numbers; NaN where missing.
    left_out : dict of str
        Why a predictor enters no model, by name.
    by : Predictor or None
        What tells the arms apart; None for one arm of everybody.
    arms : tuple of str
        The levels of `by` that are present, in the study's order.
    arm : ndarray of shape (n,)
        Each row's place in `arms`.
    reports : Reports
        Responses and adverse events.
    """

    cohorts: dict[str, Cohort]
    predictors: tuple[Predictor, ...]
    X: FloatArray
    left_out: dict[str, str]
    by: Predictor | None
    arms: tuple[str, ...]
    arm: NDArray[np.intp]
    reports: Reports

    @property
    def cohort(self) -> Cohort:
        """The cohort of the first outcome: what all outcomes share."""
        return next(iter(self.cohorts.values()))


def read_sample(
    path: str | Path,
    study: Study,
    outcomes: Sequence[str] = ("os",),
    predictors: Sequence[str] | None = None,
    by: str | None = None,
    adapter: str | None = None,
) -> Sample:
    """Read and check a cohort from a file.

    Parameters
    ----------
    path : str or Path
        CSV, Parquet or Excel; the provenance is read from `.source.toml` beside it.
    study : Study
    outcomes : sequence of str
    predictors : sequence of str, optional
        All of the study's by default.
    by : str, optional
        Category that tells the arms apart. By default the study's treatment, if it is among the
        predictors; without one the cohort is one arm.
    adapter : str, optional
        Name of an adapter, for a public file whose columns are not the study's.

    Raises
    ------
    InputError
        Listing every problem of the table.
    StudyError
        If an outcome or a predictor is not declared.
    """
    file = Path(path)
    frame = read_table(file)
    if adapter is None:
        flow, provenance = Flow(len(frame)), read_provenance(file)
    else:
        frame, flow, provenance = adapt(adapter, frame, study)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return check_sample(
        frame.reset_index(drop=True), study, outcomes, predictors, by,
        flow=flow, provenance=provenance, name=file.name, sha256=digest,
    )  # fmt: skip


def check_sample(
    frame: pd.DataFrame,
    study: Study,
    outcomes: Sequence[str] = ("os",),
    predictors: Sequence[str] | None = None,
    by: str | None = None,
    *,
    flow: Flow | None = None,
    provenance: Provenance | None = None,
    name: str = "table",
    sha256: str = "",
) -> Sample:
    """Check a table against its study and return it ready to describe.

    Raises
    ------
    InputError
        Listing every problem: row (1-based), field, rule, value, remedy.
    StudyError
        If an outcome or a predictor is not declared.
    """
    names = tuple(study.predictors if predictors is None else predictors)
    if by is not None and by not in names:
        names = (*names, by)
    if not outcomes:
        remedy = f"choose from {', '.join(study.outcomes)}"
        raise InputError([Problem(None, "outcome", "must name at least one", None, remedy)], name)
    declared = tuple(study.reduced(outcomes[0], names).predictors.values())
    divider = _divider(study, declared, by)
    X, found = encode_columns(columns_of(frame, declared), declared)
    divided = None if divider is None else divider.name
    problems = [p for p in found if p.field == divided or not _is_gap(p, frame)]
    reports, refused = read_reports(frame)
    problems += refused
    left_out = _left_out(declared, X, {p.field for p in problems})
    modelled = [p.name for p in declared if p.name not in left_out]
    cohorts: dict[str, Cohort] = {}
    for outcome in dict.fromkeys(outcomes):
        if not modelled:
            remedy = "declare or name a predictor without gaps, with two levels present"
            problems.append(Problem(None, "predictors", "cannot be modelled", None, remedy))
            break
        try:
            cohort = check_cohort(
                frame, study, outcome, modelled,
                flow=flow, provenance=provenance, name=name, sha256=sha256,
            )  # fmt: skip
        except InputError as error:
            problems += [p for p in error.problems if p not in problems]
        else:
            cohorts[outcome] = cohort
            problems += _repeated(cohort, study, problems)
    if problems:
        raise InputError(sorted(problems, key=lambda p: p.row or 0), name)
    if divider is None:
        arms, arm = ("all",), np.zeros(len(frame), dtype=np.intp)
    else:
        codes = X[:, declared.index(divider)].astype(np.intp)
        present, arm = np.unique(codes, return_inverse=True)
        arms = tuple(divider.levels[i] for i in present)
    return Sample(cohorts, declared, X, left_out, divider, arms, arm, reports)


def _divider(study: Study, declared: Sequence[Predictor], by: str | None) -> Predictor | None:
    if by is None:
        return study.treatment if study.treatment in declared else None
    chosen = study.predictors[by]
    if not chosen.is_category:
        categories = ", ".join(p.name for p in study.predictors.values() if p.is_category)
        rule = "must be a category, to tell arms apart"
        raise InputError([Problem(None, "--by", rule, by, f"choose from {categories}")])
    return chosen


def _is_gap(problem: Problem, frame: pd.DataFrame) -> bool:
    if problem.row is None or problem.field not in frame:
        return False
    return is_missing(frame[problem.field].iloc[problem.row - 1])


def _left_out(declared: Sequence[Predictor], X: FloatArray, spoilt: set[str]) -> dict[str, str]:
    """Say why a predictor can enter no model; one with problems of its own is spared."""
    reasons = {}
    for j, p in enumerate(declared):
        if p.name in spoilt or not len(X):
            continue
        missing = int(np.isnan(X[:, j]).sum())
        values = np.unique(X[~np.isnan(X[:, j]), j])
        if missing:
            reasons[p.name] = f"missing in {missing} of {len(X)}"
        elif len(values) < 2:
            reasons[p.name] = "the same in everybody"
        elif p.is_category and len(values) < len(p.levels):
            absent = [level for i, level in enumerate(p.levels) if i not in values]
            reasons[p.name] = f"nobody with {', '.join(absent)}"
    return reasons


def _repeated(cohort: Cohort, study: Study, known: Sequence[Problem]) -> list[Problem]:
    """Refuse several rows of one patient: no test or interval of a description allows for them."""
    if cohort.n_patients == len(cohort.time):
        return []
    rule = f"must not repeat: {len(cohort.time)} rows are of {cohort.n_patients} patients"
    remedy = "describe one row a patient, such as the first visit"
    problem = Problem(None, str(study.cluster), rule, None, remedy)
    return [] if problem in known else [problem]

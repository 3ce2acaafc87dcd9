"""A cohort, checked and laid out for comparison with what was published about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.study import Study, load_study
from training.cohort import check_cohort
from training.published import Published
from training.published.records import Effect

__all__ = ["Subject", "subject"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Subject:
    """A checked cohort.

    Attributes
    ----------
    frame : DataFrame
        As given; categories as text.
    study : Study
    published : Published
    arms : tuple of ndarray of bool of shape (n,)
        Who is in each arm, in the published order.
    time, event : dict of ndarray of shape (n,)
        By outcome.
    """

    frame: pd.DataFrame
    study: Study
    published: Published
    arms: tuple[BoolArray, ...]
    time: dict[str, FloatArray]
    event: dict[str, BoolArray]

    def column(self, name: str) -> pd.Series[str]:
        """Return a column as text."""
        return self.frame[name].astype(str)

    def numbers(self, name: str) -> FloatArray:
        """Return a column as numbers."""
        return np.asarray(self.frame[name], dtype=np.float64)

    def has(self, name: str, level: str) -> BoolArray:
        """Return who has a level, shape (n,)."""
        return (self.column(name) == level).to_numpy(dtype=bool)

    def by_arm(self, mask: BoolArray) -> list[int]:
        """Return how many of each arm are in the mask."""
        return [int((mask & arm).sum()) for arm in self.arms]

    def contrast(self, effect: Effect) -> FloatArray:
        """Return the column of a Cox model that a published effect stands for, shape (n,).

        Where the source names no contrast this is the number itself, or the position of the level
        in the study, as a program does that is not told that a code stands for a category.
        """
        if effect.level is not None:
            return self.has(effect.variable, effect.level).astype(float)
        predictor = self.study.predictors[effect.variable]
        if not predictor.is_category:
            return self.numbers(effect.variable)
        return np.asarray(self.column(effect.variable).map(predictor.index), dtype=np.float64)


def subject(frame: pd.DataFrame, published: Published) -> Subject:
    """Check a cohort against the study of the published numbers.

    Raises
    ------
    InputError
        Listing every problem of the table: row, field, rule, value, remedy.
    """
    study = load_study(published.study.study)
    time: dict[str, FloatArray] = {}
    event: dict[str, BoolArray] = {}
    problems: list[Problem] = []
    for outcome in study.outcomes:
        try:
            checked = check_cohort(frame, study, outcome)
        except InputError as error:
            problems += [p for p in error.problems if p not in problems]
        else:
            time[outcome], event[outcome] = checked.time, checked.event
    treatment = study.treatment
    if treatment is None:
        raise KeyError(f"study {study.id} declares no treatment")
    for counts in published.counts:
        if counts.variable not in study.predictors and counts.variable not in frame.columns:
            remedy = f"add it, with {', '.join(counts.levels)} or anything else for not evaluated"
            problems.append(Problem(None, counts.variable, "column is missing", None, remedy))
    if problems:
        raise InputError(problems, "cohort")
    arms = tuple(
        (frame[treatment.name].astype(str) == arm.id).to_numpy(dtype=bool) for arm in published.arms
    )
    return Subject(frame, study, published, arms, time, event)

"""Two models on the same patients: differences with an interval of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import RiskscoreError
from riskscore.metrics import brier_score, concordance
from riskscore.metrics._estimates import Estimate, percentile
from riskscore.validation.cohort import FloatArray, ValidationCohort

__all__ = ["Paired", "paired"]


@dataclass(frozen=True)
class Paired:
    """The first model's figures less the second's, on the same patients.

    Attributes
    ----------
    other : str
        Id and digest of the second model.
    concordance : Estimate
        Harrell's; above 0 the first orders patients better.
    brier : tuple of Estimate
        At each horizon; below 0 the first predicts better.
    replicates, failed : int
        Bootstrap resamples of patients, and how many of them had nobody to compare.
    """

    other: str
    concordance: Estimate
    brier: tuple[Estimate, ...]
    replicates: int
    failed: int


def paired(
    cohort: ValidationCohort,
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    horizons: FloatArray,
    other: str,
    *,
    replicates: int,
    seed: int,
    level: float,
) -> Paired:
    """Compare two models by a bootstrap of patients in which both are judged on each resample.

    Parameters
    ----------
    cohort : ValidationCohort
    first, second : tuple of ndarray
        Survival at the horizons, of shape (n, k), and risk score, of shape (n,).
    """

    def figures(rows: NDArray[np.intp]) -> FloatArray:
        time, event = cohort.time[rows], cohort.event[rows]
        found = []
        for survival, score in (first, second):
            brier = brier_score(time, event, survival[rows], horizons, n_bootstrap=0)
            order = concordance(time, event, score[rows]).value
            found.append([order, *(b.brier.value for b in brier)])
        difference: FloatArray = np.array(found[0]) - np.array(found[1])
        return difference

    patient = np.arange(len(cohort)) if cohort.groups is None else cohort.groups
    rows_of = [np.flatnonzero(patient == i) for i in np.unique(patient)]
    draws, failed = [], 0
    for k in range(replicates):
        random = np.random.default_rng([seed, k])
        chosen = random.integers(len(rows_of), size=len(rows_of))
        try:
            draws.append(figures(np.concatenate([rows_of[i] for i in chosen])))
        except RiskscoreError:  # no event by a horizon, or nobody beyond it
            failed += 1
    value = figures(np.arange(len(cohort)))
    if not draws:
        estimates = [Estimate(float(v)) for v in value]
    else:
        estimates = [
            percentile(float(v), column, level)
            for v, column in zip(value, np.array(draws).T, strict=True)
        ]
    return Paired(other, estimates[0], tuple(estimates[1:]), replicates, failed)

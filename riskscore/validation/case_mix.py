"""Are these the patients the model was made for? Development beside validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from riskscore.manifest import Manifest
from riskscore.study import Predictor
from riskscore.validation.cohort import FloatArray, ValidationCohort

__all__ = ["CaseMix", "case_mix", "unjudged"]

FEW_PATIENTS = 10
"""Fewer with a level, and its effect is hardly judged."""


@dataclass(frozen=True)
class CaseMix:
    """One row: a level of a category, or a number.

    Attributes
    ----------
    predictor, label : str
    level : str
        Empty for a number.
    development, validation : float
        Share of the rows with the level; mean of a number.
    development_sd, validation_sd : float or None
        Of a number.
    difference : float
        Standardised: validation less development, over the root of the mean variance. Beyond 0.1
        or below -0.1 is commonly called noticeable. Source: Austin, Stat Med 28 (2009) 3083,
        doi:10.1002/sim.3697.
    outside : int
        Rows beyond the range of the development's numbers; 0 for a level.
    """

    predictor: str
    label: str
    level: str
    development: float
    validation: float
    development_sd: float | None
    validation_sd: float | None
    difference: float
    outside: int


def case_mix(manifest: Manifest, cohort: ValidationCohort) -> tuple[CaseMix, ...]:
    """Return the table, in the order of the model's predictors."""
    rows: list[CaseMix] = []
    for j, p in enumerate(manifest.predictors):
        seen, values = manifest.training["predictors"][p.name], cohort.X[:, j]
        rows += _levels(p, seen, values) if p.is_category else [_number(p, seen, values, manifest)]
    return tuple(rows)


def unjudged(manifest: Manifest, cohort: ValidationCohort) -> list[str]:
    """Return notes on levels that nobody of the cohort has, and on those that few have."""
    patient = np.arange(len(cohort)) if cohort.groups is None else cohort.groups
    nobody, few = [], []
    for j, p in enumerate(manifest.predictors):
        for i, level in enumerate(p.shown_levels):
            n = len(np.unique(patient[cohort.X[:, j] == i]))
            if n == 0:
                nobody.append(f"{p.label}: {level}")
            elif n < FEW_PATIENTS:
                few.append(f"{p.label}: {level} ({n})")
    notes = []
    if nobody:
        notes.append(f"nobody has {'; '.join(nobody)}: the figures judge no effect of it")
    if few:
        notes.append(
            f"fewer than {FEW_PATIENTS} patients have {'; '.join(few)}: the figures hardly judge "
            "its effect"
        )
    return notes


def _levels(p: Predictor, seen: dict[str, Any], values: FloatArray) -> list[CaseMix]:
    total = sum(seen.values())
    rows = []
    for i, level in enumerate(p.levels):
        before, here = seen[level] / total, float((values == i).mean())
        variance = (before * (1 - before) + here * (1 - here)) / 2
        difference = _over(here - before, variance)
        rows.append(CaseMix(p.name, p.label, level, before, here, None, None, difference, 0))
    return rows


def _number(p: Predictor, seen: dict[str, Any], values: FloatArray, manifest: Manifest) -> CaseMix:
    before, before_sd = float(seen["mean"]), float(seen["sd"])
    here = float(values.mean())
    here_sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    low, high = manifest.envelope["ranges"][p.name]
    outside = int(((values < low) | (values > high)).sum())
    difference = _over(here - before, float(np.nanmean([before_sd**2, here_sd**2])))
    return CaseMix(p.name, p.label, "", before, here, before_sd, here_sd, difference, outside)


def _over(difference: float, variance: float) -> float:
    if variance > 0:
        return difference / math.sqrt(variance)
    return 0.0 if difference == 0 else math.copysign(math.inf, difference)

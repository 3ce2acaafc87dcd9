"""Is the model as good for every group? Discrimination and calibration within subgroups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import RiskscoreError
from riskscore.manifest import Manifest
from riskscore.metrics import concordance
from riskscore.metrics._aalen_johansen import observed_risk
from riskscore.metrics._estimates import Estimate
from riskscore.metrics._outcome import check_outcome
from riskscore.study import Predictor
from riskscore.validation.cohort import FloatArray, ValidationCohort

__all__ = ["FEW_EVENTS", "Subgroup", "subgroups"]

FEW_EVENTS = 10
"""Events in a subgroup below which its figures are noise."""


@dataclass(frozen=True)
class Subgroup:
    """The figures of one subgroup.

    Attributes
    ----------
    predictor, label, name : str
        "age", "Age", "55 to 68 years".
    rows, events : int
    concordance : Estimate or None
        Harrell's; None where no two of the group can be compared.
    observed_expected : tuple of (Estimate or None)
        At each horizon: risk by Kaplan-Meier (by Aalen-Johansen where an event competes) over mean
        predicted risk, the expected taken as known.
        None where nobody is followed that long.
    few : bool
        Fewer events than `FEW_EVENTS`.
    """

    predictor: str
    label: str
    name: str
    rows: int
    events: int
    concordance: Estimate | None
    observed_expected: tuple[Estimate | None, ...]
    few: bool


def subgroups(
    manifest: Manifest,
    cohort: ValidationCohort,
    survival: FloatArray,
    risk_score: FloatArray,
    horizons: FloatArray,
    level: float,
) -> tuple[Subgroup, ...]:
    """Return every subgroup that has anybody, by predictor.

    Levels of each category; numbers in three bands, cut at the quartiles of the development data
    (of this cohort, for a number that the model does not ask for).
    """
    found = []
    for p, name, members in _groups(manifest, cohort):
        if not members.any():
            continue
        time, event = cohort.time[members], cohort.event[members]
        groups = None if cohort.groups is None else cohort.groups[members]
        competing = None if cohort.competing is None else cohort.competing[members]
        found.append(
            Subgroup(
                p.name,
                p.label,
                name,
                int(members.sum()),
                int(event.sum()),
                _concordance(time, event, risk_score[members], groups, level),
                tuple(
                    _ratio((time, event, groups, competing), survival[members, k], float(h), level)
                    for k, h in enumerate(horizons)
                ),
                int(event.sum()) < FEW_EVENTS,
            )
        )
    return tuple(found)


def _groups(
    manifest: Manifest, cohort: ValidationCohort
) -> Iterator[tuple[Predictor, str, NDArray[np.bool_]]]:
    columns = [
        (p, cohort.X[:, j], manifest.training["predictors"][p.name])
        for j, p in enumerate(manifest.predictors)
    ]
    columns += [(p, values, None) for p, values in cohort.others.values()]
    for p, values, seen in columns:
        if p.is_category:
            for i, level in enumerate(p.levels):
                yield p, level, values == i
            continue
        if seen is None:
            low, high = np.nanquantile(values, [0.25, 0.75]).tolist()
        else:
            low, high = float(seen["lower_quartile"]), float(seen["upper_quartile"])
        if np.isfinite([low, high]).all():
            unit = p.unit_words
            yield p, f"below {low:g} {unit}", values < low
            yield p, f"{low:g} to {high:g} {unit}", (values >= low) & (values <= high)
            yield p, f"above {high:g} {unit}", values > high


def _concordance(
    time: FloatArray,
    event: NDArray[np.bool_],
    score: FloatArray,
    groups: NDArray[np.int64] | None,
    level: float,
) -> Estimate | None:
    try:
        found = concordance(time, event, score, groups=groups, level=level)
    except RiskscoreError:  # nobody to compare, or no event at all
        return None
    return Estimate(found.value, found.se, found.lower, found.upper)


def _ratio(
    followed: tuple[
        FloatArray, NDArray[np.bool_], NDArray[np.int64] | None, NDArray[np.bool_] | None
    ],
    survival: FloatArray,
    horizon: float,
    level: float,
) -> Estimate | None:
    time, event, groups, competing = followed
    expected = float(1 - survival.mean())
    if not event.any() or horizon > time.max() or expected <= 0:
        return None
    outcome = check_outcome(time, event, groups, competing)
    found = observed_risk(outcome, horizon, np.ones(len(outcome), dtype=bool), level)

    def over(risk: float | None) -> float | None:
        return None if risk is None else risk / expected

    return Estimate(found.value / expected, over(found.se), over(found.lower), over(found.upper))

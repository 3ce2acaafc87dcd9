"""How much published aggregates leave open: the models of many cohorts that fit them, side by side.

What comes out is a SENSITIVITY envelope: the lowest lower and the highest upper bound over the
draws. It is no interval, has no coverage, and must not be pooled by Rubin's rules: the draws are
the output of a search that pins the hazard ratios, not draws from a posterior, so their spread
tells what the search was free to vary, and nothing of how sure the source can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sksurv.nonparametric import kaplan_meier_estimator

from riskscore.study import Study
from training.cohort import Cohort, read_cohort
from training.cox import CoxModel, efron_pass
from training.fit import fit
from training.published import Published
from training.reconstruction.carried import Curves, combinations, curves_of
from training.reconstruction.span import Span
from training.run import CORE_FOUR, SHIPPED

__all__ = [
    "COLUMNS",
    "Figures",
    "ProfileRange",
    "column_survival",
    "figures",
    "profile_ranges",
    "profiles",
]

FloatArray = NDArray[np.float64]

COLUMNS = ("hazard_ratio", "coefficient")
"""Columns of the source's multivariable table that state the same effects and disagree."""


@dataclass(frozen=True)
class Figures:
    """What the models of one cohort say.

    Attributes
    ----------
    deaths : tuple of int
        By treatment level, in the study's order.
    standard_errors, hazard_ratios : dict of float
        Of the Cox model, by term.
    concordance : dict of float
        "cox" in-sample, "forest" out-of-bag.
    patients : ndarray of shape (profiles,)
        How many have each profile.
    cox : ndarray of shape (3, profiles, horizons)
        Survival with its lower and upper bound (95 %).
    forest : ndarray of shape (profiles, horizons)
        Survival.
    columns : ndarray of shape (2, profiles, horizons)
        Survival by the effects in each of `COLUMNS`, baseline re-estimated.
    columns_mean : ndarray of shape (2, horizons)
        Its mean over the patients.
    kaplan_meier : ndarray of shape (horizons,)
        What that mean should be near.
    exported : dict of Curves
        Of every shipped model, by its id.
    """

    deaths: tuple[int, ...]
    standard_errors: dict[str, float]
    hazard_ratios: dict[str, float]
    concordance: dict[str, float]
    patients: NDArray[np.int64]
    cox: FloatArray
    forest: FloatArray
    columns: FloatArray
    columns_mean: FloatArray
    kaplan_meier: FloatArray
    exported: dict[str, Curves]


@dataclass(frozen=True)
class ProfileRange:
    """One profile at one horizon: what the draws say of its survival.

    Attributes
    ----------
    profile : dict of str
        Level by predictor.
    horizon : float
        In the study's unit of time.
    patients : Span
        How many of a draw have the profile; where it is 0 a model extrapolates.
    cox, forest : Span
        Survival.
    cox_lowest_lower, cox_highest_upper : float
        The sensitivity envelope: the extreme bounds of the Cox model's 95 % intervals.
    hazard_ratio_column, coefficient_column : Span
        Survival by each of the source's contradicting columns.
    """

    profile: dict[str, str]
    horizon: float
    patients: Span
    cox: Span
    cox_lowest_lower: float
    cox_highest_upper: float
    forest: Span
    hazard_ratio_column: Span
    coefficient_column: Span


def profiles(study: Study) -> tuple[dict[str, str], ...]:
    """Return every combination of levels of the core predictors, in the study's order."""
    reduced = study.reduced(SHIPPED[0].outcome, CORE_FOUR).predictors
    return tuple(
        dict(zip(reduced, levels, strict=True))
        for levels in product(*(p.levels for p in reduced.values()))
    )


def figures(path: Path, study: Study, published: Published) -> Figures:
    """Fit the shipped models to one cohort and return what they say of every profile."""
    exported: dict[str, Curves] = {}
    for each in reversed(SHIPPED):  # the first comes last, and is looked at more closely
        cohort = read_cohort(path, study, each.outcome, each.predictors)
        fits = [fit(cohort, kind, replace(each.settings, n_jobs=1)) for kind in each.kinds]
        exported |= {fitted.manifest.id: curves_of(fitted) for fitted in fits}
    cox, forest = fits
    everyone = combinations(cohort.predictors)
    horizons = np.array(cohort.outcome.horizons)
    model: CoxModel = cox.pipeline["model"]
    design = cox.pipeline["encode"].transform(everyone)
    curves = np.stack(model.predict_curves(design))
    leaves = forest.pipeline["model"]
    grown = leaves.predict_curves(forest.pipeline["encode"].transform(everyone))
    terms = cox.inference["coefficients"]
    same = (cohort.X[:, None] == everyone).all(axis=2)
    arm = cohort.X[:, CORE_FOUR.index("treatment")]
    columns = [column_survival(cohort, published, column) for column in COLUMNS]
    times, curve = kaplan_meier_estimator(cohort.event, cohort.time)
    return Figures(
        deaths=tuple(int(cohort.event[arm == a].sum()) for a in np.unique(arm)),
        standard_errors={c["term"]: c["se"] for c in terms},
        hazard_ratios={c["term"]: c["hazard_ratio"] for c in terms},
        concordance={
            "cox": cox.evaluation["concordance"]["in_sample"],
            "forest": forest.evaluation["concordance"]["out_of_bag"],
        },
        patients=same.sum(axis=0),
        cox=_at(model.sums_.times, curves, horizons),
        forest=_at(leaves.times_, grown, horizons),
        columns=np.stack(columns),
        columns_mean=np.stack([survival[same.argmax(axis=1)].mean(axis=0) for survival in columns]),
        kaplan_meier=_at(times, curve, horizons),
        exported=exported,
    )


def column_survival(cohort: Cohort, published: Published, column: str) -> FloatArray:
    """Return every profile's survival by the effects that one column of the source prints.

    Parameters
    ----------
    cohort : Cohort
        With the predictors of the source's multivariable model.
    published : Published
    column : str
        One of `COLUMNS`.

    Returns
    -------
    ndarray of shape (profiles, horizons)

    Notes
    -----
    The effects enter as an offset, and Efron's baseline hazard is estimated anew given them. It
    makes the expected deaths those observed, so that mean survival follows the cohort whatever the
    effects are: the columns then differ in how they tell patients apart, and a profile's survival
    is not lowered or raised merely because a coefficient's size changed. Source: Breslow,
    J. R. Stat. Soc. B 34 (1972) 216, for the estimator given the effects; Efron, JASA 72 (1977)
    557, for ties.
    """
    everyone = combinations(cohort.predictors)
    effects = {e.variable: e for e in published.multivariable(cohort.outcome.name)}
    coef: list[float] = []
    level: list[int] = []
    for p in cohort.predictors:
        effect = effects[p.name]
        if column == "hazard_ratio" or effect.coefficient is None:
            coef.append(math.log(effect.hr.value))
        else:
            coef.append(effect.coefficient.value)
        level.append(p.levels.index(str(effect.level)))
    stated, beta = np.array(level), np.array(coef)
    Z = np.equal(cohort.X, stated).astype(np.float64)
    centre = Z.mean(axis=0)
    found = efron_pass(Z - centre, cohort.time, cohort.event, beta)
    risk = np.exp(((everyone == stated) - centre) @ beta)
    curves = np.exp(-risk[:, None] * found.hazard)
    return _at(found.times, curves, np.array(cohort.outcome.horizons))


def profile_ranges(
    named: Sequence[dict[str, str]], horizons: Sequence[float], found: Sequence[Figures]
) -> tuple[ProfileRange, ...]:
    """Return the range over the draws, one record a profile and horizon.

    A bundle can carry these records as a small table.
    """
    cox, forest = np.stack([f.cox for f in found]), np.stack([f.forest for f in found])
    columns = np.stack([f.columns for f in found])
    patients = np.stack([f.patients for f in found])
    return tuple(
        ProfileRange(
            profile=dict(profile),
            horizon=float(horizon),
            patients=Span.over(patients[:, i]),
            cox=Span.over(cox[:, 0, i, h]),
            cox_lowest_lower=float(cox[:, 1, i, h].min()),
            cox_highest_upper=float(cox[:, 2, i, h].max()),
            forest=Span.over(forest[:, i, h]),
            hazard_ratio_column=Span.over(columns[:, 0, i, h]),
            coefficient_column=Span.over(columns[:, 1, i, h]),
        )
        for i, profile in enumerate(named)
        for h, horizon in enumerate(horizons)
    )


def _at(times: FloatArray, curves: FloatArray, horizons: FloatArray) -> FloatArray:
    """Read right-continuous steps, last axis times, at the horizons; 1 before the first time."""
    padded = np.concatenate([np.ones_like(curves[..., :1]), curves], axis=-1)
    read: FloatArray = padded[..., np.searchsorted(times, horizons, side="right")]
    return read

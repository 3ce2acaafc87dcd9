"""Overall survival: who dies when, and who is censored when.

Times are drawn from a curve of moderately rising hazard with the published medians, follow-up from
a spread of entry dates, and then moved as little as the printed figures need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.targets import TENTHS, Targets
from training.reconstruction.times import (
    IntArray,
    arm_table,
    fit_times,
    logrank_chi2,
    median_of,
)

__all__ = ["EVALUATION", "Survival", "arms_of", "draw_survival", "likely_splits", "splits"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

EVALUATION = 3 * TENTHS
"""Time of the second response evaluation: who dies before it has none."""

EARLIEST_DEATH = 2 * TENTHS
"""Patients were expected to live longer than 3 months; a few do not."""

SHAPE = (1.15, 1.5)
"""Range of Weibull shapes: the hazard of advanced liver cancer rises, but moderately."""

INFLATION = 1.03
"""How much the other predictors widen the treatment's standard error, from trials."""

CLOSE = 2.0
"""A drawn cohort starts the search if its chi-square is this near; others are drawn again."""

DRAWS = 3000


@dataclass(frozen=True)
class Survival:
    """Time (tenths of a month), death and arm (0 treated) of every patient."""

    time: IntArray
    death: BoolArray
    arm: IntArray


def arms_of(goal: Targets) -> IntArray:
    """Return the arm of every patient: the treated (0) first, then the controls (1)."""
    return np.repeat(np.arange(len(goal.n)), goal.n)


def draw_survival(
    random: np.random.Generator, goal: Targets, deaths: tuple[int, ...] | None = None
) -> Survival | None:
    """Draw survival with the published medians and log-rank, or None if none was found.

    `deaths` by arm are drawn too where they are not given.
    """
    arm = arms_of(goal)
    if deaths is None:
        deaths = _deaths_by_arm(random, goal)
    for _ in range(DRAWS):
        drawn = _draw(random, goal, deaths)
        if drawn is None:
            continue
        time, death, fixed = drawn
        tables = [arm_table(time[arm == a], death[arm == a]) for a in (0, 1)]
        if abs(logrank_chi2(tables[0], tables[1]) - goal.chi2["os"].value) > CLOSE:
            continue
        early = death & (time <= EVALUATION)
        low = np.where(early, EARLIEST_DEATH, np.where(death, EVALUATION + 1, goal.follow_up[0]))
        high = np.where(early, EVALUATION, goal.follow_up[1] - 1)
        low, high = np.where(fixed, time, low), np.where(fixed, time, high)
        medians, chi2 = goal.medians["os"], goal.chi2["os"]
        fitted = fit_times(random, time, death, arm, (low, high), medians, chi2)
        if fitted is not None:
            return Survival(fitted, death, arm)
    return None


def likely_splits(goal: Targets) -> dict[int, list[tuple[int, ...]]]:
    """Return, by their sum, the deaths by arm that easily carry the treatment's standard error."""
    aim = goal.treatment_se
    fits: dict[int, list[tuple[int, ...]]] = {}
    for split in splits(goal, *goal.deaths):
        if aim.misses_by(INFLATION * float(np.sqrt(sum(1 / d for d in split)))) <= 1:
            fits.setdefault(sum(split), []).append(split)
    return fits


def splits(goal: Targets, fewest: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to spread `fewest` to `most` deaths over the arms."""
    for split in product(*(range(n // 3, n - n // 15) for n in goal.n)):
        # The arm that lives longer has the smaller share of deaths, or follow-up would be absurd.
        if fewest <= sum(split) <= most and split[0] / goal.n[0] <= split[1] / goal.n[1]:
            yield split


def _deaths_by_arm(random: np.random.Generator, goal: Targets) -> tuple[int, ...]:
    """Draw deaths evenly over all counts that can easily carry the standard error."""
    fits = likely_splits(goal)
    choices = fits[list(fits)[random.integers(len(fits))]]
    return choices[random.integers(len(choices))]


def _draw(
    random: np.random.Generator, goal: Targets, deaths: tuple[int, ...]
) -> tuple[IntArray, BoolArray, BoolArray] | None:
    """Return times, deaths and who marks the ends of follow-up, with both medians in place."""
    first, last = goal.follow_up
    shape = random.uniform(*SHAPE)
    parts = []
    for a, n in enumerate(goal.n):
        median = goal.medians["os"][a]
        drawn = _draw_arm(random, n, deaths[a], median, shape, goal.follow_up)
        if drawn is None or median_of(arm_table(*drawn)) != median:
            return None
        parts.append(drawn)
        unseen = n - goal.evaluated["response_3m"][a]
        if (drawn[0][drawn[1]] <= EVALUATION).sum() > unseen:
            return None
    time = np.concatenate([part[0] for part in parts])
    death = np.concatenate([part[1] for part in parts])
    ends = np.zeros(len(time), dtype=bool)
    censored = np.flatnonzero(~death)
    ends[[censored[time[censored].argmin()], censored[time[censored].argmax()]]] = True
    if time[ends].min() > first + TENTHS or time[ends].max() <= time[death].max():
        return None
    time[ends] = np.where(time[ends] > last // 2, last, first)
    return time, death, ends


def _draw_arm(
    random: np.random.Generator,
    n: int,
    deaths: int,
    median: int,
    shape: float,
    follow_up: tuple[int, int],
) -> tuple[IntArray, BoolArray] | None:
    first, last = follow_up
    scale = (median - EARLIEST_DEATH) / np.log(2) ** (1 / shape)
    life = EARLIEST_DEATH + scale * random.weibull(shape, n)
    entry = random.random(n)
    # One exponent bends the spread of follow-up until the wanted number die within it.
    exponents = np.geomspace(0.1, 10, 120)
    watched = first + (last - first) * entry[:, None] ** exponents
    hits = np.flatnonzero((life[:, None] <= watched).sum(axis=0) == deaths)
    if not hits.size:
        return None
    seen = watched[:, hits[len(hits) // 2]]
    death = life <= seen
    time = _warp(np.minimum(life, seen), death, median, last)
    time[~death] = np.clip(time[~death], first, last)
    return time, death


def _warp(time: FloatArray, death: BoolArray, median: int, last: int) -> IntArray:
    """Stretch time on either side of the drawn median so that the median is the wanted one."""
    drawn = median_of(arm_table(np.rint(time).astype(np.int64), death))
    if drawn is None:
        return np.rint(time).astype(np.int64)
    knots = [EARLIEST_DEATH - 1, drawn, last]
    return np.rint(np.interp(np.rint(time), knots, [EARLIEST_DEATH, median, last])).astype(np.int64)

"""Progression and response, given who lives how long.

The two belong together: progressive disease at an evaluation is a progression by then, and any
other answer is none by then. Who has not progressed is followed to death or last contact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.survival import EVALUATION, Survival
from training.reconstruction.targets import TENTHS, Targets
from training.reconstruction.times import (
    IntArray,
    arm_table,
    fit_times,
    logrank_chi2,
    median_of,
)

__all__ = ["FIRST_EVALUATION", "NOT_EVALUATED", "RESPONSES", "Progression", "draw_progression"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIRST_EVALUATION = TENTHS
"""Time of the first response evaluation."""

NOT_EVALUATED = "not_evaluated"
RESPONSES = ("CR", "PR", "SD", "PD")
PROGRESSIVE = "PD"

EARLIEST_PROGRESSION = 6
"""Nothing is imaged before the third week."""

SPREAD = 0.65
"""Standard deviation of log time to progression."""
SHARED = 0.5
"""Correlation of progression with survival on the normal scale: who progresses late lives long."""
AGREEMENT = 0.6
"""Weight of time to progression in the depth of response, against chance."""

CLOSE = 2.5
DRAWS = 600


@dataclass(frozen=True)
class Progression:
    """Time to progression (tenths of a month) or to death or last contact, and both responses."""

    time: IntArray
    progressed: BoolArray
    response_1m: list[str]
    response_3m: list[str]


def draw_progression(
    random: np.random.Generator, survival: Survival, goal: Targets
) -> Progression | None:
    """Draw progression with the published medians, log-rank and responses, or return None."""
    for _ in range(DRAWS):
        seen = _evaluated(random, survival, goal)
        early, late = _progressive(random, survival, goal, seen)
        drawn = _draw_times(random, survival, goal, early, late)
        if drawn is None:
            continue
        time, progressed = drawn
        arm = survival.arm
        tables = [arm_table(time[arm == a], progressed[arm == a]) for a in (0, 1)]
        if abs(logrank_chi2(tables[0], tables[1]) - goal.chi2["ttp"].value) > CLOSE:
            continue
        low, high = _limits(survival, time, progressed, early, late)
        medians, chi2 = goal.medians["ttp"], goal.chi2["ttp"]
        fitted = fit_times(random, time, progressed, arm, (low, high), medians, chi2)
        if fitted is not None:
            depth = _depth(random, fitted)
            first = _responses(random, depth, arm, goal, "response_1m", seen[0], early)
            second = _responses(random, depth, arm, goal, "response_3m", seen[1], early | late)
            return Progression(fitted, progressed, first, second)
    return None


def _evaluated(
    random: np.random.Generator, survival: Survival, goal: Targets
) -> tuple[BoolArray, BoolArray]:
    """Draw who was imaged at the first and at the second evaluation; the dead were not."""
    masks = []
    for name, when in (("response_1m", FIRST_EVALUATION), ("response_3m", EVALUATION)):
        seen = np.zeros(len(survival.arm), dtype=bool)
        for a, count in enumerate(goal.evaluated[name]):
            alive = np.flatnonzero((survival.arm == a) & (survival.time > when))
            seen[random.permutation(alive)[:count]] = True
        masks.append(seen)
    return masks[0], masks[1]


def _progressive(
    random: np.random.Generator,
    survival: Survival,
    goal: Targets,
    seen: tuple[BoolArray, BoolArray],
) -> tuple[BoolArray, BoolArray]:
    """Draw who has progressed by the first evaluation, and who between the two."""
    early = np.zeros(len(survival.arm), dtype=bool)
    late = early.copy()
    # Whoever progresses within 3 months tends to die early.
    weight = 1.0 / survival.time
    for a in range(len(goal.n)):
        one = goal.counts["response_1m"][PROGRESSIVE][a]
        three = goal.counts["response_3m"][PROGRESSIVE][a]
        both = np.flatnonzero((survival.arm == a) & seen[0] & seen[1])
        early[_weighted(random, both, weight, one)] = True
        rest = np.flatnonzero((survival.arm == a) & seen[1] & ~early)
        late[_weighted(random, rest, weight, three - one)] = True
    return early, late


def _weighted(
    random: np.random.Generator, among: IntArray, weight: FloatArray, count: int
) -> IntArray:
    share = weight[among] / weight[among].sum()
    return np.asarray(random.choice(among, size=count, replace=False, p=share))


def _draw_times(
    random: np.random.Generator,
    survival: Survival,
    goal: Targets,
    early: BoolArray,
    late: BoolArray,
) -> tuple[IntArray, BoolArray] | None:
    """Return times and progressions with the published medians, before the log-rank is right."""
    arm, end = survival.arm, survival.time
    time, progressed = end.copy(), early | late
    time[early] = random.integers(EARLIEST_PROGRESSION, FIRST_EVALUATION + 1, early.sum())
    time[late] = random.integers(FIRST_EVALUATION + 5, EVALUATION + 1, late.sum())
    if np.any(time[progressed] >= end[progressed]):
        return None
    for a, median in enumerate(goal.medians["ttp"]):
        free = np.flatnonzero((arm == a) & ~progressed)
        order = np.empty(len(free))
        order[np.argsort(end[free], kind="stable")] = np.linspace(-1.7, 1.7, len(free))
        noise = random.normal(size=len(free))
        late_by = np.exp(SPREAD * (SHARED * order + np.sqrt(1 - SHARED**2) * noise))
        for centre in median * np.geomspace(0.6, 1.8, 60):
            drawn = EVALUATION + 1 + np.rint((centre - EVALUATION) * late_by).astype(np.int64)
            hit = drawn < end[free]
            trial, event = time.copy(), progressed.copy()
            trial[free[hit]], event[free[hit]] = drawn[hit], True
            if median_of(arm_table(trial[arm == a], event[arm == a])) == median:
                time, progressed = trial, event
                break
        else:
            return None
    return time, progressed


def _limits(
    survival: Survival,
    time: IntArray,
    progressed: BoolArray,
    early: BoolArray,
    late: BoolArray,
) -> tuple[IntArray, IntArray]:
    """Return how far each time may move without contradicting a response or the death."""
    low = np.where(early, EARLIEST_PROGRESSION, FIRST_EVALUATION + 1)
    low = np.where(early | late, low, EVALUATION + 1)
    high = np.where(late, EVALUATION, survival.time - 1)
    high = np.where(early, FIRST_EVALUATION, high)
    high = np.minimum(high, survival.time - 1)
    return np.where(progressed, low, time), np.where(progressed, high, time)


def _depth(random: np.random.Generator, time: IntArray) -> FloatArray:
    """Return a latent depth of response, deeper (higher) for those who progress later."""
    late = np.argsort(np.argsort(time, kind="stable")) / len(time)
    noise = random.random(len(time))
    return np.asarray(AGREEMENT * late + (1 - AGREEMENT) * noise)


def _responses(
    random: np.random.Generator,
    depth: FloatArray,
    arm: IntArray,
    goal: Targets,
    name: str,
    seen: BoolArray,
    progressive: BoolArray,
) -> list[str]:
    """Return the responses: the deepest are complete, and chance moves a few between visits."""
    answer = np.full(len(arm), NOT_EVALUATED, dtype=object)
    answer[progressive & seen] = PROGRESSIVE
    score = depth + random.normal(0, 0.12, len(depth))
    for a in range(len(goal.n)):
        open_ = np.flatnonzero((arm == a) & seen & ~progressive)
        ranked = open_[np.argsort(-score[open_], kind="stable")]
        labels = [level for level in RESPONSES[:-1] for _ in range(goal.counts[name][level][a])]
        answer[ranked] = labels
    return [str(value) for value in answer]

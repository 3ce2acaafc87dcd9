"""The traits that no published effect pins: age, diameter, and the rest of the baseline table.

They are drawn without regard to survival, so whatever effect they show in the cohort is chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.targets import Aim, Targets
from training.reconstruction.times import IntArray

__all__ = ["draw_ages", "draw_diameters", "draw_levels"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

AGES = (18, 80)
"""Age at inclusion, in completed years as clinical records have it."""

LARGE = 10.0
"""Diameter (cm) that a patient with few tumours exceeds."""
MILLIMETRES = 10
"""Units of the diameter's search in a centimetre: it is written to 0.1 cm."""
DIAMETERS = (25, 260)
"""Smallest and largest diameter (mm): four nodules of 25 mm already sum to 10 cm."""

NODULE, NODULE_SD = 7.5, 2.0
"""Largest of many nodules (cm)."""
TAIL = 1.3
"""Gamma shape of the excess over `LARGE`: most are just above, a few far above."""

STEPS = 20_000
DRAWS = 50

CIRRHOSIS_ODDS = 4.0
"""Child class B is rare in a healthy liver: odds against a cirrhotic one."""


def draw_ages(random: np.random.Generator, arm: IntArray, goal: Targets) -> IntArray | None:
    """Draw whole ages with the printed means and standard deviations, or return None."""
    low, high = AGES
    ages = np.empty(len(arm), dtype=np.int64)
    for a in range(len(goal.n)):
        mean, sd = goal.means["age"][a], goal.sds["age"][a]
        # The beta distribution of this mean and SD between the limits leans towards the old.
        centre = (mean.value - low) / (high + 1 - low)
        size = centre * (1 - centre) * ((high + 1 - low) / sd.value) ** 2 - 1
        n = int((arm == a).sum())
        for _ in range(DRAWS):
            share = random.beta(centre * size, (1 - centre) * size, n)
            start = np.floor(low + (high + 1 - low) * share).astype(np.int64)
            fitted = _fit_moments(random, start, np.full(n, low), np.full(n, high), mean, sd, 1)
            if fitted is not None:
                ages[arm == a] = fitted
                break
        else:
            return None
    return ages


def draw_diameters(
    random: np.random.Generator, arm: IntArray, many: BoolArray, goal: Targets
) -> FloatArray | None:
    """Draw diameters (cm) with the printed means and standard deviations, or return None.

    Whoever has few tumours (`many` is False) lies above `LARGE`, with a tail to the right.
    """
    smallest, largest = DIAMETERS
    diameters = np.empty(len(arm))
    for a in range(len(goal.n)):
        mine = arm == a
        n, few = int(mine.sum()), ~many[mine]
        low = np.where(few, round(LARGE * MILLIMETRES) + 1, smallest)
        mean, sd = goal.means["tumor_diameter"][a], goal.sds["tumor_diameter"][a]
        share = few.mean()
        excess = (mean.value - (1 - share) * NODULE) / share - LARGE
        for _ in range(DRAWS):
            tail = random.gamma(TAIL, excess / TAIL, n)
            start = np.where(few, LARGE + tail, random.normal(NODULE, NODULE_SD, n))
            start = np.clip(np.rint(start * MILLIMETRES).astype(np.int64), low, largest)
            high = np.full(n, largest)
            fitted = _fit_moments(random, start, low, high, mean, sd, MILLIMETRES)
            if fitted is not None:
                diameters[mine] = fitted / MILLIMETRES
                break
        else:
            return None
    return diameters


def _fit_moments(
    random: np.random.Generator,
    values: IntArray,
    low: IntArray,
    high: IntArray,
    mean: Aim,
    sd: Aim,
    units: int,
) -> IntArray | None:
    """Move whole values within their limits until mean and sample SD are met; None if not."""
    values = values.copy()
    n = len(values)
    total, squares = int(values.sum()), int((values**2).sum())

    def cost(total: int, squares: int) -> float:
        spread = np.sqrt(max(squares - total**2 / n, 0) / (n - 1))
        return max(mean.misses_by(total / n / units), sd.misses_by(float(spread) / units))

    now = cost(total, squares)
    for _ in range(STEPS):
        if now <= 1:
            return values
        who = int(random.integers(n))
        old = int(values[who])
        new = old + round(random.normal(0, 2 * units))
        if not low[who] <= new <= high[who]:  # clipping would pile patients up on a limit
            continue
        then = cost(total + new - old, squares + new**2 - old**2)
        if then < now:
            values[who] = new
            total, squares, now = total + new - old, squares + new**2 - old**2, then
    return None


def draw_levels(
    random: np.random.Generator, arm: IntArray, spread: BoolArray, goal: Targets
) -> dict[str, list[str]]:
    """Draw the remaining categories, every count by arm as printed.

    Parameters
    ----------
    spread : ndarray of bool of shape (n,)
        Who has vascular invasion or metastasis, and is of BCLC stage C whatever the ECOG status.

    Returns
    -------
    dict of list of str
        Levels by predictor.
    """
    free = ("sex", "etiology", "cirrhosis", "afp_level", "previous_treatment")
    drawn = {name: _shuffle(random, arm, goal.counts[name]) for name in free}
    drawn["ecog"] = _ecog(random, arm, spread, goal)
    staged = spread | (drawn["ecog"] != "0")
    drawn["bclc_stage"] = np.where(staged, "C", "B").astype(object)
    odds = np.where(drawn["cirrhosis"] == "yes", CIRRHOSIS_ODDS, 1.0)
    drawn["child_class"] = np.full(len(arm), "A", dtype=object)
    for a, count in enumerate(goal.counts["child_class"]["B"]):
        mine = np.flatnonzero(arm == a)
        share = odds[mine] / odds[mine].sum()
        drawn["child_class"][random.choice(mine, size=count, replace=False, p=share)] = "B"
    return {name: [str(level) for level in levels] for name, levels in drawn.items()}


def _shuffle(
    random: np.random.Generator, arm: IntArray, counts: dict[str, tuple[int, ...]]
) -> NDArray[np.object_]:
    levels = np.empty(len(arm), dtype=object)
    for a in range(int(arm.max()) + 1):
        labels = [level for level, count in counts.items() for _ in range(count[a])]
        levels[random.permutation(np.flatnonzero(arm == a))] = labels
    return levels


def _ecog(
    random: np.random.Generator, arm: IntArray, spread: BoolArray, goal: Targets
) -> NDArray[np.object_]:
    """Draw ECOG so that stage C, less everyone of ECOG 1 and 2, leaves the printed remainder."""
    counts = goal.counts["ecog"]
    levels = np.empty(len(arm), dtype=object)
    for a, n in enumerate(goal.n):
        fit = counts["0"][a]
        fit_but_spread = goal.counts["bclc_stage"]["C"][a] - (n - fit)
        ill = random.permutation(np.flatnonzero((arm == a) & spread))
        well = random.permutation(np.flatnonzero((arm == a) & ~spread))
        zero = np.concatenate([ill[:fit_but_spread], well[: fit - fit_but_spread]])
        rest = np.setdiff1d(np.flatnonzero(arm == a), zero)
        levels[zero] = "0"
        labels = [level for level in counts if level != "0" for _ in range(counts[level][a])]
        levels[random.permutation(rest)] = labels
    return levels

"""Whether the stability bands of forests hold what such forests say on average, and the truth.

`python -m tests.benchmarks.forest_stability [SETS]`: Weibull times with proportional hazards; many
training sets of 300 patients, a forest each, the same 100 patients to predict. The forest's own
expectation is the mean of the forests' answers over the training sets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from training.forest import CompactForest
from training.forest.little_bags import Z, band

__all__ = ["answers", "coverage", "main", "measure", "sample", "truth"]

FloatArray = NDArray[np.float64]

TIMES = np.array([3.0, 6.0, 12.0, 18.0, 24.0])
EFFECTS = np.array([0.7, 0.7, -0.6, 0.03])
SHAPE, SCALE = 1.4, 18.0


def sample(seed: int, n: int) -> tuple[FloatArray, NDArray[Any]]:
    """Return three traits and an age, and times in months with 8 to 36 months of follow-up."""
    random = np.random.default_rng(seed)
    traits = random.random((n, 3)) < [0.3, 0.35, 0.45]
    X = np.column_stack([traits, random.normal(60, 10, n).round()]).astype(float)
    risk = (X - [0, 0, 0, 60]) @ EFFECTS
    death = SCALE * (random.exponential(1, n) * np.exp(-risk)) ** (1 / SHAPE)
    censored = random.uniform(8, 36, n)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = death <= censored, np.minimum(death, censored)
    return X, y


def truth(X: FloatArray) -> FloatArray:
    """Return the true survival at `TIMES`."""
    hazard = np.exp((X - [0, 0, 0, 60]) @ EFFECTS)
    return np.exp(-hazard[:, None] * (TIMES / SCALE) ** SHAPE)


def answers(sets: int, patients: FloatArray, n: int = 300, **forest: Any) -> FloatArray:
    """Return survival and its variance, (sets, 2, patients, times), over training sets."""
    found = []
    for seed in range(sets):
        X, y = sample(seed, n)
        fitted = CompactForest(
            n_estimators=2000, stability=True, max_times=10_000, random_state=seed, **forest
        ).fit(X, y)
        at = np.searchsorted(fitted.times_, TIMES, side="right") - 1
        # The times asked for are enough: all other columns of the table would only cost time.
        fitted.table_, fitted.times_ = fitted.table_[:, [*at, -1]], TIMES
        found.append([fitted.predict_curves(patients), fitted.predict_variance(patients)])
    return np.array(found)


def coverage(
    survival: FloatArray, lower: FloatArray, upper: FloatArray, target: FloatArray | None = None
) -> NDArray[np.bool_]:
    """Return whether each band holds the target; by default the mean of the other sets' answers."""
    if target is None:
        target = (survival.sum(axis=0) - survival) / (len(survival) - 1)
    held: NDArray[np.bool_] = (lower <= target) & (target <= upper)
    return held


def measure(sets: int = 200) -> Iterator[str]:
    """Yield coverage by leaf size, splitting and scale."""
    patients = sample(999_999, 100)[0]
    for splitting, leaf, many in (
        ("relative_risk", 8, sets),
        ("relative_risk", 15, sets),
        ("relative_risk", 5, sets // 2),
        ("logrank", 8, sets // 4),
    ):
        found = answers(many, patients, splitting=splitting, min_samples_leaf=leaf, n_jobs=1)
        survival, variance = found[:, 0], found[:, 1]
        error = np.sqrt(variance)
        logit = Z * error / (survival * (1 - survival))
        bounds = {
            "log(-log), as shipped": band(survival, variance),
            "logit": (
                special.expit(special.logit(survival) - logit),
                special.expit(special.logit(survival) + logit),
            ),
            "plain": (survival - Z * error, survival + Z * error),
        }
        ratio = np.sqrt(variance.mean(axis=0)).mean() / survival.std(axis=0, ddof=1).mean()
        bias = np.abs(survival.mean(axis=0) - truth(patients)).mean()
        yield (
            f"{splitting}, leaves of {leaf}, {many} sets: estimated / true standard error "
            f"{ratio:.2f}, mean distance of expectation from truth {bias:.3f}"
        )
        for scale, (lower, upper) in bounds.items():
            held = coverage(survival, lower, upper)
            of_truth = coverage(survival, lower, upper, truth(patients)).mean()
            by_time = ", ".join(f"{c:.3f}" for c in held.mean(axis=(0, 1)))
            outside = np.mean((lower < 0) | (upper > 1))
            yield (
                f"  {scale:<22}holds the forest's expectation {held.mean():.3f} (months 3 to 24: "
                f"{by_time}), the truth {of_truth:.3f}; mean width {np.mean(upper - lower):.3f}; "
                f"beyond 0 or 1: {outside:.3f}"
            )


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sets", nargs="?", type=int, default=200)
    for line in measure(parser.parse_args().sets):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether intervals hold the truth where a level is rare and may have no events.

`python -m tests.benchmarks firth-coverage`: exponential times, one rare level and one number, and
Firth's penalised likelihood. The profile's interval of the level's hazard ratio, Wald's, and what
Wald's would be for the survival at 12 of a patient with the level and of one without.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.cox import CoxModel
from training.cox.baseline_variance import model_based

__all__ = ["measure"]

FloatArray = NDArray[np.float64]

SETTINGS = ((90, 6, -2.5), (90, 6, -1.0), (90, 6, 1.5), (300, 10, -3.5), (300, 10, 0.0))
"""Patients, those with the level, and its log hazard ratio."""

HORIZON, MEAN_TIME = 12.0, 20.0
Z = 1.959963984540054


def sample(seed: int, n: int, rare: int, effect: float) -> tuple[FloatArray, NDArray[Any]]:
    """Return the design and the outcomes of one cohort."""
    random = np.random.default_rng([seed, n, rare])
    X = np.column_stack([np.arange(n) < rare, random.normal(size=n)]).astype(float)
    death = MEAN_TIME * random.exponential(np.exp(-X @ [effect, 0.5]))
    censored = random.uniform(5, 30, n)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = death <= censored, np.minimum(death, censored)
    return X, y


def measure(cohorts: int = 600) -> Iterator[str]:
    """Yield the coverage of each interval by setting."""
    for n, rare, effect in SETTINGS:
        held, separated = np.zeros(4), 0
        for seed in range(cohorts):
            X, y = sample(seed, n, rare, effect)
            separated += not y["event"][:rare].any()
            held += _held(X, y, effect)
        profile, wald, of_level, of_others = held / cohorts
        yield (
            f"{n} patients, {rare} with the level, log hazard ratio {effect:+.1f}: no events in it "
            f"in {separated / cohorts:.2f} of cohorts; hazard ratio {profile:.3f} (profile), "
            f"{wald:.3f} (Wald); survival by Wald {of_level:.3f} (level), {of_others:.3f} (others)"
        )


def _held(X: FloatArray, y: NDArray[Any], effect: float) -> FloatArray:
    """Return which of the four intervals hold the truth."""
    model = CoxModel(names=("level", "number"), penalty="firth").fit(X, y)
    row = model.combination("level", np.array([1.0, 0.0]))
    two = np.array([[1.0, 0.0], [0.0, 0.0]])
    # The curves' intervals that such a model does not give: as if its coefficients were plain.
    model.variance_ = model.information_variance_
    model.baseline_variance_ = model_based(model.sums_, model.variance_)
    _, lower, upper = model.predict_curves(two)
    at = np.searchsorted(model.sums_.times, HORIZON, side="right") - 1
    truth = np.exp(-HORIZON / MEAN_TIME * np.exp([effect, 0.0]))
    return np.array(
        [
            row.lower <= np.exp(effect) <= row.upper,
            abs(row.coef - effect) <= Z * row.se,
            *((lower[:, at] <= truth) & (truth <= upper[:, at])),
        ]
    ).astype(float)

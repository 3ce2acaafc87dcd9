"""A cohort drawn from known curves, and how near hand and machine must be."""

from __future__ import annotations

from typing import Any

import numpy as np

EXACT = 1e-12  # fractions worked by hand, divided in double precision


def simulated(n: int, seed: int, decimals: int = 1) -> dict[str, Any]:
    """Return a cohort whose predictions are the truth it was drawn from."""
    random = np.random.default_rng(seed)
    score = random.normal(0, 0.8, n)
    death = random.exponential(10 * np.exp(-score))
    censored = random.uniform(2, 25, n)
    horizons = np.array([3.0, 6.0, 9.0])
    return {
        "time": np.maximum(np.minimum(death, censored).round(decimals), 0.1),
        "event": death <= censored,
        "survival": np.exp(-horizons / 10 * np.exp(score)[:, None]),
        "risk_score": score,
        "horizons": horizons,
    }

"""Whether the interval of a difference of survival between treatments holds the true difference.

`python -m tests.benchmarks.difference_coverage [COHORTS]`: four indicators with the effects of the
shipped model of `deb-tace-hcc`, their shares there, a Weibull baseline near its own, follow-up of 8
to 36 months. Each cohort's Cox model is asked about four profiles at three horizons; the interval
is compared with the symmetric one of the delta method, which stood here before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.difference import difference_interval
from riskscore.errors import ModelError
from training.cox import CoxModel

__all__ = ["HORIZONS", "PROFILES", "Coverage", "coverage", "main", "measure", "sample"]

FloatArray = NDArray[np.float64]

EFFECTS = np.array([0.67, 0.68, 0.84, -0.58])
SHARES = np.array([0.28, 0.31, 0.16, 0.47])
SHAPE, SCALE = 1.76, 21.5
Z = 1.959963984540054

HORIZONS = np.array([6.0, 12.0, 24.0])
PROFILES = {
    "no trait": (0, 0, 0),
    "invasion": (0, 1, 0),
    "many tumours, invasion": (1, 1, 0),
    "all three traits": (1, 1, 1),
}


def sample(seed: int, n: int) -> tuple[FloatArray, NDArray[Any]]:
    """Return n patients' indicators, the treatment last, and their outcome in months."""
    random = np.random.default_rng([seed, n])
    X = (random.random((n, 4)) < SHARES).astype(float)
    death = SCALE * (random.exponential(1, n) * np.exp(-X @ EFFECTS)) ** (1 / SHAPE)
    censored = random.uniform(8, 36, n)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = death <= censored, np.minimum(death, censored)
    return X, y


def log_hazards(model: CoxModel) -> tuple[FloatArray, ...]:
    """Return what `difference_interval` is asked of, each of shape (profiles, horizons)."""
    place = np.searchsorted(model.sums_.times, HORIZONS, side="right") - 1
    z = np.array([(*traits, 0) for traits in PROFILES.values()]) - model.center_
    V, joint = model.variance_, model.baseline_variance_
    shared, own = joint.covariance[place], joint.variance[place]
    a = (z @ model.coef_)[:, None] + np.log(model.sums_.hazard[place])
    variance = np.einsum("iq,qr,ir->i", z, V, z)[:, None] + 2 * z @ shared.T + own
    covariance = (z @ V[:, -1])[:, None] + shared[:, -1]
    one = np.ones_like(a)
    return a, one * model.coef_[-1], variance, covariance, one * V[-1, -1]


@dataclass(frozen=True)
class Coverage:
    """Of one size of cohort, arrays of shape (profiles, horizons).

    Attributes
    ----------
    survival : ndarray
        True, under the reference treatment.
    held, below, above : ndarray
        Parts of the cohorts whose interval holds the truth, and lies below and above it.
    width, symmetric_held, symmetric_width : ndarray
        Mean width, and the same of the symmetric interval.
    contradicted : int
        Intervals that exclude 0 where that of the hazard ratio includes 1, or the reverse.
    symmetric_contradicted : int
    cohorts, refused : int
        Cohorts judged, and those the model could not be fitted on.
    """

    survival: FloatArray
    held: FloatArray
    below: FloatArray
    above: FloatArray
    width: FloatArray
    symmetric_held: FloatArray
    symmetric_width: FloatArray
    contradicted: int
    symmetric_contradicted: int
    cohorts: int
    refused: int


def coverage(n: int, cohorts: int) -> Coverage:
    """Return the coverage over simulated cohorts of n patients."""
    fits = []
    for seed in range(cohorts):
        X, y = sample(seed, n)
        try:
            fits.append(log_hazards(CoxModel().fit(X, y)))
        except ModelError:  # an indicator without events, say
            continue
    a, d, va, cov, vd = (np.array(v) for v in zip(*fits, strict=True))
    traits = np.array([(*traits, 0) for traits in PROFILES.values()]) @ EFFECTS
    hazard = np.exp(traits)[:, None] * (HORIZONS / SCALE) ** SHAPE
    truth = np.exp(-hazard * np.exp(EFFECTS[-1])) - np.exp(-hazard)
    flat = difference_interval(*(v.ravel() for v in (a, d, va, cov, vd)))
    lower, upper = (bound.reshape(a.shape) for bound in flat)
    first, second = np.exp(-np.exp(a)), np.exp(-np.exp(a + d))
    by_d = -second * np.exp(a + d)
    by_a = by_d + first * np.exp(a)
    se = np.sqrt(by_a**2 * va + 2 * by_a * by_d * cov + by_d**2 * vd)
    low, high = second - first - Z * se, second - first + Z * se
    effect = np.abs(d) > Z * np.sqrt(vd)

    def contradicts(lower: FloatArray, upper: FloatArray) -> int:
        return int((((lower > 0) | (upper < 0)) != effect).sum())

    return Coverage(
        survival=np.exp(-hazard),
        held=((lower <= truth) & (truth <= upper)).mean(axis=0),
        below=(upper < truth).mean(axis=0),
        above=(lower > truth).mean(axis=0),
        width=(upper - lower).mean(axis=0),
        symmetric_held=((low <= truth) & (truth <= high)).mean(axis=0),
        symmetric_width=(high - low).mean(axis=0),
        contradicted=contradicts(lower, upper),
        symmetric_contradicted=contradicts(low, high),
        cohorts=len(a),
        refused=cohorts - len(a),
    )


def measure(cohorts: int = 2000) -> Iterator[str]:
    """Yield coverage by size of cohort, profile and horizon."""
    for n in (90, 300, 1000):
        figures = coverage(n, cohorts)
        yield (
            f"{n} patients, {figures.cohorts} cohorts ({figures.refused} refused): contradicting "
            f"the hazard ratio's interval {figures.contradicted}, symmetric "
            f"{figures.symmetric_contradicted} of {figures.cohorts * figures.held.size}"
        )
        for i, profile in enumerate(PROFILES):
            for j, horizon in enumerate(HORIZONS):
                yield (
                    f"  {profile:<23} {horizon:>2.0f} months, survival "
                    f"{figures.survival[i, j]:.3f}: {figures.held[i, j]:.3f} (below "
                    f"{figures.below[i, j]:.3f}, above {figures.above[i, j]:.3f}), width "
                    f"{figures.width[i, j]:.3f}; symmetric {figures.symmetric_held[i, j]:.3f}, "
                    f"width {figures.symmetric_width[i, j]:.3f}"
                )


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cohorts", nargs="?", type=int, default=2000)
    for line in measure(parser.parse_args().cohorts):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

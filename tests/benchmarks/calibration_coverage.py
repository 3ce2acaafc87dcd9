"""Calibration at a horizon and the corrected slope of a tuned ridge, where the truth is known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from riskscore.metrics import calibration
from riskscore.study import load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort
from training.settings import Settings
from training.validation.figures import OVERALL, Sample
from training.validation.optimism import optimism
from training.validation.procedure import CoxProcedure

__all__ = ["measure"]

FloatArray = NDArray[np.float64]

HORIZON = 6.0
FOLLOWED = 24.0
BASE = 0.05
"""Hazard a month at a predictor of 0, and after an effect has ended."""


def measure() -> Iterator[str]:
    """Yield how often intervals of slopes at a horizon hold the truth; then a tuned ridge's."""
    yield from _coverage()
    yield from _tuned_ridge()


def _patients(
    n: int, effect: float, lasts: float, seed: list[int]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return predictor, time and event; the hazard is BASE exp(effect x) as long as it lasts."""
    random = np.random.default_rng(seed)
    x, needed = random.normal(0, 1, n), random.exponential(1, n)
    early = BASE * np.exp(effect * x)
    late = lasts + (needed - lasts * early) / BASE
    death = np.where(needed < lasts * early, needed / early, late)
    censored = random.uniform(0, FOLLOWED, n)
    return x, np.minimum(death, censored), death <= censored


def _coverage(cohorts: int = 1000) -> Iterator[str]:
    """Yield coverage of the slope at 6 months: the model's coefficient is 0.8 throughout."""
    yield f"slope at {HORIZON:g} months, model with log hazard ratio 0.8, {cohorts} cohorts"
    for effect, lasts, what in (
        (0.8, math.inf, "right"),
        (0.5, math.inf, "too extreme"),
        (1.6, HORIZON, "the effect lasts 6 months"),
    ):
        for n in (100, 300, 1000):
            held, values = [], []
            for k in range(cohorts):
                x, time, event = _patients(n, effect, min(lasts, 1e9), [n, k])
                survival = np.exp(-BASE * HORIZON * np.exp(0.8 * x))
                [at] = calibration(time, event, survival, HORIZON, n_bootstrap=0)
                if at.slope is None or at.slope.lower is None or at.slope.upper is None:
                    continue
                held.append(at.slope.lower <= effect / 0.8 <= at.slope.upper)
                values.append(at.slope.value)
            yield (
                f"  {what:<27}n {n:>5}: true {effect / 0.8:.3f}, mean "
                f"{statistics.mean(values):.3f}, held by the 95 % interval "
                f"{statistics.mean(held):.3f} of {len(held)}"
            )


def _weak(n: int, seed: int) -> Cohort:
    """Return patients whose times say little of their predictors."""
    frame, random = simulate(n, seed), np.random.default_rng([seed, 2])
    times = frame["os_months"] * np.exp(random.normal(0, 1.0, n))
    frame["os_months"] = np.maximum(times, 0.1).round(2)
    core = ["tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age"]
    return check_cohort(frame, load_study("deb-tace-hcc"), "os", core)


def _tuned_ridge(cohorts: int = 20, n: int = 90, replicates: int = 25) -> Iterator[str]:
    """Yield corrected slopes over the whole follow-up against those on 4,000 new patients."""
    new, place = _weak(4000, 99_999), OVERALL.index("slope")
    yield f"corrected slope over that on new patients, {cohorts} cohorts of {n}: median (quartiles)"
    for penalty, what in (("auto", "tuned ridge"), (0.0, "no penalty")):
        ratios: dict[str, list[float]] = {"mean of plain losses": [], "relative losses": []}
        signs = 0
        for seed in range(cohorts):
            c = _weak(n, seed)
            settings = Settings(penalty=penalty, seed=seed, n_jobs=1)  # type: ignore[arg-type]
            judged = optimism(c, settings, replicates)
            refit = CoxProcedure(c.predictors, settings).fit(c, np.arange(n), judged.plan.times)
            truth = Sample(new.time, new.event, judged.plan).r2_and_slope(refit.score(new.X))[1]
            pairs = zip(judged.own, judged.whole, strict=True)
            plain = np.nanmean([a.overall[place] - b.overall[place] for a, b in pairs])
            corrected = float(judged.apparent.overall[place] - plain)
            signs += corrected < 0
            ratios["mean of plain losses"].append(corrected / truth)
            ratios["relative losses"].append(judged.slope / truth)
        for name, values in ratios.items():
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
            yield f"  {what:<12}{name:<22}{middle:.2f} ({low:.2f} to {high:.2f})"
        yield f"  {what:<12}plain losses gave {signs} of {cohorts} the wrong sign"

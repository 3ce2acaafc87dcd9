"""The .632+ estimate: between the apparent figure and that on patients a refit never drew.

Sources: Efron & Tibshirani, JASA 92 (1997) 548, doi:10.1080/01621459.1997.10474007; for the Brier
score of survival Gerds & Schumacher, Biometrics 63 (2007) 1283,
doi:10.1111/j.1541-0420.2007.00832.x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.settings import Settings
from training.validation.figures import AT, OVERALL, Plan, Sample
from training.validation.held_out import N_BOOTSTRAP, judge_out_of_bag
from training.validation.instability import instability
from training.validation.procedure import Procedure, choices, procedure
from training.validation.resampling import replicate, resample
from training.validation.results import chosen_in

__all__ = ["HOW", "INTERVAL", "mixed", "point632"]

FloatArray = NDArray[np.float64]

HOW = (
    ".632+: the apparent index and the mean of that among the patients each refit never drew, "
    "weighed by how far the model overfits relative to what no information would give (0.5 for a "
    "concordance or AUC; for a Brier score, outcomes and predictions paired at random)"
)
INTERVAL = (
    "95 % interval over the patients, of the mean predictions by the refits that never drew them, "
    "moved to the .632+ estimate"
)


def mixed(apparent: float, left_out: float, nothing: float) -> tuple[float, float]:
    """Return the .632+ estimate and the relative overfitting rate, 0 to 1.

    Parameters
    ----------
    apparent, left_out, nothing : float
        The index on the patients fitted, on those left out, and without any information; whether
        high or low is good follows from which side of `nothing` the apparent one lies on.

    Examples
    --------
    >>> mixed(0.9, 0.5, 0.5)
    (0.5, 1.0)
    >>> estimate, rate = mixed(0.9, 0.9, 0.5)
    >>> round(estimate, 3), rate
    (0.9, 0.0)
    """
    towards = 1.0 if apparent >= nothing else -1.0
    # Worse than nothing counts as nothing.
    bounded = max(left_out * towards, nothing * towards) * towards
    room, lost = (apparent - nothing) * towards, (apparent - bounded) * towards
    rate = min(max(lost / room, 0.0), 1.0) if room > 0 and lost > 0 else 0.0
    weight = 0.632 / (1 - 0.368 * rate)
    return (1 - weight) * apparent + weight * bounded, rate


@dataclass(frozen=True)
class _One:
    """One resample: figures among those left out, and everybody's predictions."""

    cohort: Cohort
    procedure: Procedure
    plan: Plan
    seed: int
    is_cox: bool

    def __call__(
        self, number: int
    ) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_], FloatArray]:
        c = self.cohort
        rows = resample(c, self.seed, number)
        if not c.event[rows].any():
            raise ModelError("the resample has no event")
        out = np.ones(len(c.time), dtype=bool)
        out[rows] = False
        if not c.event[out].any():
            raise ModelError("nobody left out has an event")
        refit = self.procedure.fit(c, rows, self.plan.times)
        survival = refit.survival(c.X, self.plan.times)
        left = Sample(c.time[out], c.event[out], self.plan)
        found = left.figures(refit.score(c.X[out]), survival[out], slope=self.is_cox)
        return found.overall, found.at, survival, out, refit.chosen


def point632(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    replicates: int,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Any]:
    """Return concordance, AUC, Brier score and IPA by .632+; calibration among those left out.

    Raises
    ------
    ModelError
        If no resample supports the model, or every patient is in every resample.
    """
    if replicates < 2:
        raise ModelError(f"replicates must be at least 2, got {replicates}")
    plan = Plan.of(cohort)
    rule, is_cox = procedure(kind, cohort.predictors, settings), kind == "cox"
    fitted = rule.fit(cohort, np.arange(len(cohort.time)), plan.times)
    sample = Sample(cohort.time, cohort.event, plan)
    survival = fitted.survival(cohort.X, plan.times)
    apparent = sample.figures(fitted.score(cohort.X), survival, slope=is_cox)
    one = _One(cohort, rule, plan, settings.seed, is_cox)
    done = replicate(one, replicates, settings.n_jobs)
    total, seen = np.zeros(survival.shape), np.zeros(len(survival))
    for _, _, curves, out, _ in done.results:
        total[out] += curves[out]
        seen[out] += 1
    with np.errstate(invalid="ignore"):
        mean = total / seen[:, None]
    found = judge_out_of_bag(
        cohort, 1 - mean[:, plan.at[-1]], mean, plan, settings.seed, n_bootstrap
    )
    with np.errstate(all="ignore"):
        overall = _mean([r[0] for r in done.results])
        at = _mean([r[1] for r in done.results])
    null = sample.survival * (1 - sample.survival)
    nothing = _no_information(sample, 1 - survival)
    share = plan.share
    found.pop("pairs")  # .632+ is no mean of shares of pairs
    _move(found, "concordance", apparent.overall[0], overall[0], 0.5)
    k = OVERALL.index("integrated_brier")
    brier = _move(
        found, "integrated_brier", apparent.overall[k], overall[k], float(nothing @ share)
    )
    _move_gain(found, "integrated_ipa", 1 - brier / float(null @ share), apparent.overall[k + 1])
    for h, horizon in enumerate(plan.horizons):
        row = next((r for r in found["horizons"] if r["horizon"] == horizon), None)
        if row is None:
            continue
        place = int(plan.at[h])
        a, b = AT.index("auc"), AT.index("brier")
        _move(row, "auc", apparent.at[h, a], at[h, a], 0.5)
        brier = _move(row, "brier", apparent.at[h, b], at[h, b], float(nothing[place]))
        _move_gain(row, "ipa", 1 - brier / null[place], apparent.at[h, b + 1])
    predictions = np.array([r[2][:, plan.at] for r in done.results])
    return (
        found
        | {
            "replicates": done.to_dict(),
            "instability": instability(cohort, plan.horizons, survival[:, plan.at], predictions),
        }
        | chosen_in([r[4] for r in done.results], choices(kind, settings))
    )


def _mean(figures: list[FloatArray]) -> FloatArray:
    kept = np.array(figures)
    some = np.isfinite(kept).any(axis=0)
    found = np.full(some.shape, np.nan)
    found[some] = np.nanmean(kept[:, some], axis=0)
    return found


def _no_information(sample: Sample, risk: FloatArray) -> FloatArray:
    """Return the Brier score at each time were each patient's risk that of a random other."""
    mean, square = risk.mean(axis=0), (risk**2).mean(axis=0)
    error = np.where(sample.beyond, square, 1 - 2 * mean + square)
    found: FloatArray = (sample.weight * error).mean(axis=0)
    return found


def _move(
    found: dict[str, Any], name: str, apparent: float, left_out: float, nothing: float
) -> float:
    """Put the estimate in the place of the index of the mean predictions; return it."""
    value, rate = mixed(float(apparent), float(left_out), nothing)
    _shift(found, name, value)
    found[name] |= {
        "apparent": float(apparent), "left_out": float(left_out), "no_information": nothing,
        "overfitting": rate,
    }  # fmt: skip
    return value


def _move_gain(found: dict[str, Any], name: str, value: float, apparent: float) -> None:
    _shift(found, name, value)
    found[name]["apparent"] = float(apparent)


def _shift(found: dict[str, Any], name: str, value: float) -> None:
    before = found[name] or {"value": value, "lower": None, "upper": None}
    by = value - before["value"]
    found[name] = {
        key: before[key] if before[key] is None else before[key] + by
        for key in ("value", "lower", "upper")
    }

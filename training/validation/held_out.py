"""Judging patients that a fit has not seen: out-of-bag, cross-validation, centres, later years.

Every prediction is of a patient by a fit that did not have that patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import ModelError, RiskscoreError
from riskscore.metrics import evaluate
from riskscore.metrics._concordance import concordance_of
from riskscore.metrics._outcome import check_outcome
from training.cohort import Cohort
from training.settings import Settings
from training.validation.figures import PAIRS, THRESHOLDS, Plan
from training.validation.procedure import ForestProcedure, Procedure, choices, procedure
from training.validation.resampling import folds, replicate
from training.validation.results import chosen_in, index, of_evaluation

__all__ = [
    "N_BOOTSTRAP", "cross_validation", "judge", "judge_out_of_bag", "out_of_bag",
    "shared_patients", "temporal",
]  # fmt: skip

FloatArray = NDArray[np.float64]

N_BOOTSTRAP = 200
"""Resamples of the judged patients for the intervals that have no formula."""

OUT_OF_BAG = "each patient judged by the trees that never drew the patient, of one forest"
CROSS_VALIDATION = (
    "each patient judged by the whole procedure fitted on the other folds, each fold holding like "
    "numbers of patients with an event; indexes are means over the repeats; concordance compares "
    "patients of one fold only"
)
CONDITIONAL = (
    "95 % interval over the patients judged, for these predictions as they stand; where there are "
    "repeats, that of the first, moved to their mean"
)
TEMPORAL = "the whole procedure fitted on the patients before the split, judged on those from it on"


def judge(
    cohort: Cohort,
    score: FloatArray,
    survival: FloatArray,
    plan: Plan,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every index of predictions for the patients of a cohort, with intervals.

    Parameters
    ----------
    cohort : Cohort
        Of those who are judged.
    score : ndarray of shape (n,)
    survival : ndarray of shape (n, n_times)
        At the plan's times.
    plan : Plan
        Horizons that these patients cannot judge are left out, and told.

    Raises
    ------
    ModelError
        If there is no event among them, or none before any horizon.
    """
    if not cohort.event.any():
        raise ModelError(f"none of the {len(cohort.time)} rows judged has an event")
    first, last = cohort.time[cohort.event].min(), cohort.time.max()
    use = (plan.horizons >= first) & (plan.horizons < last)
    if not use.any():
        raise ModelError(
            f"no horizon can be judged: among the {len(cohort.time)} rows judged the first event "
            f"is at {first:g} and the longest follow-up {last:g}"
        )
    grid = (plan.times >= first) & (plan.times <= plan.horizons[use][-1])
    several = int(grid.sum()) > 1
    groups = cohort.groups
    if groups is not None and len(np.unique(groups)) < 2:
        groups = None
    found = evaluate(
        cohort.time, cohort.event, survival[:, plan.at[use]], score, plan.horizons[use],
        groups=groups, grid=plan.times[grid] if several else None,
        grid_survival=survival[:, grid] if several else None, thresholds=THRESHOLDS,
        n_bootstrap=n_bootstrap, seed=seed,
    )  # fmt: skip
    result = of_evaluation(found)
    result["notes"] += [
        f"horizon {h:g}: no event up to it or nobody beyond it among those judged"
        for h in plan.horizons[~use]
    ]
    return result | {"rows": len(cohort.time), "events": int(cohort.event.sum())}


def out_of_bag(
    cohort: Cohort, settings: Settings, n_bootstrap: int = N_BOOTSTRAP
) -> dict[str, Any]:
    """Return a forest's indexes out-of-bag.

    Raises
    ------
    ModelError
        If the rows that some tree never drew cannot be judged.
    """
    plan = Plan.of(cohort)
    forest = ForestProcedure(cohort.predictors, settings)
    refit = forest.fit(cohort, np.arange(len(cohort.time)), plan.times)
    score, survival = refit.out_of_bag(cohort.X, plan.times)
    judged = judge_out_of_bag(cohort, score, survival, plan, settings.seed, n_bootstrap)
    return judged | chosen_in([refit.chosen], choices("forest", settings))


def judge_out_of_bag(
    cohort: Cohort,
    score: FloatArray,
    survival: FloatArray,
    plan: Plan,
    seed: int,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Any]:
    """Return the indexes of predictions that are NaN where every fit has seen the patient."""
    scored = np.flatnonzero(~np.isnan(score))
    if not len(scored):
        raise ModelError("no patient was left out by any tree: grow more trees")
    found = judge(cohort.subset(scored), score[scored], survival[scored], plan, n_bootstrap, seed)
    if len(scored) < len(score):
        left = len(score) - len(scored)
        found["notes"].append(f"{left} rows were seen by every fit and could not be judged")
    return found


@dataclass(frozen=True)
class _Fold:
    """The predictions for one fold of one repeat."""

    cohort: Cohort
    procedure: Procedure
    plan: Plan
    k: int
    seed: int

    def __call__(
        self, number: int
    ) -> tuple[int, NDArray[np.intp], FloatArray, FloatArray, FloatArray]:
        repeat, fold = divmod(number, self.k)
        of = folds(self.cohort, self.k, self.seed, repeat)
        test = np.flatnonzero(of == fold)
        refit = self.procedure.fit(self.cohort, np.flatnonzero(of != fold), self.plan.times)
        X = self.cohort.X[test]
        return repeat, test, refit.score(X), refit.survival(X, self.plan.times), refit.chosen


def cross_validation(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    k: int = 10,
    repeats: int = 5,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Any]:
    """Return the indexes by repeated k-fold cross-validation.

    Raises
    ------
    ModelError
        If there are too few patients with an event for the folds, or no repeat can be done.
    """
    if repeats < 1:
        raise ModelError(f"repeats must be at least 1, got {repeats}")
    folds(cohort, k, settings.seed, 0)  # refuses too few patients before anything is fitted
    plan = Plan.of(cohort)
    one = _Fold(cohort, procedure(kind, cohort.predictors, settings), plan, k, settings.seed)
    done = replicate(one, k * repeats, settings.n_jobs, "fold")
    results: list[dict[str, Any]] = []
    for repeat in range(repeats):
        parts = [found[1:4] for found in done.results if found[0] == repeat]
        if len(parts) < k:  # a fold that failed spoils its repeat
            continue
        score, survival = np.empty(len(cohort.time)), np.empty((len(cohort.time), len(plan.times)))
        for rows, scores, curves in parts:
            score[rows], survival[rows] = scores, curves
        found = judge(cohort, score, survival, plan, 0 if results else n_bootstrap, settings.seed)
        found |= _within(cohort, [(rows, scores) for rows, scores, _ in parts])
        results.append(found)
    if done.stopped and not results:
        raise KeyboardInterrupt
    if not results:
        reason, times = done.failed.most_common(1)[0]
        raise ModelError(
            f"no repeat of {k}-fold cross-validation could be done; {times} folds: {reason}; use "
            "fewer folds or fewer predictors"
        )
    counts = {"asked": repeats, "done": len(results), "failed": repeats - len(results)}
    about = {"folds": k, "reasons": dict(done.failed), "stopped": done.stopped}
    chosen = chosen_in([fold[4] for fold in done.results], choices(kind, settings))
    return _mean(results) | {"repeats": counts | about} | chosen


def temporal(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    column: Sequence[float] | NDArray[Any],
    value: float,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Any]:
    """Return the indexes of a fit on the rows whose column is below a value, on the others.

    Raises
    ------
    ModelError
        If one side is empty, a patient is on both, or either side does not support its part.
    """
    later = np.asarray(column, dtype=np.float64) >= value
    if later.all() or not later.any():
        side = "from it on" if later.all() else "before it"
        raise ModelError(f"split at {value:g}: all rows are {side}; choose a value in between")
    shared = shared_patients(cohort, later)
    if shared:
        raise ModelError(
            f"split at {value:g}: {shared} patients have rows on both sides, and would judge a "
            "model that has seen them; split by a column that is the same for all of a patient's "
            "rows"
        )
    plan = Plan.of(cohort)
    rule = procedure(kind, cohort.predictors, settings)
    try:
        refit = rule.fit(cohort, np.flatnonzero(~later), plan.times)
    except ValueError as error:
        raise ModelError(f"the {int((~later).sum())} rows before {value:g}: {error}") from error
    test = cohort.subset(np.flatnonzero(later))
    found = judge(
        test, refit.score(test.X), refit.survival(test.X, plan.times), plan, n_bootstrap,
        settings.seed,
    )  # fmt: skip
    before = cohort.subset(np.flatnonzero(~later))
    split = {"value": value} | {
        f"{side}_{what}": count
        for side, part in (("fitted", before), ("judged", test))
        for what, count in (
            ("patients", part.n_patients),
            ("rows", len(part.time)),
            ("events", int(part.event.sum())),
        )
    }
    return found | {"split": split} | chosen_in([refit.chosen], choices(kind, settings))


def shared_patients(cohort: Cohort, side: NDArray[np.bool_]) -> int:
    """Return how many patients have rows on both sides."""
    if cohort.groups is None:
        return 0
    return len(np.intersect1d(cohort.groups[side], cohort.groups[~side]))


def _within(cohort: Cohort, parts: list[tuple[NDArray[np.intp], FloatArray]]) -> dict[str, Any]:
    """Return the concordance of pairs within folds, its interval, and the shares of pairs.

    Scores of different folds are never compared: each fit has an origin of its own.
    """
    counts = np.zeros(len(PAIRS))
    variance = 0.0
    for rows, score in parts:
        groups = None if cohort.groups is None else cohort.groups[rows]
        try:
            outcome = check_outcome(cohort.time[rows], cohort.event[rows], groups)
            found = concordance_of(outcome, score, False, None, 0.95)
        except RiskscoreError:  # no two of the fold can be compared
            continue
        fold = np.array([found.concordant, found.discordant, found.tied_score])
        counts += fold
        variance += (fold.sum() * (found.se or 0.0)) ** 2
    total = counts.sum()
    if not total:
        raise ModelError("no two patients of any fold can be compared; use fewer folds")
    right, _, same = shares = counts / total
    value, half = right + same / 2, 1.959963984540054 * np.sqrt(variance) / total
    return {
        "concordance": index("concordance", value, value - half, value + half),
        "pairs": dict(zip(PAIRS, shares, strict=True)),
    }


def _mean(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over repeats of every index, the first repeat's limits moved to it."""
    first = results[0]
    if isinstance(first, dict) and set(first) >= {"value", "lower", "upper"}:
        values = np.array([np.asarray(r["value"], dtype=np.float64) for r in results])
        mean = values.mean(axis=0)
        moved = {"value": mean}
        for limit in ("lower", "upper"):
            if first[limit] is not None:
                moved[limit] = np.asarray(first[limit], dtype=np.float64) + mean - values[0]
        return (
            {"lower": None, "upper": None}
            | moved
            | {"sd_over_repeats": values.std(axis=0, ddof=1) if len(values) > 1 else None}
        )
    averaged: dict[str, Any] = {}
    for key, value in first.items():
        if key == "pairs":
            averaged[key] = {name: np.mean([r[key][name] for r in results]) for name in PAIRS}
        elif key == "horizons":
            averaged[key] = [_mean([r["horizons"][h] for r in results]) for h in range(len(value))]
        elif isinstance(value, dict) and all(isinstance(r[key], dict) for r in results):
            # Curves are drawn from the first repeat: those of the others have other points.
            averaged[key] = value if key.endswith("_curve") else _mean([r[key] for r in results])
        else:
            averaged[key] = value
    return averaged

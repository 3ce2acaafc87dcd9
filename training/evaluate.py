"""How good a model is on the cohort it was fitted on: in-sample, and on those it did not see.

In-sample figures flatter. Out-of-bag figures score each patient only by bootstrap refits that
never drew that patient; a forest's, by its trees (`training.fit.forest_evaluation`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from riskscore.errors import ModelError
from riskscore.metrics._concordance import influence_of
from riskscore.metrics._outcome import Outcome
from riskscore.ties import join_scores
from training.cohort import Cohort

__all__ = ["MOST_REFITS", "concordance", "evaluate_by_refits", "pairs"]

FloatArray = NDArray[np.float64]

MOST_REFITS = 100
LEAST_REFITS = 20
ROWS_REFITTED = 100_000
"""Bootstrap refits for a Cox model's out-of-bag concordance: as many as refit this many rows in
all, within those bounds. A large cohort needs fewer: its refits hardly differ."""


def concordance(cohort: Cohort, score: FloatArray) -> float:
    """Return Harrell's concordance of a risk score; 0.5 is chance, 1 is perfect order.

    Rows without a score (NaN) are left out. Source: Harrell et al., JAMA 247 (1982) 2543.

    Raises
    ------
    ModelError
        If no two patients can be compared: nobody is known to have outlived another.
    """
    shares = pairs(cohort, score)
    return shares["right"] + shares["same"] / 2


def pairs(cohort: Cohort, score: FloatArray) -> dict[str, float]:
    """Return the shares of comparable pairs by how a risk score orders them.

    Rows without a score (NaN) are left out.

    Returns
    -------
    dict
        `right`: the higher score has the event first; `wrong`: it has it second; `same`: equal
        scores, which a concordance counts as half right. They add up to 1.

    Raises
    ------
    ModelError
        If no two patients can be compared: nobody is known to have outlived another.
    """
    has = ~np.isnan(score)
    outcome = Outcome(cohort.time[has], cohort.event[has])
    joined, weight = join_scores(score[has]), outcome.event.astype(np.float64)
    _, counts = influence_of(outcome, joined, weight)
    total = sum(counts)
    return dict(zip(("right", "wrong", "same"), (n / total for n in counts), strict=True))


def evaluate_by_refits(
    pipeline: Pipeline, cohort: Cohort, seed: int, refits: int | None = None
) -> dict[str, Any]:
    """Return the concordance in-sample, and out-of-bag over bootstrap refits of the pipeline.

    Each refit ranks the patients it never drew; the figure is the mean over refits. Scores of
    different refits are never compared: each has an origin of its own.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted on the cohort; clones of it are fitted again.
    cohort : Cohort
    seed : int
        Of the resampling.
    refits : int, optional
        How many; by default as many as `ROWS_REFITTED` allows.
    """
    found: list[dict[str, float]] = []
    out_of_bag = np.zeros(len(cohort.time), dtype=bool)
    patients, patient = _patients(cohort)
    if refits is None:
        refits = min(MOST_REFITS, max(LEAST_REFITS, ROWS_REFITTED // len(cohort.time)))
    for k in range(refits):
        random = np.random.default_rng([seed, k])
        drawn = np.bincount(random.integers(patients, size=patients), minlength=patients)[patient]
        resample = cohort.subset(np.repeat(np.arange(len(drawn)), drawn))
        left = cohort.subset(np.flatnonzero(drawn == 0))
        try:
            refit = clone(pipeline).fit(resample.X, resample.y)
            found.append(pairs(left, refit.predict(left.X)))
        except ValueError as error:  # it lacks a level, or the rest holds no two to compare
            reason = str(error)
            continue
        out_of_bag |= drawn == 0
    if not found:
        raise ModelError(
            "no bootstrap resample supports the model: the cohort, or a level of it, is too small "
            f"(the last: {reason})"
        )
    how = f"mean over {len(found)} bootstrap refits, each on the patients that it never drew"
    apparent = pairs(cohort, pipeline.predict(cohort.X))
    mean = {kind: float(np.mean([shares[kind] for shares in found])) for kind in apparent}
    return {
        "concordance": {
            "in_sample": apparent["right"] + apparent["same"] / 2,
            "out_of_bag": mean["right"] + mean["same"] / 2,
            "out_of_bag_how": how,
            "out_of_bag_rows": int(out_of_bag.sum()),
            "pairs": {"in_sample": apparent, "out_of_bag": mean},
        },
        "refits": {"done": len(found), "failed": refits - len(found)},
    }


def _patients(cohort: Cohort) -> tuple[int, NDArray[np.intp]]:
    """Return the number of patients, and each row's patient."""
    if cohort.groups is None:
        return len(cohort.time), np.arange(len(cohort.time))
    ids, patient = np.unique(cohort.groups, return_inverse=True)
    return len(ids), patient

"""How good a forest is on patients its trees never drew, and what it leans on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.pipeline import Pipeline

from riskscore.metrics._concordance import influence_of
from riskscore.metrics._outcome import Outcome, check_outcome
from riskscore.ties import join_scores
from training.cohort import Cohort
from training.evaluate import pairs
from training.forest import CompactForest
from training.forest.tuning import brier_out_of_bag

__all__ = ["IMPORTANCE_INTERVAL", "evaluate_forest", "importance"]

FloatArray = NDArray[np.float64]

Z95 = float(stats.norm.ppf(0.975))

IMPORTANCE_INTERVAL = (
    "95 % interval over the patients judged, for this forest as it stands (infinitesimal "
    "jackknife of the paired difference); it does not tell what forests of other cohorts lean on"
)


def evaluate_forest(pipeline: Pipeline, cohort: Cohort) -> dict[str, Any]:
    """Return concordance and integrated Brier score over the trees that never drew the patient."""
    forest: CompactForest = pipeline["model"]
    design = pipeline["encode"].transform(cohort.X)
    score = forest.predict_out_of_bag(design)
    until = cohort.outcome.horizons[-1]
    apparent, out_of_bag = pairs(cohort, forest.predict(design)), pairs(cohort, score)
    return {
        "concordance": {
            "in_sample": apparent["right"] + apparent["same"] / 2,
            "out_of_bag": out_of_bag["right"] + out_of_bag["same"] / 2,
            "out_of_bag_how": "each patient scored by the trees that never drew the patient",
            "out_of_bag_rows": int((~np.isnan(score)).sum()),
            "pairs": {"in_sample": apparent, "out_of_bag": out_of_bag},
        },
        "integrated_brier_out_of_bag": brier_out_of_bag(
            forest, design, cohort.time, cohort.event, until
        ),
    }


def importance(pipeline: Pipeline, cohort: Cohort, seed: int) -> list[dict[str, Any]]:
    """Return each predictor's permutation importance: the out-of-bag concordance lost without it.

    All columns of a predictor are shuffled together, anew for each tree (Breiman, Machine Learning
    45 (2001) 5). The bounds `lower` and `upper` are as `IMPORTANCE_INTERVAL` says.
    """
    forest: CompactForest = pipeline["model"]
    encoder = pipeline["encode"]
    design = encoder.transform(cohort.X)
    score = forest.predict_out_of_bag(design)
    scored = ~np.isnan(score)
    groups = None if cohort.groups is None else cohort.groups[scored]
    outcome = check_outcome(cohort.time[scored], cohort.event[scored], groups)
    whole, of_whole = _concordance(outcome, score[scored])
    found = []
    for j, predictor in enumerate(cohort.predictors):
        columns = [k for k, term in enumerate(encoder.terms_) if term.column == j]
        shuffled = forest.predict_out_of_bag(design, columns, seed)
        without, of_without = _concordance(outcome, shuffled[scored])
        lost = whole - without
        # Both are judged on the same patients: their errors cancel in part.
        se = float(np.sqrt((outcome.clustered(of_whole - of_without) ** 2).sum()))
        found.append(
            {
                "predictor": predictor.name,
                "concordance_lost": lost,
                "lower": lost - Z95 * se,
                "upper": lost + Z95 * se,
            }
        )
    return found


def _concordance(outcome: Outcome, score: FloatArray) -> tuple[float, FloatArray]:
    """Return the concordance and each patient's influence on it; scores tie as elsewhere here."""
    joined, weight = join_scores(score), outcome.event.astype(float)
    influence, (better, worse, tied) = influence_of(outcome, joined, weight)
    return (better + tied / 2) / (better + worse + tied), influence

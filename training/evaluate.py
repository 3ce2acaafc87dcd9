"""How good a model is on the cohort it was fitted on: in-sample, and on those it did not see.

In-sample figures flatter. Out-of-bag figures score each patient only by trees, or by bootstrap
refits, that never drew that patient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sksurv.metrics import concordance_index_censored

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.forest import CompactForest

__all__ = ["MOST_REFITS", "concordance", "evaluate_cox", "evaluate_forest", "importance"]

FloatArray = NDArray[np.float64]

MOST_REFITS = 100
LEAST_REFITS = 20
ROWS_REFITTED = 100_000
"""Bootstrap refits for a Cox model's out-of-bag concordance: as many as refit this many rows in
all, within those bounds. A large cohort needs fewer: its refits hardly differ."""


def concordance(cohort: Cohort, score: FloatArray) -> float:
    """Return Harrell's concordance of a risk score; 0.5 is chance, 1 is perfect order.

    Rows without a score (NaN) are left out. Source: Harrell et al., JAMA 247 (1982) 2543.
    """
    has = ~np.isnan(score)
    value = concordance_index_censored(cohort.event[has], cohort.time[has], score[has])[0]
    return float(value)


def evaluate_cox(pipeline: Pipeline, cohort: Cohort, seed: int) -> dict[str, Any]:
    """Return the concordance in-sample and out-of-bag over bootstrap refits of the pipeline."""
    total, times_out = np.zeros(len(cohort.time)), np.zeros(len(cohort.time))
    failed = 0
    patients, patient = _patients(cohort)
    refits = min(MOST_REFITS, max(LEAST_REFITS, ROWS_REFITTED // len(cohort.time)))
    for k in range(refits):
        random = np.random.default_rng([seed, k])
        drawn = np.bincount(random.integers(patients, size=patients), minlength=patients)[patient]
        resample = cohort.subset(np.repeat(np.arange(len(drawn)), drawn))
        try:
            refit = clone(pipeline).fit(resample.X, resample.y)
        except ModelError:  # a level nobody drew; the resample cannot support the model
            failed += 1
            continue
        out = drawn == 0
        total[out] += refit.predict(cohort.X[out])
        times_out += out
    score = np.divide(total, times_out, out=np.full(len(total), np.nan), where=times_out > 0)
    how = f"each patient scored by those of {refits} bootstrap refits that never drew the patient"
    return _evaluation(cohort, pipeline.predict(cohort.X), score, how) | {
        "refits": {"done": refits - failed, "failed": failed}
    }


def evaluate_forest(pipeline: Pipeline, cohort: Cohort) -> dict[str, Any]:
    """Return the concordance in-sample and over the trees that never drew the patient."""
    forest: CompactForest = pipeline["model"]
    score = forest.predict_out_of_bag(pipeline["encode"].transform(cohort.X))
    how = "each patient scored by the trees that never drew the patient"
    return _evaluation(cohort, pipeline.predict(cohort.X), score, how)


def importance(pipeline: Pipeline, cohort: Cohort, seed: int) -> list[dict[str, Any]]:
    """Return each predictor's permutation importance: the out-of-bag concordance lost without it.

    All columns of a predictor are shuffled together, anew for each tree. Source: Breiman, Machine
    Learning 45 (2001) 5.
    """
    forest: CompactForest = pipeline["model"]
    encoder = pipeline["encode"]
    design = encoder.transform(cohort.X)
    whole = concordance(cohort, forest.predict_out_of_bag(design))
    found = []
    for j, predictor in enumerate(cohort.predictors):
        columns = [k for k, term in enumerate(encoder.terms_) if term.column == j]
        score = forest.predict_out_of_bag(design, columns, seed)
        lost = whole - concordance(cohort, score)
        found.append({"predictor": predictor.name, "concordance_lost": lost})
    return found


def _evaluation(
    cohort: Cohort, in_sample: FloatArray, out_of_bag: FloatArray, how: str
) -> dict[str, Any]:
    return {
        "concordance": {
            "in_sample": concordance(cohort, in_sample),
            "out_of_bag": concordance(cohort, out_of_bag),
            "out_of_bag_how": how,
            "out_of_bag_rows": int((~np.isnan(out_of_bag)).sum()),
        }
    }


def _patients(cohort: Cohort) -> tuple[int, NDArray[np.intp]]:
    """Return the number of patients, and each row's patient."""
    if cohort.groups is None:
        return len(cohort.time), np.arange(len(cohort.time))
    ids, patient = np.unique(cohort.groups, return_inverse=True)
    return len(ids), patient

"""A model of categories alone is a table: one curve for each combination of levels.

However many trees grew it, a forest on four two-level predictors knows 16 patients. Its exported
graph then looks the patient's row up, which is exact, small, and as fast as prediction gets.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from riskscore.study import Predictor
from training.encoding import StudyEncoder
from training.forest import CompactForest

__all__ = ["MOST_PROFILES", "ProfileTable", "tabulated"]

FloatArray = NDArray[np.float64]

MOST_PROFILES = 1024
"""Above this many combinations the trees themselves are the smaller table."""


class ProfileTable(BaseEstimator):  # type: ignore[misc]
    """Curves and risk score for each combination of levels.

    Parameters
    ----------
    weights : ndarray of shape (n_terms,)
        A design row times these is the number of its combination.
    survival : ndarray of shape (n_profiles, n_times)
    score : ndarray of shape (n_profiles,)
        Higher is worse.
    lower, upper : ndarray of shape (n_profiles, n_times), optional
        Bounds of the forest's stability.
    """

    def __init__(
        self,
        weights: FloatArray,
        survival: FloatArray,
        score: FloatArray,
        lower: FloatArray | None = None,
        upper: FloatArray | None = None,
    ) -> None:
        self.weights = weights
        self.survival = survival
        self.score = score
        self.lower = lower
        self.upper = upper


def tabulated(pipeline: Pipeline) -> Pipeline:
    """Return a fitted forest's pipeline as a table, where its predictors are few categories.

    Any other pipeline is returned as it is. The table holds the forest's own predictions, so both
    answer alike for every patient there can be.
    """
    encoder: StudyEncoder = pipeline["encode"]
    model = pipeline["model"]
    predictors = encoder.predictors
    n_profiles = math.prod(len(p.levels) for p in predictors)
    if not isinstance(model, CompactForest) or not 0 < n_profiles <= MOST_PROFILES:
        return pipeline
    profiles = np.array(list(product(*(range(len(p.levels)) for p in predictors))), dtype=float)
    design = encoder.transform(profiles)
    bounds = model.predict_band(design) if model.stability else (None, None)
    table = ProfileTable(
        _weights(encoder, predictors), model.predict_curves(design), model.predict(design), *bounds
    )
    return Pipeline([("encode", encoder), ("model", table)])


def _weights(encoder: StudyEncoder, predictors: tuple[Predictor, ...]) -> FloatArray:
    """Return what each indicator adds to a combination's number: level times the place's value."""
    sizes = [len(p.levels) for p in predictors]
    place = np.cumprod([1, *sizes[:0:-1]])[::-1]
    return np.array([float(place[t.column] * t.level) for t in encoder.terms_])

"""Which patients a model has seen: the ranges and combinations among its training patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.study import Predictor

__all__ = ["Envelope", "envelope_of"]

FloatArray = NDArray[np.float64]

COMBINATIONS = 4096
"""Above this many possible combinations of levels, which of them occurred is not kept."""


def envelope_of(X: FloatArray, predictors: Sequence[Predictor]) -> dict[str, Any]:
    """Return the envelope of training patients, as the manifest holds it.

    Parameters
    ----------
    X : ndarray of shape (n_patients, n_predictors)
        Checked input, as `records` makes it.
    """
    categories = [j for j, p in enumerate(predictors) if p.is_category]
    ranges = {
        p.name: [float(X[:, j].min()), float(X[:, j].max())]
        for j, p in enumerate(predictors)
        if not p.is_category
    }
    possible = math.prod(len(predictors[j].levels) for j in categories)
    seen = None
    if categories and possible <= COMBINATIONS:
        seen = np.unique(X[:, categories], axis=0).astype(int).tolist()
    return {"ranges": ranges, "combinations": seen}


class Envelope:
    """The envelope of a loaded model, which says of new patients what is unlike the training's."""

    def __init__(self, content: dict[str, Any], predictors: Sequence[Predictor]) -> None:
        ranges = content["ranges"]
        self._ranges: list[tuple[int, Predictor, float, float]] = []
        for j, p in enumerate(predictors):
            if not p.is_category:
                low, high = ranges[p.name]
                self._ranges.append((j, p, float(low), float(high)))
        self._categories = [j for j, p in enumerate(predictors) if p.is_category]
        sizes = [len(predictors[j].levels) for j in self._categories]
        # Mixed-radix weights turn a combination of levels into one number.
        self._weights = np.cumprod([1, *sizes[:-1]]).astype(float)
        self._seen: set[float] | None = None
        if content["combinations"] is not None:
            seen = np.array(content["combinations"], dtype=float)
            if seen.ndim != 2 or seen.shape[1] != len(sizes):
                raise ValueError("envelope.combinations must have one level a category")
            self._seen = set((seen @ self._weights).tolist())

    def notes(self, X: FloatArray) -> list[tuple[str, ...]]:
        """Return for each patient what is unlike every training patient; empty when nothing is."""
        notes: list[tuple[str, ...]] = [()] * len(X)
        if self._seen is not None:
            codes = (X[:, self._categories] @ self._weights).tolist()
            for i, code in enumerate(codes):
                if code not in self._seen:
                    notes[i] = (
                        "no such patient in the training data: nobody had these levels together",
                    )
        for j, p, low, high in self._ranges:
            values = X[:, j]
            for i in np.flatnonzero((values < low) | (values > high)).tolist():
                text = (
                    f"no such patient in the training data: {p.name} {values[i]:g} is outside "
                    f"{low:g} to {high:g} {p.unit_words}"
                )
                notes[i] = (*notes[i], text)
        return notes

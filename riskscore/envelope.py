"""Which patients a model has seen, and for how long: ranges, combinations and numbers at risk."""

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


FEW = 5
"""Training patients with a combination of levels below which its predictions need a note."""


def envelope_of(
    X: FloatArray, predictors: Sequence[Predictor], groups: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Return the envelope of training patients, as the manifest holds it.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_predictors)
        Checked input, as `records` makes it.
    predictors : sequence of Predictor
    groups : ndarray of shape (n_rows,), optional
        The patient of each row, where a patient may have several.
    """
    categories = [j for j, p in enumerate(predictors) if p.is_category]
    ranges = {
        p.name: [float(X[:, j].min()), float(X[:, j].max())]
        for j, p in enumerate(predictors)
        if not p.is_category
    }
    possible = math.prod(len(predictors[j].levels) for j in categories)
    seen = counts = None
    if categories and possible <= COMBINATIONS:
        patient = np.arange(len(X)) if groups is None else groups
        # Each patient counts once for each combination that any row of the patient shows.
        own = np.unique(np.column_stack([X[:, categories], patient]), axis=0)
        found, times = np.unique(own[:, :-1], axis=0, return_counts=True)
        seen, counts = found.astype(int).tolist(), times.tolist()
    return {"ranges": ranges, "combinations": seen, "patients": counts}


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
        self._seen: dict[float, int] | None = None
        if content["combinations"] is not None:
            seen = np.array(content["combinations"], dtype=float)
            if seen.ndim != 2 or seen.shape[1] != len(sizes):
                raise ValueError("envelope.combinations must have one level a category")
            # A bundle of an earlier version does not count the patients of each combination.
            counts = content.get("patients") or [FEW] * len(seen)
            self._seen = dict(zip((seen @ self._weights).tolist(), map(int, counts), strict=True))

    def notes(self, X: FloatArray) -> list[tuple[str, ...]]:
        """Return for each patient what is unlike the training patients; empty when nothing is."""
        notes: list[tuple[str, ...]] = [()] * len(X)
        if self._seen is not None:
            codes = (X[:, self._categories] @ self._weights).tolist()
            for i, code in enumerate(codes):
                patients = self._seen.get(code, 0)
                if patients < FEW:
                    notes[i] = (_rare(patients),)
        for j, p, low, high in self._ranges:
            values = X[:, j]
            for i in np.flatnonzero((values < low) | (values > high)).tolist():
                text = (
                    f"no such patient in the training data: {p.name} {values[i]:g} is outside "
                    f"{low:g} to {high:g} {p.unit_words}"
                )
                notes[i] = (*notes[i], text)
        return notes


def _rare(patients: int) -> str:
    if not patients:
        return "no such patient in the training data: nobody had these levels together"
    had = "1 training patient" if patients == 1 else f"{patients} training patients"
    return f"few such patients in the training data: {had} had these levels together"

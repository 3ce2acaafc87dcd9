"""What a reconstruction leaves open: how predictions vary over cohorts that fit the same figures.

A model fitted on a cohort that was reconstructed from published aggregates has two uncertainties.
Its interval tells the sampling error, as if the cohort were the patients. The SENSITIVITY envelope
tells how far the answer depends on which of many equally fitting cohorts was taken: over all of
them the lowest lower and the highest upper bound. It has no coverage and is no interval.

A bundle may carry it as `sensitivity.json`, a table over every combination of levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.study import Predictor

__all__ = ["FORMAT", "SENSITIVITY", "Sensitivity"]

FloatArray = NDArray[np.float64]

SENSITIVITY = "sensitivity.json"

FORMAT = 1
"""Format of `sensitivity.json`. Raise it when a reader of the old would misread the new."""

ENVELOPE = ("lowest_lower", "highest_upper")


class Sensitivity:
    """The table of a bundle, ready to be asked.

    Parameters
    ----------
    content : mapping
        `sensitivity.json`: `format`; `draws`, how many cohorts; `how`, in words; `predictors`,
        names; `levels`, of each; `times`, every time at which a curve of a draw steps; `survival`
        with, for each combination of levels (the last predictor runs fastest) and time,
        `least`, `most` (of the survival itself), `lowest_lower`, `highest_upper`; `differences`,
        by treatment level, the `least` and `most` survival difference from the reference level.
    predictors : tuple of Predictor
        The model's.

    Raises
    ------
    ValueError
        If the table is not of this model.
    """

    def __init__(self, content: Mapping[str, Any], predictors: tuple[Predictor, ...]) -> None:
        if content["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT}, got {content['format']!r}")
        declared = {p.name: list(p.levels) for p in predictors}
        stated = dict(zip(content["predictors"], content["levels"], strict=True))
        if list(stated.items()) != list(declared.items()) or not all(declared.values()):
            raise ValueError("its predictors must be the model's, categories all")
        self.draws = int(content["draws"])
        self.how = str(content["how"])
        self.content = content
        self.times: FloatArray = np.array(content["times"], dtype=float)
        sizes = [len(p.levels) for p in predictors]
        # Mixed-radix weights turn a patient's levels into the number of the combination.
        self._weights: FloatArray = np.cumprod([1, *sizes[:0:-1]])[::-1].astype(float)
        # Most ask for the same times.
        self._positions = lru_cache(maxsize=64)(self._positions_of)
        if not (np.diff(self.times) > 0).all():
            raise ValueError("its times must ascend")
        shape = (math.prod(sizes), len(self.times))
        self._survival = {
            name: _array(content["survival"][name], shape) for name in ("least", "most", *ENVELOPE)
        }
        self._differences = {
            level: (_array(span["least"], shape, -1.0), _array(span["most"], shape, -1.0))
            for level, span in content["differences"].items()
        }
        pairs = [("least", "most"), ENVELOPE]
        ranges = [tuple(self._survival[name] for name in pair) for pair in pairs]
        if any((least > most).any() for least, most in [*ranges, *self._differences.values()]):
            raise ValueError("its least must not be above its most")

    def envelope(self, X: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lowest lower and the highest upper bound over the draws.

        Parameters
        ----------
        X : ndarray of shape (n_patients, n_predictors)
            Checked input.
        times : ndarray of shape (n_times,)
            In the study's unit.

        Returns
        -------
        lowest, highest : ndarray of shape (n_patients, n_times)
        """
        rows, columns = self._place(X, times)
        early = bool(columns.min() < 0)
        lower, upper = (
            curves.at(self._survival[name].take(rows, axis=0), columns, early) for name in ENVELOPE
        )
        return lower, upper

    def difference(
        self, X: FloatArray, times: FloatArray, level: str
    ) -> tuple[FloatArray, FloatArray]:
        """Return the least and the most survival difference, `level` less the reference level.

        Each draw's own difference is taken, then its range: never the difference of two envelopes.
        Shapes as in `envelope`.
        """
        rows, columns = self._place(X, times)
        least, most = (curves.at(a.take(rows, axis=0), columns) for a in self._differences[level])
        # Before the first step both curves are 1, and their difference is 0.
        for values in (least, most):
            values[:, columns < 0] = 0.0
        return least, most

    def _place(self, X: FloatArray, times: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows = (X @ self._weights).astype(np.intp)
        return rows, self._positions(tuple(times.tolist()))

    def _positions_of(self, times: tuple[float, ...]) -> NDArray[np.intp]:
        return curves.positions(self.times, np.array(times))


def _array(values: object, shape: tuple[int, int], least: float = 0.0) -> FloatArray:
    found = np.array(values, dtype=float)
    if found.shape != shape:
        raise ValueError(f"must have {shape[0]} combinations by {shape[1]} times")
    if not ((found >= least) & (found <= 1.0)).all():
        raise ValueError(f"must have values from {least:g} to 1")
    return found

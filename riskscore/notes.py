"""What a reader of a prediction should know: how far the training data carry it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.envelope import Envelope
from riskscore.manifest import Manifest

__all__ = ["Notes"]

FloatArray = NDArray[np.float64]

SCARCE = 10
"""Training rows still followed below which a prediction needs a note."""

WIDE_GAP = 0.01
"""Part of the follow-up between two grid times above which a median in between needs a note."""


class Notes:
    """The notes of one model's predictions.

    Parameters
    ----------
    manifest : Manifest
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._grid: FloatArray = np.array(manifest.times)
        self._followed = {
            **dict(zip(manifest.times, manifest.at_risk, strict=True)),
            **dict(zip(manifest.outcome.horizons, manifest.at_risk_at_horizons, strict=True)),
        }
        training = manifest.training
        repeated = training.get("rows") != training.get("patients")
        self._row_word = "row" if repeated else "patient"
        self._envelope = Envelope(manifest.envelope, manifest.predictors)
        # Most ask for the same times.
        self._scarce = lru_cache(maxsize=64)(self._scarce_of)

    def of(self, X: FloatArray, times: FloatArray, median: FloatArray) -> list[tuple[str, ...]]:
        """Return each patient's notes; empty when there is nothing to say.

        Parameters
        ----------
        X : ndarray of shape (n_patients, n_predictors)
        times : ndarray of shape (n_times,)
            At which survival is given.
        median : ndarray of shape (n_patients,)
            The median survival times.
        """
        notes = self._envelope.notes(X)
        if scarce := self._scarce(tuple(times.tolist())):
            notes = [(*found, *scarce) for found in notes]
        if self._manifest.grid != "thinned":
            return notes
        unit = self._manifest.study.time_unit
        inside = times[(times > self._grid[0]) & (times < self._grid[-1])]
        read = self._grid[curves.positions(self._grid, inside)]
        shared = tuple(
            f"survival at {unit} {t:g} is read from the thinned grid, at {unit} {at:g}"
            for t, at in zip(inside.tolist(), read.tolist(), strict=True)
            if t != at
        )
        if shared:
            notes = [(*found, *shared) for found in notes]
        for i in np.flatnonzero(~np.isnan(median)).tolist():
            k = int(np.searchsorted(self._grid, median[i]))
            before = float(self._grid[k - 1]) if k else 0.0
            if median[i] - before > WIDE_GAP * self._manifest.follow_up_limit:
                text = f"the median lies between {unit} {before:g} and {median[i]:g} (thinned grid)"
                notes[i] = (*notes[i], text)
        return notes

    def _scarce_of(self, times: tuple[float, ...]) -> tuple[str, ...]:
        """Return a note for each time at which few training rows were still followed."""
        unit, word = self._manifest.study.time_unit, self._row_word
        notes = []
        for t in times:
            exact = self._followed.get(t)
            # Between grid times the number is not kept; it is at most that of the time before.
            k = int(self._grid.searchsorted(t, side="right")) - 1
            n = exact if exact is not None else self._manifest.at_risk[k] if k >= 0 else SCARCE
            if n < SCARCE:
                plural = "" if n == 1 else "s"
                most = "" if exact is not None else "at most "
                verb = "was" if n == 1 else "were"
                notes.append(
                    f"at {unit} {t:g} only {most}{n} training {word}{plural} {verb} still followed"
                )
        return tuple(notes)

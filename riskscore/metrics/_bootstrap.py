"""Resampling patients: how often each row is drawn, seeded, clusters whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from riskscore.errors import InputError, Problem
from riskscore.metrics._estimates import FloatArray
from riskscore.metrics._outcome import Outcome

__all__ = ["Resamples"]


@dataclass(frozen=True)
class Resamples:
    """How often each patient is drawn, of shape (n,), one resample after another.

    Clusters are drawn whole. Each resample follows from the seed and its own number, so that going
    through them again gives the same ones: none is kept.

    Attributes
    ----------
    outcome : Outcome
    number : int
        Resamples; 0 for none.
    seed : int
    """

    outcome: Outcome
    number: int
    seed: int

    def __post_init__(self) -> None:
        for name, value in (("n_bootstrap", self.number), ("seed", self.seed)):
            if value < 0:
                problem = Problem(None, name, "must be 0 or more", value, "give a whole number")
                raise InputError([problem])

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[FloatArray]:
        cluster = self.outcome.cluster
        units = len(self.outcome) if cluster is None else int(cluster.max()) + 1
        for number in range(self.number):
            drawn = np.random.default_rng([self.seed, number]).integers(units, size=units)
            counts = np.bincount(drawn, minlength=units).astype(np.float64)
            yield counts if cluster is None else counts[cluster]

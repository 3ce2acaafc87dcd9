"""Resampling patients: how often each row is drawn, seeded, clusters whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from riskscore.metrics._estimates import FloatArray
from riskscore.metrics._outcome import Outcome

__all__ = ["resamples"]


def resamples(outcome: Outcome, n_bootstrap: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each patient is drawn, of shape (n,), one resample after another.

    Clusters are drawn whole. Each resample's draws follow from the seed and its own number, so that
    the same number always gives the same resample.
    """
    cluster = outcome.cluster
    units = len(outcome) if cluster is None else int(cluster.max()) + 1
    for number in range(n_bootstrap):
        drawn = np.random.default_rng([seed, number]).integers(units, size=units)
        counts = np.bincount(drawn, minlength=units).astype(np.float64)
        yield counts if cluster is None else counts[cluster]

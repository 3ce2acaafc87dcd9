"""How far a patient's prediction depends on who happened to be in the cohort.

Source: Riley & Collins, Biom J 65 (2023) 2200302, doi:10.1002/bimj.202200302.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.ties import RISK_TOLERANCE, join_values
from training.cohort import Cohort

__all__ = ["LEAST_TOGETHER", "instability"]

FloatArray = NDArray[np.float64]

BINS = 20
"""Most bins of the model's own predictions."""

LEAST_TOGETHER = 10
"""Patients in a bin, so that no point of the plot is one patient's."""

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


def instability(
    cohort: Cohort, horizons: FloatArray, survival: FloatArray, predictions: FloatArray
) -> dict[str, Any]:
    """Return how the refits' predictions differ from the model's own, at each horizon.

    Parameters
    ----------
    cohort : Cohort
    horizons : ndarray of shape (n_horizons,)
    survival : ndarray of shape (n, n_horizons)
        By the model at hand.
    predictions : ndarray of shape (n_replicates, n, n_horizons)
        Survival of the same patients by refits on resamples.

    Returns
    -------
    dict
        By horizon: `mape`, the mean over patients of the mean absolute difference over refits;
        `mape_90`, the 90th percentile over patients; and bins of the model's own risks, each with
        the quantiles of what the refits predict for its patients. No bin holds fewer than
        `LEAST_TOGETHER` rows.
    """
    return {
        "refits": len(predictions),
        "quantiles": list(QUANTILES),
        "least_in_a_bin": LEAST_TOGETHER,
        "horizons": [
            _at(float(horizon), 1 - survival[:, h], 1 - predictions[:, :, h])
            for h, horizon in enumerate(horizons)
        ],
    }


def _at(horizon: float, risk: FloatArray, refits: FloatArray) -> dict[str, Any]:
    error = np.abs(refits - risk).mean(axis=0)
    found = []
    for rows in _bins(risk):
        found.append(
            {
                "n": len(rows),
                "risk": float(risk[rows].mean()),
                "mape": float(error[rows].mean()),
                "refits": np.quantile(refits[:, rows], QUANTILES).tolist(),
            }
        )
    return {
        "horizon": horizon,
        "mape": float(error.mean()),
        "mape_90": float(np.quantile(error, 0.9)),
        "bins": found,
    }


def _bins(risk: FloatArray) -> list[NDArray[np.intp]]:
    """Return the rows of each bin, by ascending risk; equal risks stay together."""
    values, place, counts = np.unique(
        join_values(risk, RISK_TOLERANCE), return_inverse=True, return_counts=True
    )
    least = max(LEAST_TOGETHER, -(-len(risk) // BINS))
    bin_of, number, held = np.zeros(len(values), dtype=np.intp), 0, 0
    for k, count in enumerate(counts.tolist()):
        if held >= least:
            number, held = number + 1, 0
        bin_of[k] = number
        held += count
    if held < LEAST_TOGETHER and number:  # the last few join the bin before
        bin_of[bin_of == number] = number - 1
    return [np.flatnonzero(bin_of[place] == k) for k in range(int(bin_of.max()) + 1)]

"""Residuals of a fitted Cox model, of the rows it was fitted on, in their order.

Source: Therneau, Grambsch & Fleming, Biometrika 77 (1990) 147; as R's `residuals.coxph`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.cox.model import CoxModel

__all__ = ["deviance", "dfbeta", "martingale"]

FloatArray = NDArray[np.float64]


def martingale(model: CoxModel, event: NDArray[np.bool_]) -> FloatArray:
    """Return events seen less events expected, from minus infinity to 1; their sum is 0.

    Parameters
    ----------
    model : CoxModel
    event : ndarray of shape (n_patients,)
        Of the training rows.
    """
    return event - model.sums_.expected


def deviance(model: CoxModel, event: NDArray[np.bool_]) -> FloatArray:
    """Return the martingale residuals made more symmetric; large values fit badly."""
    expected = model.sums_.expected
    logarithm = np.log(np.where(event, expected, 1.0))  # 0 for the censored
    residual = martingale(model, event)
    inside = np.maximum(-2 * (residual + logarithm), 0.0)  # rounding can leave a tiny negative
    return np.sign(residual) * np.sqrt(inside)


def dfbeta(model: CoxModel) -> FloatArray:
    """Return how each row moves each coefficient, of shape (n_patients, n_terms).

    Approximately the coefficients less those of a fit without the row; NaN with a penalty.
    """
    found: FloatArray = model.sums_.score_residuals @ model.information_variance_
    return found

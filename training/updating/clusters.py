"""Robust score tests of the closed test's hypotheses, where patients have repeated rows.

A likelihood ratio takes rows as independent. The score of a hypothesis is a sum over rows whatever
their dependence, and its variance follows from its sums over patients. Sources: Lin & Wei, JASA 84
(1989) 1074, doi:10.1080/01621459.1989.10478874; Boos, The American Statistician 46 (1992) 327,
doi:10.1080/00031305.1992.10475921 for hypotheses with parameters left free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.cox.fit import CoefficientFit
from training.cox.hypotheses import ChiSquare, quadratic
from training.cox.model import cluster_sums

__all__ = ["score_test_of_coefficients", "score_test_of_direction", "score_test_of_original"]

FloatArray = NDArray[np.float64]


def score_test_of_original(
    columns: FloatArray,
    exposure: FloatArray,
    counted: NDArray[np.bool_],
    cluster: NDArray[np.int64],
) -> ChiSquare:
    """Test that the predicted hazards need no factor exp(intercept of the interval + columns c).

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_terms)
        Deviations from the mean, of like size; none for the intercepts alone.
    exposure, counted : ndarray of shape (n_rows, n_intervals)
        As in `closed_test`.
    cluster : ndarray of shape (n_rows,)
        The patient of each row.
    """
    beyond = counted - exposure
    score = np.hstack([beyond, columns * beyond.sum(axis=1)[:, None]])
    return _of_sums(cluster_sums(score, cluster))


def score_test_of_coefficients(
    fit: CoefficientFit, coef: FloatArray, cluster: NDArray[np.int64]
) -> ChiSquare:
    """Test that these are the coefficients, the baseline hazard free.

    R's `coxph` with `cluster`, from `init` and in no step, prints it as `rscore`.
    """
    at: FloatArray = np.asarray(np.linalg.solve(fit.basis, coef), dtype=np.float64)
    sums = fit.orthonormal.sums(at)
    return _of_sums(cluster_sums(sums.score_residuals, cluster))


def score_test_of_direction(
    fit: CoefficientFit, coef: FloatArray, slope: float, cluster: NDArray[np.int64]
) -> ChiSquare:
    """Test that the coefficients are a multiple of these.

    The parts of the score that a change of direction would bring, with those of the multiple taken
    out by the information.

    Parameters
    ----------
    fit : CoefficientFit
    coef : ndarray of shape (n_terms,)
    slope : float
        The likeliest multiple.
    cluster : ndarray of shape (n_rows,)
    """
    along: FloatArray = np.asarray(np.linalg.solve(fit.basis, coef), dtype=np.float64)
    sums = fit.orthonormal.sums(slope * along)
    across = np.linalg.svd(along[None])[2][1:]  # orthonormal to the coefficients
    change = across @ np.linalg.inv(sums.information)
    return _of_sums(cluster_sums(sums.score_residuals, cluster) @ change.T)


def _of_sums(sums: FloatArray) -> ChiSquare:
    """Return the test that the sums over clusters, (n_clusters, k), are around 0."""
    return quadratic(sums.sum(axis=0), np.asarray(sums.T @ sums, dtype=np.float64))

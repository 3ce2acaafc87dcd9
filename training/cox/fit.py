"""The coefficients of a Cox model: centre, orthonormalise, refuse what has no answer, maximise.

The estimator, the refits of a validation and the refit of an update all come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.cox.checks import refuse_aliases, refuse_constants, refuse_no_maximum
from training.cox.firth import FirthProfile, maximise_firth
from training.cox.risk_sets import RiskSets, Ties
from training.cox.solver import Maximum, derivatives_at, maximise

__all__ = ["CoefficientFit", "Penalty", "fit_coefficients"]

FloatArray = NDArray[np.float64]

Penalty = float | Literal["firth"]
"""Strength of a ridge, 0 for none, or Firth's penalty."""


@dataclass(frozen=True)
class CoefficientFit:
    """Coefficients at the maximum, and what an inference about them starts from.

    Attributes
    ----------
    coef : ndarray of shape (n_terms,)
        Per unit of each term.
    center : ndarray of shape (n_terms,)
        Mean of the design.
    sets : RiskSets
        Of the deviations from it.
    maximum : Maximum
        In the coordinates of the iteration.
    orthonormal : RiskSets
        In these coordinates.
    basis : ndarray of shape (n_terms, n_terms)
        `coef` is `basis` times the coordinates.
    profile : FirthProfile or None
        Of Firth's penalised likelihood, where that was maximised.
    """

    coef: FloatArray
    center: FloatArray
    sets: RiskSets
    maximum: Maximum
    orthonormal: RiskSets
    basis: FloatArray
    profile: FirthProfile | None = None

    def variance(self) -> FloatArray:
        """Return the inverse of the information, of shape (n_terms, n_terms).

        It is inverted in the coordinates of the iteration, where it is well-conditioned: the parts
        of a spline are nearly collinear, and in their own units half of the digits would be lost.
        """
        _, _, information = self.orthonormal.derivatives(self.maximum.coef)
        root = self.basis @ np.linalg.inv(np.linalg.cholesky(information)).T
        return np.asarray(root @ root.T, dtype=np.float64)


def fit_coefficients(
    design: FloatArray,
    time: FloatArray,
    event: NDArray[np.bool_],
    *,
    names: Sequence[str],
    ties: Ties = "efron",
    penalty: Penalty = 0.0,
    start: FloatArray | None = None,
    n_iter: int = 50,
    tol: float = 1e-10,
) -> CoefficientFit:
    """Return the coefficients that maximise the partial likelihood, or a penalised one.

    Parameters
    ----------
    design : ndarray of shape (n_patients, n_terms)
    time, event : ndarray of shape (n_patients,)
    names : sequence of str
        Of the terms, for error messages.
    ties : {"efron", "breslow"}
    penalty : float or "firth"
        Ridge: half of it times the sum of the squared coefficients, each per standard deviation of
        its term, is taken from the log partial likelihood. Firth's: see `firth`.
    start : ndarray of shape (n_terms,), optional
        Coefficients near which the maximum is sought; 0 by default.
    n_iter, tol
        As in `maximise`.

    Raises
    ------
    ModelError
        If a term is constant or an alias of others, or the likelihood has no maximum.

    Notes
    -----
    Without a ridge the iteration runs on the orthonormal columns of a QR decomposition, so that
    nearly collinear terms, as the parts of a spline are, cost no digits. A ridge is of the
    standardised terms, and runs on those.
    """
    center = design.mean(axis=0)
    Z = design - center
    scale = Z.std(axis=0)
    scale[scale <= 1e-10 * np.abs(design).max(axis=0)] = 0.0  # rounding is all that varies
    refuse_constants(scale, names)
    if penalty and penalty != "firth":
        basis, columns = np.diag(1 / scale), Z / scale
    else:
        q, r = np.linalg.qr(Z / scale)
        refuse_aliases(r, center, scale, names)
        root_n = np.sqrt(len(Z))
        basis, columns = np.linalg.inv(r) * root_n / scale[:, None], q * root_n
    solved = RiskSets(columns, time, event, ties)
    near: FloatArray | None = None
    if start is not None and start.shape == scale.shape:
        near = np.asarray(np.linalg.solve(basis, start), dtype=np.float64)
    profile = None
    if penalty == "firth":
        best = maximise_firth(solved, near)
        at_start = derivatives_at(solved, np.zeros_like(best.coef))
        maximum = Maximum(best.coef, True, best.iterations, at_start, np.zeros_like(best.coef))
        profile = FirthProfile(solved, basis, best)
    else:
        maximum = maximise(solved, penalty, start=near, n_iter=n_iter, tol=tol)
    if not maximum.converged:
        refuse_no_maximum(design, event, basis @ maximum.step, names)
    sets = solved.of_covariates(Z)
    return CoefficientFit(basis @ maximum.coef, center, sets, maximum, solved, basis, profile)

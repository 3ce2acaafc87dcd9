"""The maximum of the partial likelihood, with or without a ridge, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cox.risk_sets import RiskSets

__all__ = ["Derivatives", "Maximum", "maximise"]

FloatArray = NDArray[np.float64]

HALVINGS = 30
"""A step halved so often is rounding: the function cannot be raised any more."""


@dataclass(frozen=True)
class Derivatives:
    """The log partial likelihood less its penalty, and its derivatives, the second negated."""

    loglik: float
    gradient: FloatArray
    information: FloatArray


@dataclass(frozen=True)
class Maximum:
    """Where the iteration ended.

    Attributes
    ----------
    coef : ndarray of shape (n_terms,)
    converged : bool
        Whether the last step was within the tolerance.
    iterations : int
    at_start : Derivatives
    """

    coef: FloatArray
    converged: bool
    iterations: int
    at_start: Derivatives


def maximise(
    sets: RiskSets,
    penalty: float = 0.0,
    start: FloatArray | None = None,
    n_iter: int = 50,
    tol: float = 1e-10,
) -> Maximum:
    """Return the coefficients that maximise the log partial likelihood less its penalty.

    Parameters
    ----------
    sets : RiskSets
        With standardised covariates, so that all columns ask for steps of like size, and the
        penalty `penalty / 2 * sum(coef ** 2)` treats all alike.
    penalty : float
    start : ndarray of shape (n_terms,), optional
        Coefficients to start from; 0 as in R's `coxph` by default.
    n_iter : int
        Most iterations.
    tol : float
        The iteration ends when the Newton step, squared and in units of the standard errors, is
        below it. The step is still taken: since steps shrink quadratically, what remains is about
        `tol` of a standard error.

    Notes
    -----
    A step that lowers the likelihood is halved until it does not, as in R's `coxph`.
    """
    coef = np.zeros(len(sets.W)) if start is None else start.copy()
    # A step on the way to infinity may overflow; it is then halved, or the iteration gives up.
    with np.errstate(all="ignore"):
        here = at_start = _at(sets, coef, penalty)
        for iteration in range(1, n_iter + 1):
            try:
                step = np.linalg.solve(here.information, here.gradient)
            except np.linalg.LinAlgError:
                return Maximum(coef, False, iteration, at_start)
            decrement = float(step @ here.gradient)
            if not -tol < decrement < np.inf:  # no maximum ahead, or not a number
                return Maximum(coef, False, iteration, at_start)
            if decrement < tol:
                return Maximum(coef + step, True, iteration, at_start)
            for _ in range(HALVINGS):
                there = _at(sets, coef + step, penalty)
                if there.loglik >= here.loglik:
                    break
                step = step / 2
            else:
                return Maximum(coef, False, iteration, at_start)
            coef, here = coef + step, there
    return Maximum(coef, False, n_iter, at_start)


def _at(sets: RiskSets, coef: FloatArray, penalty: float) -> Derivatives:
    loglik, gradient, information = sets.derivatives(coef)
    return Derivatives(
        loglik - penalty / 2 * float(coef @ coef),
        gradient - penalty * coef,
        information + penalty * np.eye(len(coef)),
    )

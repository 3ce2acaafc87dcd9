"""The maximum of the partial likelihood, with or without a ridge, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cox.risk_sets import RiskSets

__all__ = ["Derivatives", "Maximum", "derivatives_at", "maximise"]

FloatArray = NDArray[np.float64]

HALVINGS = 30
"""A step halved so often is rounding: the function cannot be raised any more."""

ROUNDING = 1e-13
"""Of the log likelihood: a step that lowers it by less is not known to lower it."""

LONGEST = 5.0
"""Largest change of anybody's linear predictor in one step. A longer one may raise the likelihood
and still land where one patient outweighs all others, and the information is rounding."""

SETTLED = 1e-4
"""Of the step, squared and in units of the standard errors: little is left to gain."""

DIVERGING = 0.5
"""Change of somebody's linear predictor by a step with little left to gain, from which there is no
maximum. On the way to a maximum at infinity every step changes one by about 1, however little the
likelihood gains; near a finite one only a predictor with a standard error of 50 would change so."""

FLAT = 1e-12
"""Information in the direction that has least, of that which has most: below it the likelihood is
the same everywhere along the direction, as where two groups are never at risk together."""


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
        Whether the last step was within the tolerance, and changed nobody's linear predictor much.
    iterations : int
    at_start : Derivatives
    step : ndarray of shape (n_terms,)
        The last step; where there is no maximum, the direction in which the likelihood still rises.
    """

    coef: FloatArray
    converged: bool
    iterations: int
    at_start: Derivatives
    step: FloatArray


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
        With covariates of like size, orthonormal or standardised: the penalty,
        `penalty / 2 * sum(coef ** 2)`, treats all alike.
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
    A step that lowers the likelihood is halved until it does not, as in R's `coxph`. One that
    would change somebody's linear predictor by more than `LONGEST` is shortened to that.
    """
    coef = np.zeros(len(sets.W)) if start is None else start.copy()
    step: FloatArray = np.zeros_like(coef)
    # A step on the way to infinity may overflow; it is then halved, or the iteration gives up.
    with np.errstate(all="ignore"):
        here = at_start = derivatives_at(sets, coef, penalty)
        for iteration in range(1, n_iter + 1):
            try:
                step = np.asarray(np.linalg.solve(here.information, here.gradient))
            except np.linalg.LinAlgError:
                return Maximum(coef, False, iteration, at_start, _flattest(here.information)[1])
            decrement = float(step @ here.gradient)
            if not -tol < decrement < np.inf:  # no maximum ahead, or not a number
                return Maximum(coef, False, iteration, at_start, step)
            reach = float(np.abs(step @ sets.W).max())
            if decrement < SETTLED and reach > DIVERGING:
                return Maximum(coef, False, iteration, at_start, step)
            if decrement < tol:
                share, direction = _flattest(here.information)
                if share < FLAT:
                    return Maximum(coef, False, iteration, at_start, direction)
                return Maximum(coef + step, True, iteration, at_start, step)
            whole = step
            step = step * min(1.0, LONGEST / reach)
            for _ in range(HALVINGS):
                there = derivatives_at(sets, coef + step, penalty)
                if there.loglik >= here.loglik - ROUNDING * abs(here.loglik):
                    break
                step = step / 2
            else:
                return Maximum(coef, False, iteration, at_start, whole)
            coef, here = coef + step, there
    return Maximum(coef, False, n_iter, at_start, step)


def derivatives_at(sets: RiskSets, coef: FloatArray, penalty: float = 0.0) -> Derivatives:
    """Return the log partial likelihood less a ridge, and its derivatives."""
    loglik, gradient, information = sets.derivatives(coef)
    return Derivatives(
        loglik - penalty / 2 * float(coef @ coef),
        gradient - penalty * coef,
        information + penalty * np.eye(len(coef)),
    )


def _flattest(information: FloatArray) -> tuple[float, FloatArray]:
    """Return the direction with least information, and its share of that with most."""
    if not np.isfinite(information).all():
        return 0.0, np.ones(len(information))
    values, vectors = np.linalg.eigh(information)
    return float(values[0] / values[-1]) if values[-1] > 0 else 0.0, vectors[:, 0]

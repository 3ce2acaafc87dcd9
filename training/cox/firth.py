"""Firth's penalised likelihood: finite estimates where the partial likelihood has no maximum.

Half the logarithm of the information's determinant is added to the log partial likelihood. It falls
without end where the likelihood rises without end, and takes away the bias of first order.

Sources: Firth, Biometrika 80 (1993) 27; Heinze & Schemper, Biometrics 57 (2001) 114, who show that
intervals and tests should come from the profile of the penalised likelihood: near a separation it
is too skewed for Wald's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import null_space
from scipy.optimize import brentq

from riskscore.errors import ModelError
from training.cox.hypotheses import ChiSquare, chi_square
from training.cox.risk_sets import RiskSets
from training.cox.solver import HALVINGS, ROUNDING

__all__ = ["FirthMaximum", "FirthProfile", "maximise_firth"]

FloatArray = NDArray[np.float64]

N_ITER = 100
TOL = 1e-18
"""Of the step, squared and in units of the standard errors."""

TOL_OF_PROFILE = 1e-13
"""The same, where only the height of the maximum is asked for: it is as exact as half of this."""

FARTHEST = 60.0
"""Steps of a standard error in which a bound is sought."""


@dataclass(frozen=True)
class FirthMaximum:
    """Where the iteration ended.

    Attributes
    ----------
    coef : ndarray of shape (n_terms,)
    penalised : float
        Log partial likelihood plus half the log determinant of the information.
    iterations : int
    """

    coef: FloatArray
    penalised: float
    iterations: int


def maximise_firth(
    sets: RiskSets,
    start: FloatArray | None = None,
    free: FloatArray | None = None,
    tol: float = TOL,
) -> FirthMaximum:
    """Return the coefficients that maximise the penalised likelihood.

    Parameters
    ----------
    sets : RiskSets
        With orthonormal covariates.
    start : ndarray of shape (n_terms,), optional
        0 by default.
    free : ndarray of shape (n_terms, n_free), optional
        Orthonormal directions in which to move from `start`; all by default.
    tol : float

    Raises
    ------
    ModelError
        If the information is singular, or the iteration does not end.

    Notes
    -----
    Steps are those of the modified score and the information, as in `coxphf`, but that the
    penalty's part of the curvature is learnt from the steps: with one event it is as large as the
    information, and steps without it never end. A step that lowers the penalised likelihood is
    halved.
    """
    coef = np.zeros(len(sets.W)) if start is None else start.copy()
    with np.errstate(all="ignore"):  # a step that is too long may overflow; it is then halved
        here, gradient, information = _at(sets, coef)
        if not np.isfinite(here):
            raise ModelError(
                "a term says nothing about any event: nobody in whom it differs is still followed "
                "when one happens; merge its levels, or leave the predictor out with --predictors"
            )
        moves = np.eye(len(coef)) if free is None else free
        curvature = moves.T @ information @ moves
        for iteration in range(1, N_ITER + 1):
            along = np.asarray(np.linalg.solve(curvature, moves.T @ gradient), dtype=np.float64)
            step = moves @ along
            if float(along @ curvature @ along) < tol:
                return FirthMaximum(coef + step, here, iteration)
            for _ in range(HALVINGS):
                there, gradient_there, information_there = _at(sets, coef + step)
                if there >= here - ROUNDING * abs(here):
                    break
                step, along = step / 2, along / 2
            else:
                break
            of_likelihood = moves.T @ (information_there - information) @ moves
            bend = moves.T @ (gradient - gradient_there)
            coef, here = coef + step, there
            gradient, information = gradient_there, information_there
            curvature = _bent(curvature + of_likelihood, along, bend, moves.T @ information @ moves)
    raise ModelError(
        "Firth's penalised likelihood was not maximised; use fewer predictors with --predictors"
    )


class FirthProfile:
    """Tests and intervals from the profile of the penalised likelihood.

    Parameters
    ----------
    sets : RiskSets
        With orthonormal covariates.
    basis : ndarray of shape (n_terms, n_terms)
        The terms' coefficients are `basis` times the coordinates of the covariates.
    maximum : FirthMaximum
    """

    def __init__(self, sets: RiskSets, basis: FloatArray, maximum: FirthMaximum) -> None:
        self.sets = sets
        self.basis = basis
        self.maximum = maximum
        self._intervals: dict[tuple[bytes, float], tuple[float, float]] = {}

    def test(self, directions: FloatArray) -> ChiSquare:
        """Return the likelihood-ratio test that some combinations of coefficients are all 0.

        Parameters
        ----------
        directions : ndarray of shape (n_combinations, n_terms)
        """
        fixed = np.atleast_2d(directions) @ self.basis
        free = null_space(fixed)
        q, _ = np.linalg.qr(fixed.T)
        start = self.maximum.coef - q @ (q.T @ self.maximum.coef)
        restricted = self._restricted(start, free)
        statistic = max(2 * (self.maximum.penalised - restricted.penalised), 0.0)
        return chi_square(statistic, len(fixed))

    def interval(self, direction: FloatArray, se: float, level: float) -> tuple[float, float]:
        """Return the bounds of a combination of coefficients.

        Parameters
        ----------
        direction : ndarray of shape (n_terms,)
        se : float
            Its standard error: the scale of the search.
        level : float
        """
        key = direction.tobytes(), level
        if key not in self._intervals:
            self._intervals[key] = self._interval(direction @ self.basis, se, level)
        return self._intervals[key]

    def _interval(self, d: FloatArray, se: float, level: float) -> tuple[float, float]:
        free = null_space(d[None, :])
        # Where the others go when this combination moves, were the likelihood quadratic.
        along = np.linalg.solve(_at(self.sets, self.maximum.coef)[2], d)
        along /= d @ along
        allowed = float(stats.chi2.ppf(level, 1))
        bounds = []
        for sign in (-1.0, 1.0):
            at = self.maximum.coef

            def beyond(steps: float, sign: float = sign) -> float:
                """Return the signed root of the loss in likelihood, less the allowed one."""
                nonlocal at
                target = self.maximum.coef @ d + sign * steps * se
                start = at + along * (target - at @ d)
                restricted = self._restricted(start, free)
                at = restricted.coef
                lost = max(2 * (self.maximum.penalised - restricted.penalised), 0.0)
                return float(np.sqrt(lost) - np.sqrt(allowed))

            far = float(stats.norm.ppf(0.5 + level / 2))
            near = 0.0
            while beyond(far) < 0:
                near, far = far, 1.5 * far
                if far > FARTHEST:
                    raise ModelError("the profile of Firth's penalised likelihood has no bound")
            steps = brentq(beyond, near, far, xtol=1e-8, rtol=1e-8)
            bounds.append(float(self.maximum.coef @ d + sign * steps * se))
        return bounds[0], bounds[1]

    def _restricted(self, start: FloatArray, free: FloatArray) -> FirthMaximum:
        if free.shape[1] == 0:
            return FirthMaximum(start, _at(self.sets, start)[0], 0)
        return maximise_firth(self.sets, start, free, tol=TOL_OF_PROFILE)


def _bent(
    curvature: FloatArray, step: FloatArray, bend: FloatArray, information: FloatArray
) -> FloatArray:
    """Return the curvature that a step has shown (BFGS); the information where it shows none.

    `bend` is by how much the gradient fell over the step.
    """
    along = curvature @ step
    if not (step @ bend > 0 and step @ along > 0):
        return information
    shown = (
        curvature - np.outer(along, along) / (step @ along) + np.outer(bend, bend) / (step @ bend)
    )
    return shown if np.linalg.eigvalsh(shown)[0] > 0 else information


def _at(sets: RiskSets, coef: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return the penalised log likelihood, its gradient, and the information."""
    loglik, gradient, information = sets.derivatives(coef)
    sign, log_determinant = np.linalg.slogdet(information)
    if not (sign > 0 and np.isfinite(log_determinant)):
        return -np.inf, gradient, information
    slope = sets.slope_of_information(coef, np.linalg.inv(information).astype(np.float64))
    return loglik + float(log_determinant) / 2, gradient + slope / 2, information

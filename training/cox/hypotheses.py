"""Tests of hypotheses, and the table of coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["ChiSquare", "Coefficient", "chi_square", "quadratic", "ratios", "wald"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Coefficient:
    """One row of a Cox table; `lower` and `upper` bound the hazard ratio at 95 %."""

    term: str
    coef: float
    se: float
    hazard_ratio: float
    lower: float
    upper: float
    p: float


@dataclass(frozen=True)
class ChiSquare:
    """A test whose statistic is chi-squared with `df` degrees of freedom under its hypothesis."""

    chi_square: float
    df: int
    p: float


def chi_square(statistic: float, df: int) -> ChiSquare:
    """Return the test of a statistic."""
    return ChiSquare(float(statistic), df, float(stats.chi2.sf(statistic, df)))


def quadratic(values: FloatArray, variance: FloatArray) -> ChiSquare:
    """Return the test that `values` are all 0: Wald's of coefficients, the score's of a score.

    Parameters
    ----------
    values : ndarray of shape (k,)
    variance : ndarray of shape (k, k)
        Of lower rank where the data cannot tell some directions; the test then has its rank's
        degrees of freedom.
    """
    try:
        return chi_square(float(values @ np.linalg.solve(variance, values)), len(values))
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(variance, hermitian=True)
        return chi_square(float(values @ inverse @ values), int(np.linalg.matrix_rank(variance)))


def wald(name: str, coef: float, se: float, level: float = 0.95) -> Coefficient:
    """Return a coefficient with Wald's interval and P value."""
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    p = float(2 * stats.norm.sf(abs(coef / se)))
    return Coefficient(name, coef, se, *ratios(coef, coef - half, coef + half), p)


def ratios(coef: float, lower: float, upper: float) -> tuple[float, float, float]:
    """Return hazard ratios; infinity beyond what a number can hold, as of a spline's part."""
    with np.errstate(over="ignore"):
        return float(np.exp(coef)), float(np.exp(lower)), float(np.exp(upper))

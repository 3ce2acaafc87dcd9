"""A Cox model's own numbers: its linear predictor, and the joint variance of two curves.

The exported graph answers for one patient at a time; a contrast between two needs the covariance
that both share, which `inference.json` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.design import Term, design_matrix, linear_predictor, read_terms
from riskscore.study import Predictor

__all__ = ["CoxEquation"]

FloatArray = NDArray[np.float64]


class CoxEquation:
    """The equation of a Cox model, from its `inference.json`.

    Parameters
    ----------
    inference : mapping
    predictors : tuple of Predictor
        The model's, in the order of its inputs.

    Attributes
    ----------
    terms : tuple of Term
    coef : ndarray of shape (n_terms,)
    covariance : ndarray of shape (n_terms, n_terms) or None
        None for a model with a penalty, which has no standard errors.
    """

    def __init__(self, inference: Mapping[str, Any], predictors: tuple[Predictor, ...]) -> None:
        rows, baseline = inference["coefficients"], inference["baseline"]
        self.predictors = predictors
        self.terms: tuple[Term, ...] = read_terms(rows, predictors)
        self.coef: FloatArray = np.array([row["coef"] for row in rows], dtype=float)
        covariance = inference["covariance"]
        self.covariance = None if covariance is None else np.array(covariance, dtype=float)
        self._center: FloatArray = np.array([baseline["at"][t.name] for t in self.terms])
        self._times: FloatArray = np.array(baseline["times"], dtype=float)
        self._hazard = _from_zero(baseline["cumulative_hazard"])
        self._variance = _from_zero(baseline["hazard_variance"])
        self._mean = _from_zero(baseline["hazard_mean"])

    def linear_predictor(self, X: FloatArray) -> FloatArray:
        """Return the risk score of checked input, of shape (n_patients,); higher is worse."""
        return linear_predictor(design_matrix(X, self.predictors, self.terms), self.coef)

    def part(self, X: FloatArray, column: int) -> FloatArray:
        """Return what one predictor adds to the risk score, of shape (n_patients,)."""
        mine = np.array([term.column == column for term in self.terms])
        design = design_matrix(X, self.predictors, self.terms)
        return linear_predictor(design[:, mine], self.coef[mine])

    @property
    def center_score(self) -> float:
        """The risk score of the patient whose baseline hazard is kept."""
        return float(linear_predictor(self._center[None], self.coef)[0])

    def cumulative_hazard(self, times: FloatArray) -> FloatArray:
        """Return the baseline's, of the patient at the training mean of every term."""
        found: FloatArray = self._hazard[1 + curves.positions(self._times, times)]
        return found

    def survival(self, X: FloatArray, times: FloatArray) -> FloatArray:
        """Return survival computed from the equation, of shape (n_patients, n_times)."""
        return np.exp(-self._relative(X)[1][:, None] * self.cumulative_hazard(times))

    def difference(
        self, X: FloatArray, reference: FloatArray, times: FloatArray, level: float = 0.95
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return survival of `X` less that of `reference`, with its interval.

        Parameters
        ----------
        X, reference : ndarray of shape (n_patients, n_predictors)
            Checked input, compared row by row.
        times : ndarray of shape (n_times,)
        level : float
            Of confidence.

        Returns
        -------
        difference, lower, upper : ndarray of shape (n_patients, n_times)
            NaN bounds where the model has no covariance.

        Notes
        -----
        Delta method on the joint distribution of the coefficients and the baseline hazard, both
        shared by the two patients; symmetric, and cut at -1 and 1. The variance of a cumulative
        hazard r H and the covariance of two are those of R's `survfit` on a `coxph` object, with
        d = z H - (integral of the risk sets' means): cov = r1 r2 (d1' V d2 + var H). Source:
        Therneau & Grambsch, Modeling Survival Data (2000), section 10.2.
        """
        position = 1 + curves.positions(self._times, times)
        hazard = self._hazard[position]
        first, second = self._curve(X, position), self._curve(reference, position)
        gained = first[0] - second[0]
        if self.covariance is None:
            none = np.full_like(gained, np.nan)
            return gained, none, none
        # Derivatives of the difference with respect to the coefficients and to the hazard.
        by_coef = second[1][..., None] * second[2] - first[1][..., None] * first[2]
        by_hazard = second[1] - first[1]
        variance = np.einsum("ntq,qr,ntr->nt", by_coef, self.covariance, by_coef)
        variance += by_hazard**2 * self._variance[position]
        half = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(np.maximum(variance, 0.0))
        half[:, hazard == 0] = 0.0
        return gained, np.maximum(gained - half, -1.0), np.minimum(gained + half, 1.0)

    def _relative(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return each patient's deviation from the mean design, and relative hazard."""
        design = design_matrix(X, self.predictors, self.terms)
        score = linear_predictor(design, self.coef)
        return design - self._center, np.exp(score - self.center_score)

    def _curve(
        self, X: FloatArray, position: NDArray[np.intp]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return survival, survival times relative hazard, and d of every patient and time."""
        z, risk = self._relative(X)
        survival = np.exp(-risk[:, None] * self._hazard[position])
        d = z[:, None, :] * self._hazard[position][:, None] - self._mean[position]
        return survival, survival * risk[:, None], d


def _from_zero(values: Any) -> FloatArray:
    """Return values at the event times, after the zero that holds before the first."""
    found = np.asarray(values, dtype=float)
    return np.concatenate([np.zeros_like(found[:1]), found])

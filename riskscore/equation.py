"""A Cox model's own numbers: its linear predictor, and the joint variance of two curves.

The exported graph answers for one patient at a time; a contrast between two needs the covariance
that both share, which `inference.json` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskscore import curves
from riskscore.design import Term, design_matrix, linear_predictor, read_terms, row_products
from riskscore.difference import difference_interval, survival_difference
from riskscore.study import Predictor

__all__ = ["CoxEquation", "LogHazards"]

FloatArray = NDArray[np.float64]


class LogHazards(NamedTuple):
    """Two patients' hazards on the logarithmic scale, each array of shape (n_patients, n_times).

    Attributes
    ----------
    reference : ndarray
        Log cumulative hazard of the one; minus infinity before the first event.
    effect : ndarray
        Log hazard ratio of the other to it.
    variance, covariance, effect_variance : ndarray
        Of the first, of both, and of the second; NaN where the model has no covariance.
    """

    reference: FloatArray
    effect: FloatArray
    variance: FloatArray
    covariance: FloatArray
    effect_variance: FloatArray


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
        self._log_covariance, self._log_variance = _of_log_hazard(baseline, self.covariance)

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
        The log cumulative hazard under `reference` and the log hazard ratio are jointly normal, by
        the joint variance of coefficients and baseline; the bounds are quantiles of the difference
        under that distribution (see `riskscore.difference`). They exclude 0 exactly where the
        interval of the hazard ratio excludes 1.
        """
        of_log = self.log_hazards(X, reference, times)
        gained = survival_difference(of_log.reference, of_log.effect)
        lower, upper = np.zeros_like(gained), np.zeros_like(gained)
        if self.covariance is None:
            lower[:] = upper[:] = np.nan
            return gained, lower, upper
        begun = np.isfinite(of_log.reference)  # nobody's survival differs before the first event
        lower[begun], upper[begun] = difference_interval(*(v[begun] for v in of_log), level=level)
        return gained, lower, upper

    def log_hazards(self, X: FloatArray, reference: FloatArray, times: FloatArray) -> LogHazards:
        """Return the log cumulative hazard of `reference`, the log hazard ratio, their variance."""
        position = 1 + curves.positions(self._times, times)
        z, risk = self._relative(reference)
        d = design_matrix(X, self.predictors, self.terms) - self._center - z
        with np.errstate(divide="ignore"):
            log_hazard = np.log(risk[:, None] * self._hazard[position])
        effect = np.broadcast_to(linear_predictor(d, self.coef)[:, None], log_hazard.shape)
        if self.covariance is None:
            none = np.full_like(log_hazard, np.nan)
            return LogHazards(log_hazard, effect, none, none, none)
        shared, own = self._log_covariance[position].T, self._log_variance[position]
        zV, dV = row_products(z, self.covariance), row_products(d, self.covariance)
        of_z, of_both, of_d = (
            linear_predictor(products, np.ones(len(self.coef)))[:, None]
            for products in (zV * z, dV * z, dV * d)
        )
        return LogHazards(
            log_hazard,
            effect,
            of_z + 2 * row_products(z, shared) + own,
            of_both + row_products(d, shared),
            np.broadcast_to(of_d, log_hazard.shape),
        )

    def _relative(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return each patient's deviation from the mean design, and relative hazard."""
        design = design_matrix(X, self.predictors, self.terms)
        score = linear_predictor(design, self.coef)
        return design - self._center, np.exp(score - self.center_score)


def _of_log_hazard(
    baseline: Mapping[str, Any], covariance: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return the log baseline hazard's covariance with the coefficients, and its variance.

    A model of repeated rows keeps them; one of independent rows keeps what they follow from: the
    baseline hazard A, its variance w at known coefficients, and a, the integral of the risk sets'
    mean covariates over it, so that they are -Va/A and (w + a'Va)/A^2, as in R's `survfit`.
    """
    mean, own = _from_zero(baseline["hazard_mean"]), _from_zero(baseline["hazard_variance"])
    if covariance is None:
        return np.full_like(mean, np.nan), np.full_like(own, np.nan)
    if "log_hazard_variance" in baseline:
        kept = (baseline["log_hazard_covariance"], baseline["log_hazard_variance"])
        return _from_zero(kept[0]), _from_zero(kept[1])
    hazard = _from_zero(baseline["cumulative_hazard"])
    hazard[0] = 1.0  # where it is still 0 so is everything else
    shared = -(mean @ covariance) / hazard[:, None]
    return shared, (own / hazard - np.einsum("tq,tq->t", shared, mean)) / hazard


def _from_zero(values: Any) -> FloatArray:
    """Return values at the event times, after the zero that holds before the first."""
    array = np.asarray(values, dtype=float)
    return np.concatenate([np.zeros_like(array[:1]), array])

"""Cox's proportional hazards with what scikit-survival leaves out: variance, Efron baseline, bands.

The estimator is scikit-survival's; this adds, from one pass over the risk sets, the information
matrix, the cluster-robust variance and the pieces of the individual curve's variance, as R's
`coxph` and `survfit` define them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import check_array_survival

from riskscore.errors import ModelError

__all__ = ["Coefficient", "CoxModel", "EfronPass", "efron_pass"]

FloatArray = NDArray[np.float64]

LARGEST = 15.0
"""Largest coefficient and standard error per standard deviation of a term that are believed: a
hazard ratio of 3 million. A maximum at infinity stops the solver beyond it."""


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
class EfronPass:
    """What one pass over the risk sets yields at given coefficients, with Efron's ties.

    Covariates are deviations from their mean, so that the baseline is of that patient.

    Attributes
    ----------
    times : ndarray of shape (n_event_times,)
        Distinct event times, ascending.
    loglik : float
        Log partial likelihood.
    information : ndarray of shape (n_terms, n_terms)
        Minus the second derivative of `loglik`.
    score_residuals : ndarray of shape (n_patients, n_terms)
        Each patient's part of the score; they sum to 0 at the maximum.
    hazard : ndarray of shape (n_event_times,)
        Cumulative baseline hazard.
    hazard_variance : ndarray of shape (n_event_times,)
        Variance of `hazard` at known coefficients.
    hazard_mean : ndarray of shape (n_event_times, n_terms)
        Integral of the risk sets' mean covariates over the baseline hazard.
    """

    times: FloatArray
    loglik: float
    information: FloatArray
    score_residuals: FloatArray
    hazard: FloatArray
    hazard_variance: FloatArray
    hazard_mean: FloatArray


def efron_pass(
    Z: FloatArray, time: FloatArray, event: NDArray[np.bool_], coef: FloatArray
) -> EfronPass:
    """Sum over the risk sets once, by sorting and cumulative sums.

    Parameters
    ----------
    Z : ndarray of shape (n_patients, n_terms)
        Design matrix, as deviations from its mean.
    time, event : ndarray of shape (n_patients,)
    coef : ndarray of shape (n_terms,)

    Notes
    -----
    Efron's approximation treats d tied deaths as d steps; step k sees the risk set less k/d of the
    dying. All sums run over these steps. Source: Efron, JASA 72 (1977) 557; Therneau & Grambsch,
    Modeling Survival Data (2000), section 3.3.
    """
    risk = np.exp(Z @ coef)
    times, position = np.unique(time[event], return_inverse=True)
    n_times = len(times)
    deaths = np.bincount(position, minlength=n_times)

    # Each patient is at risk at the event times up to its own: the last of them, or -1.
    last = np.searchsorted(times, time, side="right") - 1
    known = last >= 0
    risk_sum = _at_risk(risk, last, known, n_times)
    risk_mean = np.column_stack([_at_risk(risk * z, last, known, n_times) for z in Z.T])
    dying = np.bincount(position, risk[event], n_times)
    dying_mean = np.column_stack([np.bincount(position, (risk * z)[event], n_times) for z in Z.T])

    # One entry a death: its event time, and the fraction of the tied deaths already taken away.
    step = np.repeat(np.arange(n_times), deaths)
    first = np.concatenate(([0], np.cumsum(deaths)[:-1]))
    fraction = (np.arange(len(step)) - first[step]) / deaths[step]
    total = risk_sum[step] - fraction * dying[step]
    mean = (risk_mean[step] - fraction[:, None] * dying_mean[step]) / total[:, None]
    hazard = 1.0 / total

    def by_time(values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, first, axis=0)

    cumulative = np.cumsum(by_time(hazard))
    hazard_mean = np.cumsum(by_time(hazard[:, None] * mean), axis=0)
    taken = by_time(fraction * hazard)
    taken_mean = by_time((fraction * hazard)[:, None] * mean)

    # What each patient was exposed to; a death is exposed to its own tied steps only in part.
    exposure = np.where(known, cumulative[last], 0.0)
    exposure_mean = np.where(known[:, None], hazard_mean[last], 0.0)
    exposure[event] -= taken[position]
    exposure_mean[event] -= taken_mean[position]
    expected = risk * exposure
    information = (Z * expected[:, None]).T @ Z - mean.T @ mean
    residuals = risk[:, None] * exposure_mean - Z * expected[:, None]
    residuals[event] += Z[event] - (by_time(mean) / deaths[:, None])[position]
    return EfronPass(
        times=times,
        loglik=float((Z[event] @ coef).sum() - np.log(total).sum()),
        information=information,
        score_residuals=residuals,
        hazard=cumulative,
        hazard_variance=np.cumsum(by_time(hazard**2)),
        hazard_mean=hazard_mean,
    )


class CoxModel(BaseEstimator):  # type: ignore[misc]
    """scikit-survival's Cox model with Efron ties, and its inference and baseline hazard.

    Parameters
    ----------
    names : tuple of str
        Names of the terms, for error messages.
    n_iter, tol
        As in `CoxPHSurvivalAnalysis`; the tolerance is tight, so that the coefficients agree with
        R's to far more digits than are printed.

    Attributes
    ----------
    coef_ : ndarray of shape (n_terms,)
    center_ : ndarray of shape (n_terms,)
        Mean of the design; `efron_.hazard` is the baseline of that patient.
    variance_ : ndarray of shape (n_terms, n_terms)
        Of the coefficients: the inverse information, or the cluster-robust variance where `groups`
        were given.
    efron_ : EfronPass
    loglik_null_ : float
        Log partial likelihood without predictors.
    """

    def __init__(
        self, *, names: tuple[str, ...] = (), n_iter: int = 100, tol: float = 1e-12
    ) -> None:
        self.names = names
        self.n_iter = n_iter
        self.tol = tol

    def fit(self, X: FloatArray, y: NDArray[Any], groups: NDArray[np.int64] | None = None) -> Self:
        """Fit the coefficients, then the variance and the baseline.

        Parameters
        ----------
        X : ndarray of shape (n_patients, n_terms)
        y : structured array with an event and a time field
        groups : ndarray of shape (n_patients,), optional
            The cluster (patient) of each row, for the robust variance.

        Raises
        ------
        ModelError
            If the terms are collinear, or a coefficient runs away.
        """
        event, time = check_array_survival(X, y)
        time = time.astype(np.float64)
        self.center_ = X.mean(axis=0)
        Z = X - self.center_
        for k in range(Z.shape[1]):
            if np.linalg.matrix_rank(Z[:, : k + 1]) <= k:
                raise ModelError(
                    f"the predictors are collinear: {self._name(k)} is constant, or a combination "
                    "of those before it; leave one of them out with --predictors"
                )
        # In units of its standard deviation every column asks for steps of like size.
        scale = Z.std(axis=0)
        solver = CoxPHSurvivalAnalysis(ties="efron", n_iter=self.n_iter, tol=self.tol)
        try:
            # A coefficient that runs away overflows on its way; what it leaves is refused below.
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", ConvergenceWarning)
                fitted = solver.fit(Z / scale, y)
        except (ConvergenceWarning, ValueError, np.linalg.LinAlgError) as error:
            raise ModelError(
                f"the Cox model has no maximum that could be found: {error}"
            ) from error
        self.coef_: FloatArray = fitted.coef_ / scale
        self._refuse_runaway(np.abs(fitted.coef_))
        self.n_features_in_ = Z.shape[1]
        self.efron_ = efron_pass(Z, time, event, self.coef_)
        self.loglik_null_ = efron_pass(Z, time, event, np.zeros_like(self.coef_)).loglik
        inverse = np.linalg.inv(self.efron_.information)
        self.information_variance_ = inverse
        self.variance_ = inverse
        if groups is not None:
            _, cluster = np.unique(groups, return_inverse=True)
            sums = np.zeros((cluster.max() + 1, Z.shape[1]))
            np.add.at(sums, cluster, self.efron_.score_residuals)
            influence = sums @ inverse
            self.variance_ = influence.T @ influence
        self._refuse_runaway(np.sqrt(np.diag(inverse)) * scale)
        return self

    def _name(self, k: int) -> str:
        return self.names[k] if self.names else f"term {k + 1}"

    def _refuse_runaway(self, size: FloatArray) -> None:
        """Refuse coefficients, or their errors, that only a maximum at infinity explains."""
        worst = int(np.argmax(np.nan_to_num(size, nan=np.inf)))
        if not size[worst] < LARGEST:
            raise ModelError(
                f"the coefficient of {self._name(worst)} runs away: some group of patients has no "
                "event, or only events; leave the predictor out with --predictors, or merge its "
                "levels"
            )

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the risk score, the linear predictor; higher is worse."""
        return np.asarray(X) @ self.coef_

    def predict_curves(
        self, X: FloatArray, level: float = 0.95
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return survival and its bounds at `efron_.times`, each of shape (n_patients, n_times).

        The interval is pointwise, symmetric for log(-log survival), with the variance of R's
        `survfit` on a `coxph` object.
        """
        Z = np.asarray(X) - self.center_
        hazard = np.exp(Z @ self.coef_)[:, None] * self.efron_.hazard
        # d = integral of (z - mean of the risk set) over the baseline hazard.
        d = Z[:, None, :] * self.efron_.hazard[:, None] - self.efron_.hazard_mean
        variance = np.einsum("ntq,qr,ntr->nt", d, self.variance_, d) + self.efron_.hazard_variance
        ratio = stats.norm.ppf(0.5 + level / 2) * np.sqrt(variance) / self.efron_.hazard
        return (
            np.exp(-hazard),
            np.exp(-hazard * np.exp(ratio)),
            np.exp(-hazard * np.exp(-ratio)),
        )

    def coefficients(self, names: tuple[str, ...], level: float = 0.95) -> list[Coefficient]:
        """Return the table of coefficients, in the order of the design."""
        z = stats.norm.ppf(0.5 + level / 2)
        se = np.sqrt(np.diag(self.variance_))
        return [
            Coefficient(
                term=name,
                coef=float(b),
                se=float(s),
                hazard_ratio=float(np.exp(b)),
                lower=float(np.exp(b - z * s)),
                upper=float(np.exp(b + z * s)),
                p=float(2 * stats.norm.sf(abs(b / s))),
            )
            for name, b, s in zip(names, self.coef_, se, strict=True)
        ]


def _at_risk(
    values: FloatArray, last: NDArray[np.intp], known: NDArray[np.bool_], n_times: int
) -> FloatArray:
    """Sum `values` over the patients at risk at each event time."""
    leaving = np.bincount(last[known], values[known], n_times).astype(np.float64)
    return np.cumsum(leaving[::-1])[::-1]

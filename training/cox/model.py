"""The Cox model as an estimator: coefficients, variance, baseline, curves with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import BaseEstimator
from sksurv.util import check_array_survival

from riskscore.design import linear_predictor, row_products
from riskscore.errors import ModelError
from training.cox.baseline_variance import clustered, model_based
from training.cox.fit import CoefficientFit, Penalty, fit_coefficients
from training.cox.hypotheses import ChiSquare, Coefficient, chi_square, quadratic, ratios, wald
from training.cox.risk_sets import TIES, RiskSets, RiskSetSums, Ties

__all__ = ["SCALES", "CoxModel", "Scale", "cluster_sums"]

FloatArray = NDArray[np.float64]

Scale = Literal["log-log", "log", "plain"]
SCALES: tuple[Scale, ...] = ("log-log", "log", "plain")


class CoxModel(BaseEstimator):  # type: ignore[misc]
    """Cox's proportional hazards by maximum partial likelihood, or with a ridge penalty.

    Parameters
    ----------
    names : tuple of str
        Names of the terms, for error messages.
    ties : {"efron", "breslow"}
        How deaths at one time share a risk set; Efron's is R's default too.
    penalty : float or "firth"
        Ridge: half of it times the sum of the squared coefficients, each per standard deviation of
        its term, is taken from the log partial likelihood. With a ridge there are no standard
        errors: those of a shrunken estimate say nothing about its bias. Firth's penalised
        likelihood, which has a maximum where a term separates the patients, has intervals and P
        values of coefficients from its profile, unless rows are repeated: no robust variance of it
        is known. Its curves have no intervals.
    shrinkage : float
        Factor by which the coefficients at the maximum are multiplied before the baseline is found;
        1 leaves them. As with a penalty, there are no standard errors then.
    coef : tuple of float, optional
        Coefficients to keep: only the baseline is found, at them. They come from elsewhere, so
        there are no standard errors either.
    n_iter, tol
        As in `maximise`. The coefficients agree with R's to far more digits than are printed.

    Attributes
    ----------
    coef_ : ndarray of shape (n_terms,)
    center_ : ndarray of shape (n_terms,)
        Mean of the design; `sums_.hazard` is the baseline of that patient.
    variance_ : ndarray of shape (n_terms, n_terms)
        Of the coefficients: the inverse information, or the cluster-robust variance where `groups`
        were given. NaN with a penalty, Firth's too: Wald's intervals of curves held as few as 0.83
        of the true ones for patients whose level had hardly any events.
    information_variance_ : ndarray of shape (n_terms, n_terms)
        The inverse information; with Firth's penalty, at its maximum.
    baseline_variance_ : BaselineVariance
        Of the log baseline hazard, and its covariance with the coefficients; cluster-robust where
        `groups` were given. NaN with a penalty.
    sums_ : RiskSetSums
        The sums over the risk sets at the coefficients.
    loglik_null_ : float
        Log partial likelihood without predictors.
    tests_ : dict of str to ChiSquare
        That no term has an effect: "likelihood_ratio", "wald", "score" (for one category, the
        log-rank test), and with groups "robust_score". Wald's is robust with groups; the
        likelihood ratio and the plain score take rows for independent. Empty with a ridge. With
        Firth's penalty the ratio is that of the penalised likelihoods, and Wald's is not given.
    profile_ : FirthProfile or None
    n_iter_ : int
    """

    def __init__(
        self,
        *,
        names: tuple[str, ...] = (),
        ties: Ties = "efron",
        penalty: Penalty = 0.0,
        shrinkage: float = 1.0,
        coef: tuple[float, ...] | None = None,
        n_iter: int = 50,
        tol: float = 1e-10,
    ) -> None:
        self.names = names
        self.ties = ties
        self.penalty = penalty
        self.shrinkage = shrinkage
        self.coef = coef
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
            If the terms are collinear, a coefficient runs away, or there are too few clusters.
        """
        if self.ties not in TIES:
            raise ModelError(f"ties must be one of {', '.join(TIES)}, got {self.ties!r}")
        if self.penalty != "firth" and not 0 <= self.penalty < np.inf:
            rule = 'penalty must be 0 or a number above, or "firth"'
            raise ModelError(f"{rule}, got {self.penalty!r}")
        if not 0 < self.shrinkage < np.inf:
            raise ModelError(f"shrinkage must be a factor above 0, got {self.shrinkage!r}")
        event, time = check_array_survival(X, y)
        X = np.asarray(X, dtype=np.float64)
        names = self.names or tuple(f"term {k + 1}" for k in range(X.shape[1]))
        self.n_features_in_ = X.shape[1]
        self.center_: FloatArray = X.mean(axis=0)
        if self.coef is not None:
            Z = X - self.center_
            return self._keep(np.array(self.coef), Z, time.astype(np.float64), event)
        fit = fit_coefficients(
            X, time.astype(np.float64), event, names=names, ties=self.ties,
            penalty=self.penalty, n_iter=self.n_iter, tol=self.tol,
        )  # fmt: skip
        self.n_iter_ = fit.maximum.iterations
        self.profile_ = fit.profile
        self.coef_: FloatArray = self.shrinkage * fit.coef
        self.sums_: RiskSetSums = fit.sets.sums(self.coef_)
        at_start = fit.maximum.at_start
        self.loglik_null_ = at_start.loglik
        self.tests_: dict[str, ChiSquare] = {}
        self.information_variance_: FloatArray = np.full((len(fit.coef),) * 2, np.nan)
        self.variance_: FloatArray = self.information_variance_
        self.baseline_variance_ = model_based(self.sums_, self.variance_)
        self.has_errors_ = not (self.is_shrunken or (fit.profile and groups is not None))
        if self.has_errors_:
            self._infer(fit, groups, names)
            self.tests_["score"] = quadratic(at_start.gradient, at_start.information)
        return self

    def _keep(
        self, coef: FloatArray, Z: FloatArray, time: FloatArray, event: NDArray[np.bool_]
    ) -> Self:
        """Find the baseline at coefficients from elsewhere."""
        if self.penalty or self.shrinkage != 1:
            raise ModelError("coef is kept as it is; leave penalty and shrinkage out")
        if len(coef) != Z.shape[1] or not np.isfinite(coef).all():
            raise ModelError(
                f"coef must have a finite number for each of {Z.shape[1]} terms, got {self.coef}"
            )
        sets = RiskSets(Z, time, event, self.ties)
        self.n_iter_ = 0
        self.profile_, self.has_errors_ = None, False
        self.coef_ = coef
        self.sums_ = sets.sums(coef)
        self.loglik_null_ = sets.loglik(np.zeros_like(coef))
        self.tests_ = {}
        self.information_variance_ = self.variance_ = np.full((len(coef), len(coef)), np.nan)
        self.baseline_variance_ = model_based(self.sums_, self.variance_)
        return self

    def _infer(
        self,
        fit: CoefficientFit,
        groups: NDArray[np.int64] | None,
        names: tuple[str, ...],
    ) -> None:
        inverse = fit.variance()
        self.information_variance_ = inverse
        if fit.profile is not None:
            self.tests_["likelihood_ratio"] = fit.profile.test(np.eye(len(names)))
            return
        self.variance_ = inverse
        statistic = 2 * (self.sums_.loglik - self.loglik_null_)
        self.tests_["likelihood_ratio"] = chi_square(statistic, len(names))
        if groups is None:
            self.baseline_variance_ = model_based(self.sums_, inverse)
        else:
            cluster = np.unique(groups, return_inverse=True)[1]
            influence = cluster_sums(self.sums_.score_residuals, cluster) @ inverse
            if len(influence) <= len(names):
                raise ModelError(
                    f"the robust variance of {len(names)} terms needs more than {len(names)} "
                    f"patients; there are {len(influence)}: use fewer with --predictors"
                )
            self.variance_ = influence.T @ influence
            self.baseline_variance_ = clustered(
                self.sums_, fit.sets.hazard_influence(self.coef_), influence, cluster
            )
            score = cluster_sums(fit.sets.sums(np.zeros_like(self.coef_)).score_residuals, cluster)
            spread = np.asarray(score.T @ score, dtype=np.float64)
            self.tests_["robust_score"] = quadratic(score.sum(axis=0), spread)
        self.tests_["wald"] = quadratic(self.coef_, self.variance_)

    @property
    def center_score_(self) -> float:
        """The risk score of the patient at the mean, whose hazard `sums_.hazard` is."""
        return float(linear_predictor(self.center_[None], self.coef_)[0])

    @property
    def is_shrunken(self) -> bool:
        """Whether the coefficients are not those of the likelihood's maximum."""
        ridge = self.penalty != "firth" and self.penalty > 0
        return ridge or self.shrinkage != 1 or self.coef is not None

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the risk score, the linear predictor; higher is worse."""
        return linear_predictor(np.asarray(X, dtype=np.float64), self.coef_)

    def predict_curves(
        self, X: FloatArray, level: float = 0.95, scale: Scale = "log-log"
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return survival and its bounds at `sums_.times`, each of shape (n_patients, n_times).

        The interval is pointwise; symmetric for survival itself ("plain"), its logarithm, or
        log(-log survival). Its variance is that of R's `survfit` on a `coxph` object, and with
        groups the infinitesimal jackknife of coefficients and baseline, summed by group. With a
        penalty, Firth's too, the bounds are NaN.

        Raises
        ------
        ModelError
            If `scale` is none of these.
        """
        if scale not in SCALES:
            raise ModelError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        Z = np.asarray(X) - self.center_
        hazard = np.exp(self.predict(X) - self.center_score_)[:, None] * self.sums_.hazard
        survival = np.exp(-hazard)
        joint = self.baseline_variance_
        own = row_products(row_products(Z, self.variance_) * Z, np.ones((Z.shape[1], 1)))
        variance = own + 2 * row_products(Z, joint.covariance.T) + joint.variance
        # Rounding can leave a tiny negative where the variance is nil; NaN stays NaN.
        half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(np.maximum(variance, 0.0))
        if scale == "plain":
            lower = survival * (1 - hazard * half)
            upper = survival * (1 + hazard * half)
        elif scale == "log":
            lower, upper = np.exp(-hazard * (1 + half)), np.exp(-hazard * (1 - half))
        else:
            widen = np.exp(half)
            lower, upper = np.exp(-hazard * widen), np.exp(-hazard / widen)
        return survival, np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)

    def coefficients(
        self, names: tuple[str, ...] | None = None, level: float = 0.95
    ) -> list[Coefficient]:
        """Return the table of coefficients, in the order of the design.

        Raises
        ------
        ModelError
            With a penalty, whose estimates have no standard errors that mean anything.
        """
        if self.coef is not None:
            raise ModelError(
                "coefficients that were kept from elsewhere have no standard errors, intervals or "
                "P values of this cohort; fit them here for inference, or read coef_"
            )
        if self.is_shrunken:
            how = (
                f"a ridge penalty ({self.penalty:g})"
                if self.penalty
                else f"a shrinkage factor ({self.shrinkage:.3g})"
            )
            raise ModelError(
                f"a model with {how} has no standard errors, "
                "intervals or P values: its coefficients are biased towards 0, by how much the "
                "data do not say; fit without it for inference, or read coef_"
            )
        if not self.has_errors_:
            raise ModelError(
                "Firth's penalised likelihood has no standard errors, intervals or P values where "
                "rows of a patient are repeated; read coef_"
            )
        terms = np.eye(len(self.coef_))
        return [
            self.combination(name, d, level)
            for name, d in zip(names or self.names, terms, strict=True)
        ]

    def combination(self, name: str, direction: FloatArray, level: float = 0.95) -> Coefficient:
        """Return a linear combination of the coefficients with its interval and P value.

        They are Wald's, or with Firth's penalty those of the profile; NaN without standard errors.

        Parameters
        ----------
        name : str
        direction : ndarray of shape (n_terms,)
            The weight of each coefficient: for the contrast of two patients, the difference of
            their designs.
        """
        b = float(direction @ self.coef_)
        if self.profile_ is None or not self.has_errors_:
            se = float(np.sqrt(direction @ self.variance_ @ direction))
            return wald(name, b, se, level)
        se = float(np.sqrt(direction @ self.information_variance_ @ direction))
        lower, upper = self.profile_.interval(direction, se, level)
        p = self.profile_.test(direction[None, :]).p
        return Coefficient(name, b, se, *ratios(b, lower, upper), p)

    def test(self, columns: Sequence[int]) -> ChiSquare:
        """Return the test that some coefficients are all 0: Wald's, or of Firth's profile."""
        if self.profile_ is not None:
            return self.profile_.test(np.eye(len(self.coef_))[list(columns)])
        return quadratic(self.coef_[list(columns)], self.variance_[np.ix_(columns, columns)])


def cluster_sums(values: FloatArray, groups: NDArray[np.int64]) -> FloatArray:
    """Return the sum of the rows of each group, of shape (n_groups, n_columns)."""
    _, number = np.unique(groups, return_inverse=True)
    return np.column_stack([np.bincount(number, column) for column in values.T])

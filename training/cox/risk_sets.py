"""Sums over the risk sets: the likelihood, its derivatives, the baseline, the score residuals.

Everything is sorting once, and cumulative sums: no loop over patients or times.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from riskscore.design import linear_predictor

__all__ = ["TIES", "HazardInfluence", "RiskSetSums", "RiskSets", "Ties", "efron_pass"]

FloatArray = NDArray[np.float64]

Number = TypeVar("Number", np.float64, np.intp)

Ties = Literal["efron", "breslow"]
TIES: tuple[Ties, ...] = ("efron", "breslow")


@dataclass(frozen=True)
class RiskSetSums:
    """What the risk sets yield at given coefficients.

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
    expected : ndarray of shape (n_patients,)
        Each patient's expected events: the cumulative hazard over the time followed.
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
    expected: FloatArray
    hazard: FloatArray
    hazard_variance: FloatArray
    hazard_mean: FloatArray


@dataclass(frozen=True)
class HazardInfluence:
    """Each row's influence on the cumulative baseline hazard, the coefficients held.

    The influence is -`risk` times `drift` up to the row's own time, and `settled` from there on.

    Attributes
    ----------
    passed : ndarray of shape (n_patients,)
        Place of the event time from which `settled` holds; n_event_times where none does.
    risk : ndarray of shape (n_patients,)
        Relative hazard.
    settled : ndarray of shape (n_patients,)
    drift : ndarray of shape (n_event_times,)
        Sum over the steps so far of one over the squared risk of those at the step.
    """

    passed: NDArray[np.intp]
    risk: FloatArray
    settled: FloatArray
    drift: FloatArray


@dataclass(frozen=True)
class _Walk:
    """One walk through the steps: a step is a death, in order of time."""

    lp: FloatArray
    risk: FloatArray
    total: FloatArray  # risk of those at the step
    mean: FloatArray  # their mean covariates, (n_terms, n_steps)


class RiskSets:
    """A cohort sorted for sums over its risk sets.

    Parameters
    ----------
    Z : ndarray of shape (n_patients, n_terms)
        Design matrix, as deviations from its mean.
    time, event : ndarray of shape (n_patients,)
    ties : {"efron", "breslow"}

    Notes
    -----
    Efron's approximation treats d tied deaths as d steps; step k sees the risk set less k/d of the
    dying. Breslow's lets all d steps see the whole risk set. All sums run over these steps.
    Sources: Efron, JASA 72 (1977) 557; Breslow, Biometrics 30 (1974) 89; Therneau & Grambsch,
    Modeling Survival Data (2000), section 3.3.
    """

    def __init__(
        self, Z: FloatArray, time: FloatArray, event: NDArray[np.bool_], ties: Ties = "efron"
    ) -> None:
        n = len(time)
        # The longest followed first; backwards from there, rows of one time keep their order.
        self.order = np.argsort(time, kind="stable")[::-1]
        self.W: FloatArray = np.ascontiguousarray(Z[self.order].T)
        descending = time[self.order]
        self.deaths = np.flatnonzero(event[self.order])[::-1]  # in order of time
        self.times, self.first, self.counts = np.unique(
            descending[self.deaths], return_index=True, return_counts=True
        )
        self.step = np.repeat(np.arange(len(self.times)), self.counts)
        self.last_at_risk = n - 1 - np.searchsorted(descending[::-1], self.times, side="left")
        self.times_passed = np.searchsorted(self.times, descending, side="right")
        # The part of its tied deaths that each step no longer sees.
        self.gone = np.zeros(len(self.step))
        if ties == "efron":
            self.gone = (np.arange(len(self.step)) - self.first[self.step]) / self.counts[self.step]
        self.tied = bool(self.gone.any())
        self._of_deaths: FloatArray = self.W[:, self.deaths].sum(axis=1)

    def in_units(self, units: FloatArray) -> RiskSets:
        """Return the same sets with each covariate multiplied by its `units`."""
        other = copy.copy(self)
        other.W = self.W * units[:, None]
        other._of_deaths = self._of_deaths * units
        return other

    def of_covariates(self, Z: FloatArray) -> RiskSets:
        """Return the same sets with other covariates, of shape (n_patients, n_terms)."""
        other = copy.copy(self)
        other.W = np.ascontiguousarray(Z[self.order].T)
        other._of_deaths = other.W[:, self.deaths].sum(axis=1)
        return other

    def linear_predictor(self, coef: FloatArray) -> FloatArray:
        """Return the linear predictor of the sorted rows, less that of the mean."""
        return linear_predictor(self.W.T, coef)

    def derivatives(self, coef: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return the log partial likelihood, its gradient, and minus its second derivative."""
        walk = self._walk(coef)
        expected = walk.risk * self._exposure(walk, None)
        information = self._gram(expected) - walk.mean @ walk.mean.T
        gradient = self._of_deaths - walk.mean.sum(axis=1)
        return self._loglik(walk), gradient, information

    def slope_of_information(self, coef: FloatArray, matrix: FloatArray) -> FloatArray:
        """Return the trace of `matrix` times the information's derivative by each coefficient.

        Parameters
        ----------
        coef : ndarray of shape (n_terms,)
        matrix : ndarray of shape (n_terms, n_terms)
            Symmetric; with the inverse information this is the gradient of its log determinant.

        Returns
        -------
        ndarray of shape (n_terms,)

        Notes
        -----
        The derivative holds the third central moments of the risk sets' covariates; the trace asks
        for those of (z - mean)' M (z - mean) with z alone, which cumulative sums yield.
        """
        walk = self._walk(coef)
        MW = matrix @ self.W
        size = np.einsum("kn,kn->n", self.W, MW)
        mean_size = self._totals(np.stack([walk.risk, walk.risk * size]))[1][0]
        M_mean = matrix @ walk.mean
        of_means = np.einsum("ks,ks->s", walk.mean, M_mean)
        crossed = np.einsum("kn,kn->n", MW, self._exposure_mean(walk, None))
        by_patient = walk.risk * (size * self._exposure(walk, None) - 2 * crossed)
        found: FloatArray = self.W @ by_patient + walk.mean @ (2 * of_means - mean_size)
        return found

    def loglik(self, coef: FloatArray) -> float:
        """Return the log partial likelihood."""
        risk = np.exp(self.linear_predictor(coef))
        total, _ = self._totals(risk[None, :])
        return float(self._of_deaths @ coef - np.log(total).sum())

    def baseline(self, coef: FloatArray) -> FloatArray:
        """Return the cumulative baseline hazard at `times`."""
        total, _ = self._totals(np.exp(self.linear_predictor(coef))[None, :])
        hazard: FloatArray = np.cumsum(self._by_time(1.0 / total))
        return hazard

    def hazard_influence(self, coef: FloatArray) -> HazardInfluence:
        """Return each row's influence on the cumulative baseline hazard, `coef` held."""
        risk = np.exp(self.linear_predictor(coef))
        total, _ = self._totals(risk[None, :])
        drift = np.cumsum(self._by_time(total**-2))
        settled = -risk * np.concatenate(([0.0], drift))[self.times_passed]
        # Tied deaths share the hazard of their steps, and each step sees but a part of them.
        settled[self.deaths] += (self._by_time(1.0 / total) / self.counts)[self.step]
        if self.tied:
            spared = self._by_time(self.gone * total**-2)[self.step]
            settled[self.deaths] += risk[self.deaths] * spared
        passed = self.times_passed.copy()
        passed[self.deaths] -= 1
        return HazardInfluence(
            self._unsorted(passed), self._unsorted(risk), self._unsorted(settled), drift
        )

    def score_with_time(
        self, coef: FloatArray, g: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return score and information with every covariate times `g` of time added.

        Parameters
        ----------
        coef : ndarray of shape (n_terms,)
        g : ndarray of shape (n_event_times,)
            The function of time, at `times`.

        Returns
        -------
        score : ndarray of shape (n_terms,)
            For the products with time, at coefficients 0 for them.
        information : ndarray of shape (2 n_terms, 2 n_terms)
        schoenfeld : ndarray of shape (n_deaths, n_terms)
            In order of time; deaths of one time share their mean.
        """
        walk = self._walk(coef)
        weight = g[self.step]
        blocks = []
        for w in (None, weight, weight**2):
            plain = walk.mean if w is None else walk.mean * w
            blocks.append(self._gram(walk.risk * self._exposure(walk, w)) - plain @ walk.mean.T)
        mean = np.add.reduceat(walk.mean, self.first, axis=1) / self.counts
        schoenfeld = self.W[:, self.deaths] - mean[:, self.step]
        a, b, c = blocks
        return schoenfeld @ weight, np.block([[a, b], [b, c]]), schoenfeld.T

    def score_residuals_with_time(self, coef: FloatArray, g: FloatArray) -> FloatArray:
        """Return each patient's part of the score of the terms, and of their products with time.

        Parameters
        ----------
        coef, g
            As in `score_with_time`.

        Returns
        -------
        ndarray of shape (n_patients, 2 n_terms)
        """
        walk = self._walk(coef)
        parts = [self._score_residuals(walk, weight) for weight in (None, g[self.step])]
        return np.hstack(parts)

    def sums(self, coef: FloatArray) -> RiskSetSums:
        """Return everything the risk sets yield at these coefficients."""
        walk = self._walk(coef)
        inverse = 1.0 / walk.total
        hazard = np.cumsum(self._by_time(inverse))
        hazard_mean = np.cumsum(self._by_time(inverse * walk.mean), axis=1)
        expected = walk.risk * self._exposure(walk, None)
        information = self._gram(expected) - walk.mean @ walk.mean.T
        return RiskSetSums(
            times=self.times,
            loglik=self._loglik(walk),
            information=information,
            score_residuals=self._score_residuals(walk, None),
            expected=self._unsorted(expected),
            hazard=hazard,
            hazard_variance=np.cumsum(self._by_time(inverse**2)),
            hazard_mean=hazard_mean.T,
        )

    def _walk(self, coef: FloatArray) -> _Walk:
        lp = self.linear_predictor(coef)
        risk = np.exp(lp)
        weighted = np.empty((len(coef) + 1, len(risk)))
        weighted[0] = risk
        np.multiply(self.W, risk, out=weighted[1:])
        total, mean = self._totals(weighted)
        return _Walk(lp, risk, total, mean)

    def _totals(self, weighted: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the first row's sum at each step, and the others' sums over it."""
        sums = np.cumsum(weighted, axis=1)[:, self.last_at_risk][:, self.step]
        if self.tied:
            dying = np.add.reduceat(weighted[:, self.deaths], self.first, axis=1)
            sums -= self.gone * dying[:, self.step]
        return sums[0], sums[1:] / sums[0]

    def _exposure(self, walk: _Walk, weight: FloatArray | None) -> FloatArray:
        """Return each patient's baseline hazard up to its time, each step times its weight."""
        inverse = 1.0 / walk.total if weight is None else weight / walk.total
        cumulative = np.concatenate(([0.0], np.cumsum(self._by_time(inverse))))
        exposure: FloatArray = cumulative[self.times_passed]
        if self.tied:  # a death is exposed to its own tied steps only in part
            exposure[self.deaths] -= self._by_time(self.gone * inverse)[self.step]
        return exposure

    def _exposure_mean(self, walk: _Walk, weight: FloatArray | None) -> FloatArray:
        """Return the risk sets' mean covariates over each patient's exposure, (n_terms, n)."""
        inverse = 1.0 / walk.total if weight is None else weight / walk.total
        cumulative = np.cumsum(self._by_time(inverse * walk.mean), axis=1)
        exposure: FloatArray = np.pad(cumulative, ((0, 0), (1, 0)))[:, self.times_passed]
        if self.tied:
            taken = self._by_time(self.gone * inverse * walk.mean)
            exposure[:, self.deaths] -= taken[:, self.step]
        return exposure

    def _score_residuals(self, walk: _Walk, weight: FloatArray | None) -> FloatArray:
        """Return each patient's part of the score, each step times its weight, (n, n_terms)."""
        expected = walk.risk * self._exposure(walk, weight)
        residuals = walk.risk * self._exposure_mean(walk, weight) - self.W * expected
        own, at_death = self.W[:, self.deaths], walk.mean
        if weight is not None:
            own, at_death = own * weight, at_death * weight
        residuals[:, self.deaths] += own - (self._by_time(at_death) / self.counts)[:, self.step]
        return np.ascontiguousarray(self._unsorted(residuals).T)

    def _loglik(self, walk: _Walk) -> float:
        return float(walk.lp[self.deaths].sum() - np.log(walk.total).sum())

    def _gram(self, weight: FloatArray) -> FloatArray:
        found: FloatArray = (self.W * weight) @ self.W.T
        return found

    def _by_time(self, values: FloatArray) -> FloatArray:
        if len(self.first) == len(self.step):
            return values
        found: FloatArray = np.add.reduceat(values, self.first, axis=-1)
        return found

    def _unsorted(self, values: NDArray[Number]) -> NDArray[Number]:
        original = np.empty_like(values)
        original[..., self.order] = values
        return original


def efron_pass(
    Z: FloatArray, time: FloatArray, event: NDArray[np.bool_], coef: FloatArray
) -> RiskSetSums:
    """Return the sums over the risk sets with Efron's ties; see `RiskSets` for the arguments."""
    return RiskSets(Z, time, event).sums(coef)

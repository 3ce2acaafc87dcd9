"""How strong a ridge: chosen by the cross-validated partial likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sksurv.util import check_array_survival

from riskscore.errors import ModelError
from training.cox.risk_sets import RiskSets, Ties
from training.cox.solver import maximise

__all__ = ["FOLDS", "PenaltyChoice", "choose_penalty"]

FloatArray = NDArray[np.float64]

FOLDS = 10
GRID = np.logspace(2, -4, 25)
"""Penalties tried, as multiples of the number of events, the strongest first. A standardised column
has an information of about one an event: the ends are nearly no effect, and nearly no penalty."""


SAME = 1e-9
"""Share of the largest likelihood by which two differ that are as good."""


@dataclass(frozen=True)
class PenaltyChoice:
    """What was tried and chosen.

    Attributes
    ----------
    penalty : float
    tried : ndarray of shape (n_tried,)
        Descending.
    likelihood : ndarray of shape (n_tried,)
        Cross-validated log partial likelihood of each; higher is better.
    folds : int
    """

    penalty: float
    tried: FloatArray
    likelihood: FloatArray
    folds: int

    @property
    def end(self) -> Literal["strongest", "weakest"] | None:
        """The end of what was tried, if that was chosen: the best may lie beyond it."""
        if self.penalty == self.tried[0]:
            return "strongest"
        return "weakest" if self.penalty == self.tried[-1] else None


def choose_penalty(
    X: FloatArray,
    y: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
    ties: Ties = "efron",
) -> PenaltyChoice:
    """Return the penalty under which each fold is best foretold by the others.

    Parameters
    ----------
    X : ndarray of shape (n_patients, n_terms)
    y : structured array with an event and a time field
    groups : ndarray of shape (n_patients,), optional
        The patient of each row: a patient's rows share a fold.
    seed : int
        Of the folds, which hold like numbers of patients with an event.

    Raises
    ------
    ModelError
        If fewer than two patients have an event, or a column is constant.

    Notes
    -----
    A fold counts what the whole cohort's partial likelihood gains over that of the others at the
    others' coefficients. Columns are standardised on the whole cohort. Source: Verweij & van
    Houwelingen, Statistics in Medicine 12 (1993) 2305.
    """
    event, time = check_array_survival(X, y)
    time = time.astype(np.float64)
    scale = X.std(axis=0)
    if not scale.all():
        raise ModelError("a constant column has no penalty; leave the predictor out")
    Z = (X - X.mean(axis=0)) / scale
    fold, folds = _folds(event, groups, seed)
    whole = RiskSets(Z, time, event, ties)
    tried = GRID * event.sum()
    likelihood = np.zeros(len(tried))
    for k in range(folds):
        kept = fold != k
        others = RiskSets(Z[kept], time[kept], event[kept], ties)
        coef = np.zeros(Z.shape[1])
        for i, penalty in enumerate(tried.tolist()):
            coef = maximise(others, penalty, start=coef).coef
            likelihood[i] += whole.loglik(coef) - others.loglik(coef)
    # The strongest of those that are as good but for rounding.
    best = int(np.argmax(likelihood >= likelihood.max() - SAME * np.abs(likelihood).max()))
    return PenaltyChoice(float(tried[best]), tried, likelihood, folds)


def _folds(
    event: NDArray[np.bool_], groups: NDArray[np.int64] | None, seed: int
) -> tuple[NDArray[np.intp], int]:
    """Deal the patients out at random, those with an event first."""
    patient = np.arange(len(event)) if groups is None else np.unique(groups, return_inverse=True)[1]
    died = np.bincount(patient, event) > 0
    folds = min(FOLDS, int(died.sum()))
    if folds < 2:
        raise ModelError(
            f"{int(died.sum())} patients with an event cannot be cross-validated; give the penalty "
            "as a number"
        )
    random = np.random.default_rng([seed, folds])
    shuffled = random.permutation(len(died))
    dealt = shuffled[np.argsort(~died[shuffled], kind="stable")]
    fold = np.empty(len(died), dtype=np.intp)
    fold[dealt] = np.arange(len(died)) % folds
    return fold[patient], folds

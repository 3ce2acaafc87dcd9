"""Whether effects hold at all times: the score test of R's `cox.zph`, and what its plot shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sksurv.nonparametric import kaplan_meier_estimator
from sksurv.util import check_array_survival

from riskscore.design import spline_basis
from riskscore.errors import ModelError
from training.cox.hypotheses import ChiSquare, quadratic
from training.cox.model import CoxModel, cluster_sums
from training.cox.risk_sets import RiskSets

__all__ = ["ProportionalHazards", "Smooth", "proportional_hazards", "smooth"]

FloatArray = NDArray[np.float64]

SMOOTH_POINTS = 40
BAND = 2.0
"""Standard errors from the smooth to its band, as R draws it."""


@dataclass(frozen=True)
class ProportionalHazards:
    """The test, and the scaled Schoenfeld residuals behind it, one row a death in order of time.

    Attributes
    ----------
    tests : dict of str to ChiSquare
        That the effect of each group of terms does not change with time.
    overall : ChiSquare
    time : ndarray of shape (n_deaths,)
    transformed : ndarray of shape (n_deaths,)
        One minus Kaplan-Meier just before `time`, so that deaths lie evenly.
    residuals : ndarray of shape (n_deaths, n_groups)
        Around the effect at that time: the coefficient for one term, 1 for several (their common
        multiple).
    variance : ndarray of shape (n_groups,)
        Of one residual.
    cluster : ndarray of shape (n_deaths,) or None
        The patient of each death, where rows are repeated.
    """

    tests: dict[str, ChiSquare]
    overall: ChiSquare
    time: FloatArray
    transformed: FloatArray
    residuals: FloatArray
    variance: FloatArray
    cluster: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Smooth:
    """An effect over time: a natural spline with 4 degrees of freedom through the residuals."""

    transformed: FloatArray
    effect: FloatArray
    standard_error: FloatArray


def proportional_hazards(
    model: CoxModel,
    X: FloatArray,
    y: NDArray[Any],
    groups: Mapping[str, Sequence[int]],
    cluster: NDArray[np.int64] | None = None,
) -> ProportionalHazards:
    """Test each group of terms, and all together, against a change in proportion to time.

    Parameters
    ----------
    model : CoxModel
        Fitted without a penalty on `X` and `y`.
    X : ndarray of shape (n_patients, n_terms)
    y : structured array with an event and a time field
    groups : mapping of str to sequence of int
        The columns of each predictor.
    cluster : ndarray of shape (n_patients,), optional
        The patient of each row, where rows are repeated.

    Raises
    ------
    ModelError
        If all events fall on one time.

    Notes
    -----
    The score test of adding each covariate's product with the transformed time. Sources: Grambsch &
    Therneau, Biometrika 81 (1994) 515; `cox.zph` of R's survival package from version 3.0 on. With
    `cluster` the variance of the score is that of its sums over clusters, the estimation of the
    coefficients taken out (Lin & Wei, JASA 84 (1989) 1074); R's test takes repeated rows as
    independent, and rejects too often.
    """
    event, time = check_array_survival(X, y)
    time = time.astype(np.float64)
    sets = RiskSets(np.asarray(X) - model.center_, time, event, model.ties)
    if len(sets.times) < 2:
        raise ModelError(
            "no two patients can be compared: all events fall on one time, and nothing can change "
            "between times; record the times more finely"
        )
    at, alive = kaplan_meier_estimator(event, time)
    before = np.concatenate(([1.0], alive))[np.searchsorted(at, sets.times, side="left")]
    transformed = (1 - before)[sets.step]
    g = 1 - before - transformed.mean()
    score, information, schoenfeld = sets.score_with_time(model.coef_, g)
    p = len(score)
    clustered = None
    if cluster is not None:
        clustered = cluster_sums(sets.score_residuals_with_time(model.coef_, g), cluster)

    def test(columns: Sequence[int]) -> ChiSquare:
        """Return the score test of some products, their covariates all in the model."""
        rows = [*range(p), *(p + c for c in columns)]
        inner = information[np.ix_(rows, rows)]
        known = np.linalg.solve(inner[:p, :p], inner[:p, p:])
        if clustered is not None:
            beyond = clustered[:, rows[p:]] - clustered[:, :p] @ known
            return quadratic(score[list(columns)], np.asarray(beyond.T @ beyond))
        return quadratic(score[list(columns)], inner[p:, p:] - inner[p:, :p] @ known)

    # Several columns of a predictor are seen along their own coefficients.
    along = np.zeros((p, len(groups)))
    centre = np.ones(len(groups))
    for i, columns in enumerate(groups.values()):
        along[list(columns), i] = 1.0 if len(columns) == 1 else model.coef_[list(columns)]
        if len(columns) == 1:
            centre[i] = model.coef_[columns[0]]
    one = along.T @ (information[:p, :p] / len(schoenfeld)) @ along
    return ProportionalHazards(
        tests={name: test(columns) for name, columns in groups.items()},
        overall=test(range(p)),
        time=sets.times[sets.step],
        transformed=transformed,
        residuals=np.linalg.solve(one, along.T @ schoenfeld.T).T + centre,
        variance=np.diag(np.linalg.inv(one)).copy(),
        cluster=None if cluster is None else cluster[sets.order[sets.deaths]],
    )


def smooth(
    transformed: FloatArray,
    residuals: FloatArray,
    variance: float,
    cluster: NDArray[np.int64] | None = None,
) -> Smooth | None:
    """Return the effect over time as R's `plot.cox.zph` draws it; None from too few times.

    Parameters
    ----------
    transformed, residuals : ndarray of shape (n_deaths,)
    variance : float
        Of one residual.
    cluster : ndarray of shape (n_deaths,), optional
        The patient of each death; the standard error is then that of sums over patients.
    """
    grid = np.linspace(transformed.min(), transformed.max(), SMOOTH_POINTS)
    knots = np.quantile(np.concatenate([grid, transformed]), [0, 1 / 3, 2 / 3, 1])
    if len(np.unique(transformed)) < len(knots) or len(set(knots)) < len(knots):
        return None

    def basis(x: FloatArray) -> FloatArray:
        return np.column_stack([np.ones_like(x), spline_basis(x, knots.tolist())])

    design, shown = basis(transformed), basis(grid)
    q, r = np.linalg.qr(design)
    effect = shown @ np.linalg.solve(r, q.T @ residuals)
    root = np.linalg.solve(r.T, shown.T)
    if cluster is not None:
        left = residuals - design @ np.linalg.solve(r, q.T @ residuals)
        summed = cluster_sums(q * left[:, None], cluster) @ root
        return Smooth(grid, effect, np.sqrt((summed**2).sum(axis=0)))
    return Smooth(grid, effect, np.sqrt(variance * (root**2).sum(axis=0)))

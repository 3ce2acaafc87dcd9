"""The study's encoding as a scikit-learn transformer.

Levels become indicators, numbers take their form; the knots of a spline are learnt.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from riskscore.design import Term, design_matrix, terms
from riskscore.errors import ModelError
from riskscore.study import DEFAULT_KNOTS, Predictor

__all__ = ["StudyEncoder", "compared_values", "spline_knots"]

FloatArray = NDArray[np.float64]

COMMON = 0.05
"""Share of the patients at the least or greatest value from which it gets no knot of its own."""

FEWEST = 3
"""Knots of the simplest spline that is not a straight line."""


class StudyEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Design matrix of checked input.

    Parameters
    ----------
    predictors : tuple of Predictor
        The model's predictors, in the order of the input's columns.
    forms : bool
        Whether numbers take the form that the study declares.

    Attributes
    ----------
    terms_ : tuple of Term
        The columns of the design, with the knots that `fit` placed.

    Notes
    -----
    A row with an index that is no level becomes NaN as a whole, never the reference by accident;
    the exported graph does the same.
    """

    def __init__(self, predictors: tuple[Predictor, ...] = (), *, forms: bool = True) -> None:
        self.predictors = predictors
        self.forms = forms

    def fit(self, X: FloatArray, y: object = None) -> Self:
        """Place the knots of splines; nothing else is learnt from data.

        Raises
        ------
        ModelError
            If a spline's predictor takes too few values for three knots.
        """
        self.n_features_in_ = len(self.predictors)
        knots = {}
        for j, p in enumerate(self.predictors):
            if self.forms and p.form == "spline":
                knots[p.name] = spline_knots(np.asarray(X)[:, j], p.knots or DEFAULT_KNOTS, p.name)
        self.terms_: tuple[Term, ...] = terms(self.predictors, forms=self.forms, knots=knots)
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        """Return the design matrix, of shape (n_patients, n_terms)."""
        return design_matrix(X, self.predictors, self.terms_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the terms."""
        return np.array([term.name for term in self.terms_], dtype=object)


def compared_values(x: FloatArray, form: str) -> tuple[float, float]:
    """Return the two values of a number at which its effect is told, the higher first.

    They are its upper and lower quartile; where these coincide, twice the median and the median
    (form "log"), or one unit above it and the median.

    Parameters
    ----------
    x : ndarray of shape (n_patients,)
        Values of the training patients.
    form : str
        As the study declares it.
    """
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75]).tolist()
    if low == high:
        return 2 * middle if form == "log" else middle + 1, middle
    return high, low


def spline_knots(x: FloatArray, n_knots: int, name: str = "the predictor") -> tuple[float, ...]:
    """Place the knots of a restricted cubic spline at quantiles, where R's `rms::rcs` does.

    Parameters
    ----------
    x : ndarray of shape (n_patients,)
        Values of the training patients, none missing.
    n_knots : int
        3 to 7. Where values are few or crowd, fewer knots than asked for may remain.
    name : str
        For error messages.

    Raises
    ------
    ModelError
        If fewer than three distinct knots remain.

    Notes
    -----
    The outer knots are the 5 % and 95 % quantiles (10 and 90 % with 3 knots, 2.5 and 97.5 % with 7;
    below 100 patients the fifth value from either end), the others evenly spaced quantiles between
    them. A least or greatest value that more than 5 % share is set aside first. Source: Harrell,
    Regression Modeling Strategies (2015), section 2.4.6; `Hmisc::rcspline.eval`.
    """
    values, counts = np.unique(x, return_counts=True)
    found: list[float]
    if len(values) - 2 <= n_knots:
        found = values[1:-1].tolist()
    else:
        found = _at_quantiles(np.sort(x), values, counts / len(x), n_knots)
    knots = tuple(sorted(set(found)))
    if len(knots) < FEWEST:
        raise ModelError(
            f"{name} takes too few values for a spline: {len(knots)} distinct knots, 3 are "
            'needed; declare form = "linear" in the study'
        )
    return knots


def _at_quantiles(
    x: FloatArray, values: FloatArray, share: FloatArray, n_knots: int
) -> list[float]:
    outer = 0.1 if n_knots == FEWEST else 0.05 if n_knots <= 6 else 0.025
    first: list[float] = []
    last: list[float] = []
    if share[1:-1].max() < COMMON:
        if share[0] >= COMMON:
            first = [float(values[1])]
            x = x[x > values[1]]
        if share[-1] >= COMMON:
            last = [float(x[x < x[-1]][-1])]
            x = x[x < last[0]]
    inner = n_knots - len(first) - len(last)
    if inner == 1:
        return [*first, float(np.median(x)), *last]
    start = 0.5 if inner == 2 else outer
    knots: list[float] = np.quantile(x, np.linspace(start, 1 - outer, inner)).tolist()
    if len(set(knots)) < min(inner, FEWEST):
        # Quantiles coincide: twice as many, or the middle and the ends.
        knots = np.quantile(x, np.linspace(outer, 1 - outer, 2 * inner)).tolist()
        if first and len(set(knots)) < FEWEST:
            middle = (first[0] + last[0]) / 2 if last else float(np.median(x))
            knots = [*first, middle, last[0] if last else float(np.quantile(x, 1 - outer))]
    if 5 <= len(x) < 100:
        if not first:
            knots[0] = float(x[4])
        if not last:
            knots[inner - 1] = float(x[-5])
    return [*first, *knots, *last]

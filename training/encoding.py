"""The study's encoding as a scikit-learn transformer.

Levels become indicators, numbers take their form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from riskscore.study import Predictor

__all__ = ["StudyEncoder", "Term", "terms"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One column of the design matrix.

    Attributes
    ----------
    name : str
        "tumor_number[>3]", "age", "log(afp)".
    column : int
        Column of the model's input that it comes from.
    level : int or None
        Index of the level it indicates; None for a number.
    form : str
        Shape of a number, as the study declares it.
    """

    name: str
    column: int
    level: int | None
    form: str = "linear"


def terms(predictors: Sequence[Predictor], *, forms: bool = True) -> tuple[Term, ...]:
    """Return the design's columns, in the study's order; a category's reference has none.

    With `forms=False` numbers stay as they are, for models that do not care for their shape.
    """
    found: list[Term] = []
    for j, p in enumerate(predictors):
        if p.is_category:
            found += [Term(f"{p.name}[{level}]", j, i) for i, level in enumerate(p.levels) if i]
        elif forms and p.form == "log":
            found.append(Term(f"log({p.name})", j, None, "log"))
        else:
            found.append(Term(p.name, j, None))
    return tuple(found)


class StudyEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Design matrix of checked input.

    Parameters
    ----------
    predictors : tuple of Predictor
        The model's predictors, in the order of the input's columns.
    forms : bool
        Whether numbers take the form that the study declares.

    Notes
    -----
    A row with an index that is no level becomes NaN as a whole, never the reference by accident;
    the exported graph does the same.
    """

    def __init__(self, predictors: tuple[Predictor, ...] = (), *, forms: bool = True) -> None:
        self.predictors = predictors
        self.forms = forms

    def fit(self, X: FloatArray, y: object = None) -> Self:
        """Note the terms; nothing is learnt from data."""
        self.n_features_in_ = len(self.predictors)
        self.terms_ = terms(self.predictors, forms=self.forms)
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        """Return the design matrix, of shape (n_patients, n_terms)."""
        X = np.asarray(X, dtype=np.float64)
        design = np.empty((len(X), len(self.terms_)))
        for k, term in enumerate(self.terms_):
            values = X[:, term.column]
            if term.level is not None:
                design[:, k] = values == term.level
            else:
                design[:, k] = np.log(values) if term.form == "log" else values
        valid = np.ones(len(X), dtype=bool)
        for j, p in enumerate(self.predictors):
            if p.is_category:
                valid &= np.isin(X[:, j], np.arange(len(p.levels)))
        design[~valid] = np.nan
        return design

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the terms."""
        return np.array([term.name for term in self.terms_], dtype=object)

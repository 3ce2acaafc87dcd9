"""The design matrix and the linear predictor: what a model of terms computes from checked input.

Training fits on it, the exported graph repeats it, and whoever asks for a linear predictor or a
contrast between patients makes it again from `inference.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.study import Predictor

__all__ = [
    "Term", "design_matrix", "linear_predictor", "read_terms", "row_products", "spline_basis",
    "terms",
]  # fmt: skip

FloatArray = NDArray[np.float64]

BLOCK = 8192
"""Rows computed at once: so few numbers stay in the processor's nearest caches."""


@dataclass(frozen=True)
class Term:
    """One column of the design matrix.

    Attributes
    ----------
    name : str
        "tumor_number[>3]", "age", "log(afp)"; the cubic parts of a spline are "age'", "age''".
    column : int
        Column of the model's input that it comes from.
    level : int or None
        Index of the level it indicates; None for a number.
    form : str
        Shape of a number, as the study declares it.
    knots : tuple of float
        Knots of a spline, ascending; empty for every other form.
    part : int
        0 for the linear part of a spline, k for its k-th cubic part.
    """

    name: str
    column: int
    level: int | None
    form: str = "linear"
    knots: tuple[float, ...] = ()
    part: int = 0

    def to_dict(self, predictors: Sequence[Predictor]) -> dict[str, Any]:
        """Return what `read_terms` needs to make the term again."""
        p = predictors[self.column]
        return {
            "term": self.name,
            "predictor": p.name,
            "level": None if self.level is None else p.levels[self.level],
            "form": None if self.level is not None else self.form,
            "knots": list(self.knots) or None,
            "part": self.part if self.knots else None,
        }


def terms(
    predictors: Sequence[Predictor],
    *,
    forms: bool = True,
    knots: Mapping[str, Sequence[float]] | None = None,
) -> tuple[Term, ...]:
    """Return the design's columns, in the study's order; a category's reference has none.

    Parameters
    ----------
    predictors : sequence of Predictor
    forms : bool
        Whether numbers take their declared form. Models that do not care for it leave them as
        they are.
    knots : mapping of str to sequence of float, optional
        The knots of each predictor whose form is "spline": they were learnt from data.
    """
    found: list[Term] = []
    for j, p in enumerate(predictors):
        if p.is_category:
            found += [Term(f"{p.name}[{level}]", j, i) for i, level in enumerate(p.levels) if i]
        elif forms and p.form == "log":
            found.append(Term(f"log({p.name})", j, None, "log"))
        elif forms and p.form == "spline":
            placed = tuple(float(k) for k in (knots or {})[p.name])
            found += [
                Term(p.name + "'" * part, j, None, "spline", placed, part)
                for part in range(len(placed) - 1)
            ]
        else:
            found.append(Term(p.name, j, None))
    return tuple(found)


def read_terms(
    coefficients: Iterable[Mapping[str, Any]], predictors: Sequence[Predictor]
) -> tuple[Term, ...]:
    """Return the terms of a Cox model from the coefficients of its `inference.json`.

    Raises
    ------
    KeyError, ValueError
        If a row names a predictor or level that the model does not have.
    """
    columns = {p.name: j for j, p in enumerate(predictors)}
    found = []
    for row in coefficients:
        j = columns[row["predictor"]]
        level = None if row["level"] is None else predictors[j].levels.index(row["level"])
        placed = tuple(float(k) for k in row["knots"] or ())
        form = "linear" if level is not None else row["form"]
        found.append(Term(row["term"], j, level, form, placed, row["part"] or 0))
    return tuple(found)


def design_matrix(
    X: FloatArray, predictors: Sequence[Predictor], columns: Sequence[Term]
) -> FloatArray:
    """Return the design matrix of checked input.

    Parameters
    ----------
    X : ndarray of shape (n_patients, n_predictors)
        Level indices and numbers, as `records` makes them.
    predictors : sequence of Predictor
        In the order of the columns of `X`.
    columns : sequence of Term

    Returns
    -------
    ndarray of shape (n_patients, n_terms)
        A row with an index that is no level is NaN as a whole, never the reference by accident.
    """
    X = np.asarray(X, dtype=np.float64)
    design = np.empty((len(X), len(columns)), order="F")
    bases: dict[int, FloatArray] = {}
    for k, term in enumerate(columns):
        values = X[:, term.column]
        if term.level is not None:
            design[:, k] = values == term.level
        elif term.form == "spline":
            if term.column not in bases:
                bases[term.column] = spline_basis(values, term.knots)
            design[:, k] = bases[term.column][:, term.part]
        else:
            design[:, k] = np.log(values) if term.form == "log" else values
    for j, p in enumerate(predictors):
        if p.is_category:
            design[~np.isin(X[:, j], np.arange(len(p.levels)))] = np.nan
    return design


def linear_predictor(design: FloatArray, coef: FloatArray) -> FloatArray:
    """Return the linear predictor of each row; the only way this package computes one.

    Parameters
    ----------
    design : ndarray of shape (n_patients, n_terms)
        As it is, not as deviations from a mean.
    coef : ndarray of shape (n_terms,)

    Returns
    -------
    ndarray of shape (n_patients,)
        `design @ coef`; higher is worse. A row's value depends on that row and the coefficients
        alone, to the last bit: not on its position, on how many rows there are, or on the
        processor.

    Notes
    -----
    A matrix product promises none of that: with the kernels that OpenBLAS has for many processors
    equal rows get different last bits by their position, and ties are broken at random. Here the
    terms are added from the first to the last, and multiplication and addition are two operations,
    so that no processor rounds them as one.

    Examples
    --------
    >>> linear_predictor(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([0.5, 0.25]))
    array([0.5, 1. ])
    """
    score = np.zeros(len(design))
    weights = coef.tolist()
    for start in range(0, len(design), BLOCK):
        total = score[start : start + BLOCK]
        for column, weight in zip(design[start : start + BLOCK].T, weights, strict=True):
            total += column * weight
    return score


def row_products(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return `rows @ matrix` as `linear_predictor` computes its column.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
    matrix : ndarray of shape (p, m)

    Returns
    -------
    ndarray of shape (n, m)
    """
    total = np.zeros((len(rows), matrix.shape[1]))
    for column, weights in zip(rows.T, matrix, strict=True):
        total += column[:, None] * weights
    return total


def spline_basis(x: FloatArray, knots: Sequence[float]) -> FloatArray:
    """Return the basis of a restricted cubic spline, linear beyond the outer knots.

    Parameters
    ----------
    x : ndarray of shape (n,)
    knots : sequence of float
        At least 3, ascending.

    Returns
    -------
    ndarray of shape (n, n_knots - 1)
        `x` itself, then the cubic parts, each divided by the square of the distance between the
        outer knots, so that all have the scale of `x`.

    Notes
    -----
    Source: Stone & Koo, Proceedings of the Statistical Computing Section, ASA (1985) 45; Harrell,
    Regression Modeling Strategies (2015), section 2.4.5 (R's `rms::rcs`).

    Examples
    --------
    >>> spline_basis(np.array([0.0, 2.0, 4.0]), [1.0, 2.0, 3.0])
    array([[0.  , 0.  ],
           [2.  , 0.25],
           [4.  , 3.  ]])
    """
    t = np.asarray(knots, dtype=np.float64)
    last, before = t[-1], t[-2]
    # (x - t)+ ^3 of every knot, of which the last two make each part linear beyond the last.
    cubes = np.maximum(np.asarray(x, dtype=np.float64)[:, None] - t, 0.0) ** 3
    parts = (
        cubes[:, :-2]
        + (cubes[:, -1:] * (before - t[:-2]) - cubes[:, -2:-1] * (last - t[:-2])) / (last - before)
    ) / (last - t[0]) ** 2
    return np.column_stack([x, parts])

"""What a cohort cannot support, in words a modeller can act on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from riskscore.design import Term
from riskscore.errors import ModelError
from riskscore.study import Predictor

__all__ = [
    "EVENTS_A_PARAMETER",
    "few_events",
    "levels_without_events",
    "refuse_collinear",
    "refuse_runaway",
]

FloatArray = NDArray[np.float64]

LARGEST = 15.0
"""Largest coefficient and standard error per standard deviation of a term that are believed: a
hazard ratio of 3 million. A maximum at infinity stops the solver beyond it."""

COLLINEAR = 1e-10
"""Part of a column's variance left by the columns before it, below which nothing is left."""

EVENTS_A_PARAMETER = 10
"""Below this many events for each coefficient a model is called too large for its cohort. Source:
Peduzzi et al., J Clin Epidemiol 48 (1995) 1503."""


def refuse_collinear(
    Z: FloatArray, scale: FloatArray, names: Sequence[str], *, constant_only: bool = False
) -> None:
    """Refuse a column that is constant, or a combination of those before it.

    Parameters
    ----------
    Z : ndarray of shape (n_patients, n_terms)
        Deviations from the mean.
    scale : ndarray of shape (n_terms,)
        Standard deviations; 0 for a constant.
    constant_only : bool
        A penalty settles combinations, but not a column that says nothing.
    """
    constant = [name for name, s in zip(names, scale, strict=True) if not s]
    if constant:
        raise ModelError(
            f"{', '.join(constant)} is constant in this cohort and cannot tell patients apart; "
            "leave the predictor out with --predictors"
        )
    if constant_only:
        return
    correlation = (Z.T @ Z) / len(Z) / np.outer(scale, scale)
    for k in range(1, len(scale)):
        before, here = correlation[:k, :k], correlation[:k, k]
        weights = np.linalg.solve(before, here)
        if 1 - here @ weights < COLLINEAR:
            others = [names[j] for j in np.flatnonzero(np.abs(weights) > 1e-6).tolist()]
            if {name.rstrip("'") for name in (names[k], *others)} == {names[k].rstrip("'")}:
                raise ModelError(
                    f"the spline of {others[0]} cannot be told from a simpler curve: {names[k]} is "
                    f"a combination of {', '.join(others)}; ask for fewer knots in the study, or "
                    'declare form = "log"'
                )
            raise ModelError(
                f"the predictors are collinear: {names[k]} is a combination of "
                f"{', '.join(others)}; leave one of them out with --predictors, or share their "
                "effect among them with --penalty auto"
            )


def refuse_runaway(size: FloatArray, converged: bool, names: Sequence[str]) -> None:
    """Refuse coefficients, or their errors, that only a maximum at infinity explains.

    Parameters
    ----------
    size : ndarray of shape (n_terms,)
        Coefficients or standard errors, per standard deviation of the term.
    converged : bool
        Whether the iteration that gave them found a maximum.
    """
    absolute = np.nan_to_num(np.abs(size), nan=np.inf)
    worst = int(np.argmax(absolute))
    if absolute[worst] < LARGEST and converged:
        return
    raise ModelError(
        f"the coefficient of {names[worst]} runs away: it separates patients with an event from "
        "those without, and the likelihood has no maximum; merge its levels, leave the predictor "
        "out with --predictors, or shrink it with --penalty auto"
    )


def levels_without_events(
    X: FloatArray, event: NDArray[np.bool_], predictors: Sequence[Predictor]
) -> list[str]:
    """Return, in words, each level among whose patients nobody has an event.

    Parameters
    ----------
    X : ndarray of shape (n_patients, n_predictors)
        Checked input.
    """
    found = []
    for j, p in enumerate(predictors):
        if not p.is_category:
            continue
        rows = np.bincount(X[:, j].astype(int), minlength=len(p.levels))
        events = np.bincount(X[event, j].astype(int), minlength=len(p.levels))
        found += [
            f"{p.name}: none of the {n} rows with level {level} has an event"
            for level, n, died in zip(p.levels, rows, events, strict=True)
            if not died
        ]
    return found


def few_events(
    event: NDArray[np.bool_],
    patient: NDArray[np.int64] | None,
    terms: Sequence[Term],
    predictors: Sequence[Predictor],
) -> list[str]:
    """Return the warning that there are too few events for the coefficients, if there are.

    Events are those of patients, where `patient` names them: repeated rows repeat an event.
    """
    events = int(event.sum()) if patient is None else len(np.unique(patient[event]))
    if events >= EVENTS_A_PARAMETER * len(terms):
        return []
    spent = [
        f"{p.name} {n}"
        for j, p in enumerate(predictors)
        if (n := sum(t.column == j for t in terms)) > 1
    ]
    return [
        f"{events} events for {len(terms)} coefficients"
        + (f" ({', '.join(spent)})" if spent else "")
        + f" are {events / len(terms):.1f} a coefficient, fewer than {EVENTS_A_PARAMETER}: the "
        "estimates are likely too extreme; use fewer with --predictors, or shrink them with "
        "--penalty auto"
    ]

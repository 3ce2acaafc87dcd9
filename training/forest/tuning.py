"""Choosing leaf size and the columns tried at a split by the out-of-bag integrated Brier score."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from riskscore.errors import ModelError
from riskscore.metrics import integrated_brier
from training.forest.estimator import CompactForest
from training.forest.out_of_bag import curves_out_of_bag

__all__ = ["LEAVES", "brier_out_of_bag", "tune"]

FloatArray = NDArray[np.float64]

LEAVES = (3, 5, 8, 12, 15, 20, 30, 50, 80)
"""Leaf sizes tried, as far as the cohort holds them a few times."""

LEAST_LEAVES = 4
"""A leaf size is tried if a tree's own sample could fill so many."""

SAME = 1e-9
"""Relative difference up to which two scores are as good."""

GRID = 60
"""Most times at which the Brier score is taken."""


def brier_out_of_bag(
    forest: CompactForest,
    X: FloatArray,
    time: FloatArray,
    event: NDArray[np.bool_],
    until: float,
) -> dict[str, float] | None:
    """Return the integrated Brier score of the curves by trees that never drew the patient.

    Parameters
    ----------
    forest : CompactForest
    X, time, event : ndarray of shape (n, ...)
        The training rows, in the order of the fit.
    until : float
        Where the integral ends at the latest.

    Returns
    -------
    dict or None
        `model`; `kaplan_meier`, that of one curve for everybody; `until`, where the integral ended;
        `rows` scored. None where fewer than two times can be judged.
    """
    reach = forest.times_[(forest.times_ <= until) & (forest.times_ < time.max())]
    columns = np.unique(np.linspace(0, len(reach) - 1, min(GRID, len(reach))).astype(int))
    if len(columns) < 2:
        return None
    curves = curves_out_of_bag(forest, X, columns=columns)
    scored = ~np.isnan(curves[:, 0])
    time, event, grid = time[scored], event[scored], reach[columns]
    # Rows that every tree drew are missing: the first event or the last follow-up may be theirs.
    use = (grid < time.max(initial=0)) & (grid >= time[event].min(initial=math.inf))
    if use.sum() < 2:
        return None
    found = integrated_brier(time, event, curves[scored][:, use], grid[use], n_bootstrap=0)
    return {
        "model": found.brier.value,
        "kaplan_meier": found.null.value,
        "until": found.tau,
        "rows": int(scored.sum()),
    }


def tune(
    forest: CompactForest,
    X: FloatArray,
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    until: float,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[CompactForest, dict[str, Any]]:
    """Return the forest with the best of a grid of leaf sizes and columns tried, and the grid.

    Parameters
    ----------
    forest : CompactForest
        Unfitted; all but `min_samples_leaf` and `max_features` stays.
    X, y, groups
        As in `CompactForest.fit`.
    until : float
        Where the integral ends at the latest.
    say : callable
        Told of each step.

    Notes
    -----
    The least score of a grid is a little too good: it was chosen for being least.

    Raises
    ------
    ModelError
        If no forest of the grid could be judged.
    """
    n = len(X) if groups is None else len(np.unique(groups))
    own = n // 2 if forest.stability else n
    leaves = [leaf for leaf in LEAVES if leaf * LEAST_LEAVES <= own] or [forest.min_samples_leaf]
    p = X.shape[1]
    tried = sorted({1, max(int(math.sqrt(p)), 1), math.ceil(p / 3), math.ceil(p / 2), p})
    grid: list[dict[str, Any]] = []
    for k, (leaf, columns) in enumerate(product(leaves, tried), start=1):
        say(f"tuning: forest {k} of {len(leaves) * len(tried)}")
        candidate = clone(forest).set_params(min_samples_leaf=leaf, max_features=columns)
        found = brier_out_of_bag(candidate.fit(X, y, groups), X, y["time"], y["event"], until)
        score = None if found is None else found["model"]
        grid.append({"min_leaf": leaf, "max_features": columns, "integrated_brier": score})
    judged = [row for row in grid if row["integrated_brier"] is not None]
    if not judged:
        raise ModelError("no forest can be tuned: the cohort has too few event times")
    least = min(row["integrated_brier"] for row in judged)
    # The first of those that are as good but for rounding.
    best = next(row for row in judged if row["integrated_brier"] <= least * (1 + SAME))
    chosen = clone(forest).set_params(
        min_samples_leaf=best["min_leaf"], max_features=best["max_features"]
    )
    return chosen, {
        "measure": "out-of-bag integrated Brier score; lower is better",
        "note": "the least of the grid is a little too good: it was chosen for being least",
        "until": until,
        "chosen": best,
        "grid": grid,
    }

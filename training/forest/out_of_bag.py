"""What the trees that never drew a patient say of the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.forest.leaf_curves import leaf_numbers

if TYPE_CHECKING:
    from training.forest.estimator import CompactForest

__all__ = ["curves_out_of_bag", "scores_out_of_bag"]

FloatArray = NDArray[np.float64]


def scores_out_of_bag(
    forest: CompactForest, X: FloatArray, permuted: list[int] | None = None, seed: int = 0
) -> FloatArray:
    """Return each training row's risk score by the trees that never drew it, of shape (n,).

    Parameters
    ----------
    forest : CompactForest
    X : ndarray of shape (n, n_features)
        The training rows, in the order of the fit.
    permuted : list of int, optional
        Columns to shuffle together, anew for each tree: what the forest scores without them.
    seed : int
        Of the shuffling.
    """
    return _mean(forest, X, forest.table_[:, -1:], permuted, seed)[:, 0]


def curves_out_of_bag(
    forest: CompactForest, X: FloatArray, columns: NDArray[np.intp] | None = None
) -> FloatArray:
    """Return each training row's survival by the trees that never drew it, of shape (n, n_times).

    Parameters
    ----------
    forest, X
        As in `scores_out_of_bag`.
    columns : ndarray of int, optional
        Which of the grid's times to answer for; all by default.
    """
    curves = forest.table_[:, :-1] if columns is None else forest.table_[:, columns]
    return _mean(forest, X, curves)


def _mean(
    forest: CompactForest,
    X: FloatArray,
    answers: NDArray[np.float32],
    permuted: list[int] | None = None,
    seed: int = 0,
) -> FloatArray:
    """Return the mean of the leaves' answers; NaN where every tree drew the row."""
    X32 = np.array(X, dtype=np.float32)
    random = np.random.default_rng(seed)
    total, n_out = np.zeros((len(X32), answers.shape[1])), np.zeros(len(X32))
    for tree, offset, bits in zip(forest.trees_, forest.offsets_, forest.unseen_, strict=True):
        out = np.flatnonzero(np.unpackbits(bits, count=len(X32)))
        rows = X32[out]
        if permuted is not None:
            shuffled = random.permutation(len(rows))
            rows[:, permuted] = rows[shuffled][:, permuted]
        total[out] += answers[leaf_numbers(tree)[tree.apply(rows)] + offset]
        n_out[out] += 1
    answer = np.full(total.shape, np.nan)
    np.divide(total, n_out[:, None], out=answer, where=n_out[:, None] > 0)
    return answer

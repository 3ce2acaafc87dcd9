"""Check that every answer of a graph is a survival curve, before it is given out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import AnswerError

__all__ = ["ROUNDING", "check_bounds", "check_curves", "check_differences"]

FloatArray = NDArray[np.float64]

ROUNDING = 1e-6
"""How far a curve may rise, or a bound cross it, by rounding: a forest's curves are float32."""

FEW = 64
"""Values of an array up to which Python looks at each faster than numpy at all."""


def check_curves(survival: FloatArray, score: FloatArray) -> None:
    """Refuse curves that are not finite, leave 0 to 1 or rise, and scores that are not finite.

    Parameters
    ----------
    survival : ndarray of shape (n_patients, n_times)
    score : ndarray of shape (n_patients,)

    Raises
    ------
    AnswerError
    """
    # A curve that never rises is within its ends. NaN fails every comparison, as it must.
    if len(score) == 1:
        curve = survival[0]
        inside = curve.item(0) <= 1.0 and curve.item(-1) >= 0.0
        finite = math.isfinite(score.item(0))
        falls = np.count_nonzero(curve[1:] <= curve[:-1]) == curve.size - 1
    else:
        inside = bool((survival[:, 0] <= 1.0).all() and (survival[:, -1] >= 0.0).all())
        finite = bool(np.isfinite(score).all())
        falls = bool((survival[:, 1:] <= survival[:, :-1]).all())
    falls = falls or bool((survival[:, 1:] <= survival[:, :-1] + ROUNDING).all())
    if not (inside and falls and finite):
        raise AnswerError(
            "the model's answer is no survival: it must be from 0 to 1 and never rise, with a "
            "finite risk score; restore the bundle, or fit the model again"
        )


def check_bounds(survival: FloatArray, lower: FloatArray, upper: FloatArray) -> None:
    """Refuse bounds that do not hold the survival between them, or leave 0 to 1.

    NaN is no bound, and passes.

    Parameters
    ----------
    survival, lower, upper : ndarray of shape (n_patients, n_times)

    Raises
    ------
    AnswerError
    """
    wrong = False
    if survival.size <= FEW:
        values = zip(
            survival.ravel().tolist(), lower.ravel().tolist(), upper.ravel().tolist(), strict=True
        )
        for at, low, high in values:
            if low > at + ROUNDING or high < at - ROUNDING or low < 0.0 or high > 1.0:
                wrong = True
    else:
        outside = (lower < 0.0) | (upper > 1.0)
        apart = (lower > survival + ROUNDING) | (upper < survival - ROUNDING)
        wrong = bool((outside | apart).any())
    if wrong:
        raise AnswerError(
            "the model's bounds are none: they must be from 0 to 1 with the survival between "
            "them; restore the bundle, or fit the model again"
        )


def check_differences(difference: FloatArray, lower: FloatArray, upper: FloatArray) -> None:
    """Refuse differences of two survivals that are not from -1 to 1, or not between their bounds.

    Arrays of one shape; bounds of NaN are none, and pass.

    Raises
    ------
    AnswerError
    """
    outside = ~(np.abs(difference) <= 1.0) | (np.abs(lower) > 1.0) | (np.abs(upper) > 1.0)
    apart = (lower > difference + ROUNDING) | (upper < difference - ROUNDING)
    if (outside | apart).any():
        raise AnswerError(
            "the model's difference between treatments is none: it must be from -1 to 1 and "
            "between its bounds; restore the bundle, or fit the model again"
        )

"""Concordance: how often the patient with the higher score has the event first.

Sources: Harrell et al., JAMA 247 (1982) 2543, doi:10.1001/jama.1982.03320430047030; Uno et al.,
Stat Med 30 (2011) 1105, doi:10.1002/sim.4154; variance: Therneau & Watson, "The concordance
statistic and the Cox model" (Mayo Clinic, 2017), the infinitesimal jackknife of R's `concordance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskscore.errors import InputError, ModelError, Problem
from riskscore.metrics._estimates import Estimate, FloatArray, IntArray, wald
from riskscore.metrics._kaplan_meier import Censoring
from riskscore.metrics._outcome import Outcome, check_outcome, check_score
from riskscore.text import pairs_in_words

__all__ = [
    "Concordance",
    "concordance",
    "concordance_of",
    "influence_of",
]

NOBODY = (
    "no two patients can be compared: nobody is known to have outlived somebody with an event; "
    "the cohort says nothing about who fares worse"
)


@dataclass(frozen=True, slots=True)
class Concordance(Estimate):
    """A concordance with its interval and the (weighted) pairs behind it.

    Attributes
    ----------
    concordant, discordant, tied_score : float
        Comparable pairs in order, out of order, and with equal scores (counted one half).
    """

    concordant: float = math.nan
    discordant: float = math.nan
    tied_score: float = math.nan

    @property
    def shares(self) -> dict[str, float]:
        """The shares of pairs `right`, `wrong` and with the `same` score; they add up to 1."""
        total = self.concordant + self.discordant + self.tied_score
        parts = (self.concordant, self.discordant, self.tied_score)
        return {k: n / total for k, n in zip(("right", "wrong", "same"), parts, strict=True)}

    @property
    def in_words(self) -> str:
        """The pairs in 100: "27 right, 17 wrong, 56 the same"."""
        return pairs_in_words(self.concordant, self.discordant, self.tied_score)


def concordance(
    time: ArrayLike,
    event: ArrayLike,
    risk_score: ArrayLike,
    *,
    weighting: Literal["harrell", "uno"] = "harrell",
    tau: float | None = None,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Concordance:
    """Return the concordance of a risk score: 0.5 is chance, 1 is perfect order.

    Of two patients, the one with the higher score should have the event first. A pair is comparable
    if one has the event and the other is known to have outlived that time, or was censored at it;
    two events at one time are no pair. Equal scores count one half. R's `concordance` with
    `reverse=TRUE`; time O(n log n).

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    risk_score : array-like of shape (n,)
        Higher is worse.
    weighting : {"harrell", "uno"}
        Every pair alike, or by 1 / G(time-)**2 of the earlier time, G being the censoring curve:
        R's `timewt = "n/G2"`, whose limit does not depend on the censoring. The standard error
        takes G as known, as R does.
    tau : float, optional
        Events after tau are left out (R's `ymax`). Uno's weights need it where few are followed to
        the end.
    groups : array-like of shape (n,), optional
        Clusters (patients with several rows) for the standard error.
    level : float
        Coverage of the interval, symmetrical and cut at 0 and 1.

    Raises
    ------
    InputError
        If the data break a rule.
    ModelError
        If no two patients can be compared.

    Examples
    --------
    >>> concordance([1, 2, 3, 4], [1, 1, 0, 1], [4, 2, 3, 1]).value
    0.8
    """
    outcome = check_outcome(time, event, groups)
    score = check_score(outcome, risk_score)
    if weighting not in ("harrell", "uno"):
        rule = "must be 'harrell' or 'uno'"
        raise InputError([Problem(None, "weighting", rule, weighting, "choose one")])
    if tau is not None and not tau > 0:
        problem = Problem(
            None, "tau", "must be positive", float(tau), "give a time, or leave it out"
        )
        raise InputError([problem])
    return concordance_of(outcome, score, weighting == "uno", tau, level)


def concordance_of(
    outcome: Outcome, score: FloatArray, uno: bool, tau: float | None, level: float
) -> Concordance:
    """Return the concordance of checked arrays."""
    weight = outcome.event.astype(np.float64)
    if uno:
        weight /= Censoring.of(outcome).before ** 2  # G is positive before any observed time
    if tau is not None:
        weight[outcome.time > tau] = 0
    influence, (concordant, discordant, tied) = influence_of(outcome, score, weight)
    ahead = (concordant - discordant) / (concordant + discordant + tied)
    se = math.sqrt(float((outcome.clustered(influence) ** 2).sum()))
    found = wald((ahead + 1) / 2, se, level, 0, 1)
    return Concordance(
        found.value, found.se, found.lower, found.upper, concordant, discordant, tied
    )


def influence_of(
    outcome: Outcome, score: FloatArray, weight: FloatArray
) -> tuple[FloatArray, tuple[float, float, float]]:
    """Return each patient's influence on the concordance, and the pairs by kind.

    Parameters
    ----------
    outcome : Outcome
    score, weight : ndarray of shape (n,)
        Higher is worse; weight of each patient's pairs as the one with the event.

    Returns
    -------
    influence : ndarray of shape (n,)
        Its root of squares, summed by patient, is the standard error.
    pairs : tuple of float
        Concordant, discordant and tied.

    Raises
    ------
    ModelError
        If no two patients can be compared.
    """
    pairs = _pairs(outcome, score, weight)
    concordant, discordant, tied = (float((weight * part).sum()) for part in pairs.outlived)
    total = concordant + discordant + tied
    if not total:
        raise ModelError(NOBODY)
    ahead = (concordant - discordant) / total
    # Each patient's share of the pairs, as the one with the event and as the other.
    in_order, reversed_, equal = (
        weight * mine + theirs for mine, theirs in zip(pairs.outlived, pairs.preceded, strict=True)
    )
    share = (in_order - reversed_ - ahead * (in_order + reversed_ + equal)) / total
    return share / 2, (concordant, discordant, tied)


@dataclass(frozen=True)
class _Pairs:
    """For each patient: those comparable and later (counts), and events before (sums of weight).

    Each as concordant, discordant, tied.
    """

    outlived: tuple[FloatArray, FloatArray, FloatArray]
    preceded: tuple[FloatArray, FloatArray, FloatArray]


def _pairs(outcome: Outcome, score: FloatArray, weight: FloatArray) -> _Pairs:
    """Count every patient's comparable pairs in O(n log n).

    A pair is two patients whose keys differ: the key is the time, a censoring after the events.
    """
    n = len(score)
    key = 2 * outcome.index + ~outcome.event
    rank = np.unique(score, return_inverse=True)[1]
    # Within a key the highest score comes first, so that two of one key are never in disorder.
    order = np.argsort(key * n - rank)
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    # Among equal scores the later comes first, so that they are never in disorder either.
    by_score = np.argsort(rank * n - position)
    above, below = _disorder(position[by_score], weight[by_score])
    discordant, discordant_before = above[position], below[position]
    later, before = _outside(order, key, None, weight)
    tied, tied_before = _outside(by_score[::-1], key, rank, weight)
    return _Pairs(
        (later - discordant - tied, discordant, tied),
        (before - discordant_before - tied_before, discordant_before, tied_before),
    )


def _outside(
    order: IntArray, key: IntArray, within: IntArray | None, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how many have a later key, and the weight of those with an earlier one.

    Among all, or among those with the same value of `within`; `order` has those together, each by
    ascending key.
    """
    n = len(order)
    keys = key[order]
    block = np.zeros(n, dtype=np.int64) if within is None else within[order]
    new_block = np.concatenate(([True], block[1:] != block[:-1]))
    new_key = new_block | np.concatenate(([True], keys[1:] != keys[:-1]))
    start = np.maximum.accumulate(np.where(new_block, np.arange(n), 0))
    key_start = np.maximum.accumulate(np.where(new_key, np.arange(n), 0))
    ends = np.append(np.flatnonzero(new_block)[1:], n)[np.cumsum(new_block) - 1]
    key_ends = np.append(np.flatnonzero(new_key)[1:], n)[np.cumsum(new_key) - 1]
    total = np.concatenate(([0.0], np.cumsum(weight[order])))
    later, before = np.empty(n), np.empty(n)
    later[order] = ends - key_ends
    before[order] = total[key_start] - total[start]
    return later, before


def _disorder(position: IntArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count pairs in order, each element with its partners, in O(n log n).

    The elements come by ascending score; `position` is their place in time, a permutation. By place
    in time are returned, for each element, first the number of those that stand later both here and
    in time; then the weight of those that stand earlier in both.

    Time is split in halves, quarters and so on. Elements keep their order within each part, and
    each pair is counted at the one level at which its halves part. All parts are full, so that each
    level is a few passes over whole arrays.
    """
    n = len(position)
    size = 1 << max(n - 1, 1).bit_length()
    # What fills the last part stands last in both, and weighs nothing.
    place = np.concatenate([position, np.arange(n, size)]).astype(np.int32)
    mass = np.concatenate([weight, np.zeros(size - n)])
    later = np.full(size, n - size, dtype=np.int64)
    before = np.zeros(size)
    slots = np.arange(size // 2)
    half = size // 2
    while half:
        bit = (place & half).astype(bool)
        left, right = np.flatnonzero(~bit), np.flatnonzero(bit)
        first = slots[::half, None]  # elements of the left halves in all parts before this one
        total = np.concatenate(([0.0], np.cumsum(mass[left])))
        met = (total[right - slots] + before[right]).reshape(-1, half) - total[first]
        ahead = (later[left] - left + slots).reshape(-1, half) + (first + half)
        shape = (len(first), 2, half)
        place = _rejoined(place[left], place[right], shape)
        mass = _rejoined(mass[left], mass[right], shape)
        later = _rejoined(ahead, later[right], shape)
        before = _rejoined(before[left], met, shape)
        half //= 2
    return later[:n].astype(np.float64), before[:n]


def _rejoined(left: NDArray[Any], right: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Return each part's left half, then its right."""
    found = np.empty(shape, dtype=left.dtype)
    found[:, 0], found[:, 1] = left.reshape(-1, shape[2]), right.reshape(-1, shape[2])
    return found.ravel()

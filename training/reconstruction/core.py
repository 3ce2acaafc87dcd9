"""Who carries which trait: the assignment that gives the published multivariable Cox model.

Coefficients maximise the partial likelihood exactly where their score is zero, so the score at the
PUBLISHED coefficients is computed instead of a fit: no iteration, and one Newton step (inverse
information times score) tells how far each fitted coefficient would be from the published one. A
swap of one trait between two patients of an arm leaves every count of the baseline table as it is,
and changes two terms of the sums over risk sets, so thousands of swaps are judged in milliseconds.

Single swaps come near. They cannot end it: four coefficients at three decimals are a target of one
part in ten million of their spread. Pairs of swaps can, because two swaps far apart simply add up:
the few pairs out of millions whose sum points at the target are found by sorting, then computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from training.reconstruction.survival import Survival
from training.reconstruction.targets import Targets
from training.reconstruction.times import IntArray

__all__ = ["assign_core", "standard_error_off"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Swaps = tuple[IntArray, IntArray, IntArray]
"""First patient, second patient and trait of each swap."""
Flips = tuple[IntArray, IntArray]
"""Patients and the trait that each of them gains or loses."""

BATCH = 256
APPROACH_STEPS = 3000
NEAR = 25.0
"""The approach ends this many tolerances from the target; pairs of swaps then reach it."""
WARMTH = 0.25
"""Spread of the random preference among swaps, in log distance."""
ROUNDS = 500
SLACK = 4.0
"""Pairs whose sum is this many tolerances off may still hit: two swaps only nearly add up."""
TRIED = 200
WANDER = 5
ALMOST = 1.5
"""A hit is judged with its own information matrix, not its neighbour's, from here on."""
START_SE, NEAR_SE = 2.5, 1.5
"""The treatment's standard error is a matter of the times: an assignment that is this many
tolerances off, at the start or near the hazard ratios, shows that the times cannot give it."""
HOPELESS = 3
"""So do this many assignments with the right hazard ratios and the wrong standard error."""
SHUFFLES = 9
"""Random assignments that tell the standard error of times without an assignment."""


class _Scores:
    """The Cox score at the published coefficients, for any assignment of the traits."""

    def __init__(self, survival: Survival, goal: Targets) -> None:
        self.traits = len(goal.core)
        self.patients = len(survival.time)
        self.treated = (survival.arm == 0).astype(np.int64)
        self.death = survival.death
        deaths = np.flatnonzero(survival.death)
        time, event_time = survival.time, survival.time[deaths]
        same = event_time[:, None] == event_time
        # Efron: the k-th of m deaths at one time sees those m with k/m of their weight taken off.
        share = np.tril(same, -1).sum(axis=1) / same.sum(axis=1)
        tied = (time[:, None] == event_time) & survival.death[:, None]
        self.at_risk = (time[:, None] >= event_time) - share * tied
        bits = np.arange(2 ** (self.traits + 1))
        self.profiles = bits[:, None] >> np.arange(self.traits + 1) & 1
        hazard = np.exp(self.profiles @ np.array(goal.log_hazard))
        self.weighted = hazard[:, None] * np.column_stack([np.ones(len(bits)), self.profiles])
        self.within = np.array(goal.log_within)

    def profile(self, traits: IntArray) -> IntArray:
        """Return the number of each patient's profile: one bit a trait, the last the treatment."""
        columns = np.column_stack([traits, self.treated])
        return cast(IntArray, columns @ (1 << np.arange(self.traits + 1)))

    def covariance(self, profile: IntArray) -> FloatArray:
        """Return the inverse information, shape (p, p)."""
        x = self.profiles[profile].astype(float)
        sums = self.weighted[profile].T @ self.at_risk
        mean = sums[1:] / sums[0]
        risk = self.weighted[profile, 0][:, None] * self.at_risk / sums[0]
        information = (x.T * risk.sum(axis=1)) @ x - mean @ mean.T
        return np.asarray(np.linalg.inv(information))

    def distance(self, profile: IntArray, covariance: FloatArray) -> FloatArray:
        """Return how far each coefficient is from the published one, in tolerances; shape (p,)."""
        sums = self.weighted[profile].T @ self.at_risk
        score = self.profiles[profile][self.death].sum(axis=0) - (sums[1:] / sums[0]).sum(axis=1)
        return np.asarray(covariance @ score / self.within)

    def after(
        self, profile: IntArray, flips: Sequence[Flips], covariance: FloatArray
    ) -> FloatArray:
        """Return `distance` after each of several changes, shape (changes, p).

        A change is one row of every element of `flips`: those patients have those traits flipped.
        The patients of one row must differ.
        """
        rows = len(flips[0][0])
        sums = np.tile(self.weighted[profile].T @ self.at_risk, (rows, 1, 1))
        expected = np.tile(self.profiles[profile][self.death].sum(axis=0), (rows, 1))
        for who, trait in flips:
            new = profile[who] ^ (1 << trait)
            gain = self.weighted[new] - self.weighted[profile[who]]
            sums += gain[:, :, None] * self.at_risk[who][:, None, :]
            expected[np.arange(rows), trait] += np.where(new >> trait & 1, 1, -1) * self.death[who]
        score = expected - (sums[:, 1:] / sums[:, :1]).sum(axis=2)
        return np.asarray(score @ covariance.T / self.within)


def assign_core(random: np.random.Generator, survival: Survival, goal: Targets) -> BoolArray | None:
    """Return who carries each harmful trait, or None if no assignment was found.

    Parameters
    ----------
    random : Generator
    survival : Survival
        Left as it is.
    goal : Targets
        The Cox model (Efron ties) to reach, every hazard ratio to its printed digits, and the
        treatment's standard error.

    Returns
    -------
    ndarray of bool of shape (n, traits)
        In the order of `goal.core`.
    """
    scores = _Scores(survival, goal)
    profile = scores.profile(_shuffled(random, survival.arm, goal))
    if _se_off(scores.covariance(profile), goal) > START_SE:
        return None
    swaps = _all_swaps(survival.arm, len(goal.core))
    covariance = scores.covariance(profile)
    for step in range(APPROACH_STEPS):
        profile, off = _wander(random, scores, profile, swaps, covariance)
        if step % 10 == 0:
            covariance = scores.covariance(profile)
        if np.abs(off).max() < NEAR:
            break
    else:
        return None
    unsure = 0
    for _ in range(ROUNDS):
        for found in _hits(scores, profile, swaps):
            if _se_off(scores.covariance(found), goal) <= 1:
                return np.asarray(scores.profiles[found][:, : scores.traits].astype(bool))
            unsure += 1
        covariance = scores.covariance(profile)
        if unsure >= HOPELESS or _se_off(covariance, goal) > NEAR_SE:
            return None
        for _ in range(WANDER):
            profile, _off = _wander(random, scores, profile, swaps, covariance)
    return None


def standard_error_off(random: np.random.Generator, survival: Survival, goal: Targets) -> float:
    """Return how far times alone put the treatment's standard error from its aim, in tolerances.

    The median over random assignments of the traits.
    """
    scores = _Scores(survival, goal)
    found = []
    for _ in range(SHUFFLES):
        profile = scores.profile(_shuffled(random, survival.arm, goal))
        found.append(_se_off(scores.covariance(profile), goal))
    return float(np.median(found))


def _shuffled(random: np.random.Generator, arm: IntArray, goal: Targets) -> IntArray:
    traits = np.zeros((len(arm), len(goal.core)), dtype=np.int64)
    for column, (name, level) in enumerate(goal.harmful.items()):
        for a, count in enumerate(goal.counts[name][level]):
            traits[random.permutation(np.flatnonzero(arm == a))[:count], column] = 1
    return traits


def _all_swaps(arm: IntArray, traits: int) -> Swaps:
    i, j = np.triu_indices(len(arm), 1)
    i, j = i[arm[i] == arm[j]], j[arm[i] == arm[j]]
    return np.repeat(i, traits), np.repeat(j, traits), np.tile(np.arange(traits), len(i))


def _possible(profile: IntArray, swaps: Swaps, chosen: IntArray | None = None) -> Swaps:
    i, j, trait = swaps if chosen is None else tuple(part[chosen] for part in swaps)
    differ = (profile[i] ^ profile[j]) >> trait & 1 == 1
    return i[differ], j[differ], trait[differ]


def _wander(
    random: np.random.Generator,
    scores: _Scores,
    profile: IntArray,
    swaps: Swaps,
    covariance: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """Take one of a batch of random swaps, more likely one that comes nearer."""
    chosen = random.integers(len(swaps[0]), size=2 * BATCH)
    i, j, trait = _possible(profile, swaps, chosen)
    after = scores.after(profile, [(i, trait), (j, trait)], covariance)
    energy = 0.5 * np.log((after**2).mean(axis=1)) / WARMTH
    best = int(np.argmin(energy - random.gumbel(size=len(energy))))
    profile = profile.copy()
    profile[[i[best], j[best]]] ^= 1 << trait[best]
    return profile, after[best]


def _hits(scores: _Scores, profile: IntArray, swaps: Swaps) -> Iterator[IntArray]:
    """Yield the profiles after each pair of swaps that reaches every hazard ratio."""
    covariance = scores.covariance(profile)
    now = scores.distance(profile, covariance)
    i, j, trait = _possible(profile, swaps)
    change = scores.after(profile, [(i, trait), (j, trait)], covariance) - now
    a, b = _opposite(change, now)
    # Equals (two patients censored between the same deaths) must not be told apart by the last bit
    # of a sum, which differs between machines: rounded, they keep the order of the patients.
    off = np.abs(now + change[a] + change[b]).max(axis=1).round(6)
    apart = (i[a] != i[b]) & (i[a] != j[b]) & (j[a] != i[b]) & (j[a] != j[b])
    good = np.flatnonzero(apart & (off < SLACK))
    good = good[np.argsort(off[good], kind="stable")[:TRIED]]
    a, b = a[good], b[good]
    flips = [(i[a], trait[a]), (j[a], trait[a]), (i[b], trait[b]), (j[b], trait[b])]
    exact = np.abs(scores.after(profile, flips, covariance)).max(axis=1)
    for pick in np.flatnonzero(exact <= ALMOST):
        candidate = profile.copy()
        for who, which in flips:
            candidate[who[pick]] ^= 1 << which[pick]
        if np.abs(scores.distance(candidate, scores.covariance(candidate))).max() <= 1:
            yield candidate


def _opposite(change: FloatArray, now: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the pairs of rows whose sum nearly cancels `now` in the first coefficient."""
    order = np.argsort(change[:, 0].round(6), kind="stable")
    key = change[order, 0].round(6)
    start = np.searchsorted(key, -now[0] - key - SLACK)
    stop = np.searchsorted(key, -now[0] - key + SLACK)
    start = np.maximum(start, np.arange(1, len(key) + 1))
    length = np.maximum(stop - start, 0)
    first = np.repeat(np.arange(len(key)), length)
    offset = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
    return order[first], order[offset + np.repeat(start, length)]


def _se_off(covariance: FloatArray, goal: Targets) -> float:
    return goal.treatment_se.misses_by(float(np.sqrt(covariance[-1, -1])))

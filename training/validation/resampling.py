"""Who is drawn: bootstrap resamples and folds, of patients, each from the seed and its number.

Whatever the number of workers, the same seed gives the same draws.
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from joblib import delayed, parallel_config
from numpy.typing import NDArray

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.progress import doing
from training.validation.cluster import clustered, workers
from training.validation.keeping import Kept, current, fingerprint

__all__ = ["Replicates", "folds", "patients_of", "replicate", "resample"]

IntArray = NDArray[np.intp]
T = TypeVar("T")

Outcome = tuple[T | None, str | None]
"""A replicate's result, or the reason why there is none."""

SPREAD_FROM = 60.0
"""Seconds of work from which processes are started; before that starting them costs more."""


@dataclass
class Replicates:
    """How many replicates were asked for, and what became of them.

    Attributes
    ----------
    asked : int
    results : list
        Of those that were done, in order.
    failed : Counter of str
        Reasons of those that could not be.
    stopped : bool
        Whether somebody stopped the work before its end.
    """

    asked: int
    results: list[Any] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        return {
            "asked": self.asked,
            "done": len(self.results),
            "failed": sum(self.failed.values()),
            "reasons": dict(self.failed.most_common()),
            "stopped_early": self.stopped,
        }


def patients_of(cohort: Cohort) -> tuple[int, IntArray]:
    """Return the number of patients, and each row's patient from 0."""
    if cohort.groups is None:
        return len(cohort.time), np.arange(len(cohort.time))
    ids, patient = np.unique(cohort.groups, return_inverse=True)
    return len(ids), patient


def resample(cohort: Cohort, seed: int, number: int) -> IntArray:
    """Return the rows of a bootstrap resample of the patients, repeats included."""
    n, patient = patients_of(cohort)
    drawn = np.random.default_rng([seed, number]).integers(n, size=n)
    return np.repeat(np.arange(len(patient)), np.bincount(drawn, minlength=n)[patient])


def folds(cohort: Cohort, k: int, seed: int, repeat: int) -> IntArray:
    """Return each row's fold: patients dealt out at random, those with an event first.

    Raises
    ------
    ModelError
        If there are too few patients, or patients with an event, for the folds.
    """
    n, patient = patients_of(cohort)
    died = np.bincount(patient, cohort.event) > 0
    if not 2 <= k <= n:
        raise ModelError(f"folds must be 2 to the number of patients, {n}; got {k}")
    if died.sum() < k:
        raise ModelError(
            f"{int(died.sum())} patients with an event leave a fold of {k} without one; use at "
            f"most {max(int(died.sum()), 2)} folds, or --method bootstrap"
        )
    shuffled = np.random.default_rng([seed, repeat]).permutation(n)
    dealt = shuffled[np.argsort(~died[shuffled], kind="stable")]
    fold = np.empty(n, dtype=np.intp)
    fold[dealt] = np.arange(n) % k
    found: IntArray = fold[patient]
    return found


def replicate(
    one: Callable[[int], T], asked: int, n_jobs: int, what: str = "resample"
) -> Replicates:
    """Do every replicate, in processes where that pays, and keep what is done if stopped.

    A replicate that raises `ModelError` or `ValueError` is counted with its reason. The first that
    can be done is done here and timed. Within `on_cluster` a cluster does the others, whatever the
    work; within `keeping` those that were done before are taken from the file.

    Raises
    ------
    ModelError
        If every replicate fails.
    InputError
        If the file of `keeping` is of other work.
    """
    found, here, kept = Replicates(asked), current(), None
    about = fingerprint(one) if here else {}
    before: dict[int, Outcome[T]] = {}
    started, new = clock.monotonic(), 0
    try:
        for number, outcome in _outcomes(one, asked, n_jobs, before):
            result, reason = outcome
            new += number not in before
            if reason is not None:
                found.failed[reason] += 1
            else:
                found.results.append(result)
                if here and kept is None:
                    kept = Kept.open(here.path, about, number, result)
                    here.used = True
                    before |= kept.done
            if kept:
                kept.add(number, outcome)
            left = (clock.monotonic() - started) / new * (asked - number - 1)
            doing(f"{what} {number + 1} of {asked}, {left:.0f} s left")
        if kept:
            kept.finish()
    except KeyboardInterrupt:
        found.stopped = True
        if here and kept:
            kept.save()
            here.stopped = f"{len(kept.done)} of {asked} {what}s"
        if not found.results:
            raise
    if asked and not found.results:
        reason, times = found.failed.most_common(1)[0]
        raise ModelError(
            f"no {what} supports the model: the cohort is too small for it; {times} times: {reason}"
        )
    return found


def _outcomes(
    one: Callable[[int], T], asked: int, n_jobs: int, before: Mapping[int, Outcome[T]]
) -> Iterator[tuple[int, Outcome[T]]]:
    """Give each number with its outcome, in order; `before` may grow after the first result."""
    spent, number = 0.0, -1
    for number in range(asked):
        started = clock.monotonic()
        outcome = _try(one, number)
        spent += clock.monotonic() - started
        yield number, outcome
        if outcome[1] is None:
            break
    rest = range(number + 1, asked)
    missing = [other for other in rest if other not in before]
    estimated = spent / (number + 1) * len(missing) if missing else 0.0
    fresh: Iterator[Outcome[T]]
    if not missing or (not clustered() and (n_jobs == 1 or estimated < SPREAD_FROM)):
        fresh = (_try(one, other) for other in missing)
    else:
        fresh = workers(n_jobs)(delayed(_alone)(one, other) for other in missing)
    for other in rest:
        yield other, before[other] if other in before else next(fresh)


def _alone(one: Callable[[int], T], number: int) -> Outcome[T]:
    # A cluster's worker would hand a forest's trees, one by one, back to the cluster.
    with parallel_config(backend="sequential"):
        return _try(one, number)


def _try(one: Callable[[int], T], number: int) -> Outcome[T]:
    try:
        return one(number), None
    except (ModelError, ValueError) as error:
        return None, str(error)

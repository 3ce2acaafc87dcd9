"""What was observed, checked once: times, events and clusters, and counts at each distinct time.

Everything in `riskscore.metrics` starts here; the functions behind the door trust their arguments.
At a tied time events come before censorings, as in R: whoever is censored at a time was still at
risk of the events at it. Times that differ by rounding alone are one time, as in R, and so are
scores and risks (`riskscore.ties`); horizons are compared with the times as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskscore.errors import InputError, Problem
from riskscore.metrics._estimates import FloatArray, IntArray
from riskscore.ties import RISK_TOLERANCE, join_scores, join_times, join_values

__all__ = [
    "Outcome",
    "check_horizons",
    "check_outcome",
    "check_risk",
    "check_score",
    "from_right",
    "sums",
]


@dataclass(frozen=True)
class Outcome:
    """Checked follow-up of n patients.

    Attributes
    ----------
    time : ndarray of shape (n,)
        Time to event or censoring.
    event : ndarray of bool, shape (n,)
        Whether the time ends with the event.
    cluster : ndarray of int, shape (n,), or None
        Which cluster (patient, where patients have several rows) each row belongs to.
    competing : ndarray of bool, shape (n,), or None
        Whether the time ends with an event after which the other cannot happen; None where no such
        event is declared. Whatever does not name it censors it.
    """

    time: FloatArray
    event: NDArray[np.bool_]
    cluster: IntArray | None = None
    competing: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def _distinct(self) -> tuple[FloatArray, IntArray]:
        times, index = np.unique(self.time, return_inverse=True)
        return times, index

    @property
    def times(self) -> FloatArray:
        """The distinct times, ascending."""
        return self._distinct[0]

    @property
    def index(self) -> IntArray:
        """Each patient's place among the distinct times."""
        return self._distinct[1]

    @cached_property
    def deaths(self) -> FloatArray:
        """Number of events at each distinct time."""
        return self.count(self.event)

    @cached_property
    def censored(self) -> FloatArray:
        """Number of censorings at each distinct time."""
        return self.count(~self.event)

    @cached_property
    def at_risk(self) -> FloatArray:
        """Number of patients at risk just before each distinct time."""
        return from_right(self.deaths + self.censored)

    def count(self, weight: NDArray[np.bool_] | FloatArray) -> FloatArray:
        """Return the sum of a weight over the patients of each distinct time."""
        return sums(self.index, weight, len(self.times))

    def place(self, horizon: float) -> int:
        """Return the place of the last distinct time not after the horizon; -1 if none."""
        return int(np.searchsorted(self.times, horizon, side="right")) - 1

    def until(self, horizon: float) -> Outcome:
        """Return the outcome administratively censored at a horizon.

        Follow-up beyond the horizon ends there without an event: nothing later is seen.
        """
        seen = self.time <= horizon
        competing = None if self.competing is None else self.competing & seen
        return Outcome(np.minimum(self.time, horizon), self.event & seen, self.cluster, competing)

    def clustered(self, influence: FloatArray) -> FloatArray:
        """Return influences summed within clusters (as they are where there is none)."""
        if self.cluster is None:
            return influence
        return sums(self.cluster, influence, int(self.cluster.max()) + 1)

    def standard_error(self, influence: FloatArray) -> float:
        """Return the standard error of a mean of influences, patients or clusters as the units.

        For single rows it is the standard deviation over the root of n; for clusters the same of
        the clusters' sums.
        """
        total = self.clustered(influence)
        return float(total.std(ddof=1) * np.sqrt(len(total)) / len(influence))


def sums(index: IntArray, weight: NDArray[np.bool_] | FloatArray, length: int) -> FloatArray:
    """Return the sum of a weight at each of `length` places."""
    return np.asarray(np.bincount(index, weight, length), dtype=np.float64)


def from_right(values: FloatArray) -> FloatArray:
    """Return sums from each place to the end."""
    total: FloatArray = np.cumsum(values[::-1])[::-1]
    return total


def check_outcome(
    time: ArrayLike,
    event: ArrayLike,
    groups: ArrayLike | None = None,
    competing: ArrayLike | None = None,
) -> Outcome:
    """Return the checked outcome, its times joined where they differ by rounding alone.

    Raises
    ------
    InputError
        If lengths differ, a time is negative, missing or infinite, an event is neither true nor
        false, a group is missing, nobody has an event, or somebody ends with both events.
    """
    problems: list[Problem] = []
    times = _numbers("time", time, 1, problems)
    events = _flags("event", event, len(times), problems)
    others = None if competing is None else _flags("competing", competing, len(times), problems)
    _each(times < 0, times, "time", "must not be negative", "count from the time origin", problems)
    cluster = None
    if groups is not None:
        labels = np.asarray(groups)
        _same_length(len(times), "groups", len(np.atleast_1d(labels)), problems)
        missing = labels != labels if labels.dtype.kind in "fO" else np.zeros(labels.shape, bool)
        if labels.dtype.kind == "O":
            missing |= np.array([label is None for label in labels.ravel()])
            labels = labels.astype(str)
        _each(missing, None, "groups", "must not be missing", "name every row's group", problems)
        cluster = np.unique(labels, return_inverse=True)[1]
        if not problems and cluster.max() < 1:
            problems.append(
                Problem(None, "groups", "must hold two or more groups", None, "leave it out")
            )
    if not problems and not events.any():
        problems.append(
            Problem(
                None, "event", f"is false for all {len(times)} patients: nothing happened", None,
                "validate on a cohort with events, or with longer follow-up",
            )
        )  # fmt: skip
    if not problems and others is not None:
        rule, remedy = "must not be true where event is", "keep the one that came first"
        _each(others & events, None, "competing", rule, remedy, problems)
    if problems:
        raise InputError(problems)
    return Outcome(join_times(times), events, cluster, others)


def _flags(name: str, given: ArrayLike, n: int, problems: list[Problem]) -> NDArray[np.bool_]:
    found = np.asarray(given)
    if found.ndim != 1 or not (
        found.dtype == bool or (found.dtype.kind in "iuf" and bool(np.isin(found, (0, 1)).all()))
    ):
        problems.append(
            Problem(
                None, name, "must be one array of true and false (or 1 and 0)", None,
                "write true where the event was seen, false where follow-up ended without it",
            )
        )  # fmt: skip
    _same_length(n, name, len(np.atleast_1d(found)), problems)
    return found.astype(bool) if not problems else np.zeros(found.shape, dtype=bool)


def check_score(outcome: Outcome, score: ArrayLike, name: str = "risk_score") -> FloatArray:
    """Return a checked score, one finite number a patient, ties joined; higher is worse.

    Raises
    ------
    InputError
        If the length differs or a value is missing or infinite.
    """
    problems: list[Problem] = []
    found = _numbers(name, score, 1, problems)
    _same_length(len(outcome), name, len(found), problems)
    if problems:
        raise InputError(problems)
    return join_scores(found)


def check_risk(
    outcome: Outcome, survival: ArrayLike, columns: int, name: str = "survival"
) -> FloatArray:
    """Return the checked risk, 1 - survival, of shape (n, columns), ties in a column joined.

    Raises
    ------
    InputError
        If the shape differs, a value is missing or not a probability, or a patient's survival
        rises with time (columns in another order than the horizons, or risk given for survival).
    """
    problems: list[Problem] = []
    given = np.asarray(survival)
    found = _numbers(
        name, given[:, None] if given.ndim == 1 and columns == 1 else given, 2, problems
    )
    if not problems:
        _same_length(len(outcome), name, len(found), problems)
        if found.shape[1] != columns:
            problems.append(
                Problem(
                    None, name, f"must have one column a horizon, {columns}", found.shape[1],
                    "give survival at each horizon",
                )
            )  # fmt: skip
    if not problems:
        outside = ((found < 0) | (found > 1)).any(axis=1)
        remedy = "give the probability of being event-free"
        _each(outside, None, name, "must be 0 to 1", remedy, problems)
        # A float32 graph may leave two equal values apart in the last place.
        rising = (np.diff(found, axis=1) > 1e-6).any(axis=1)
        rule = "must not rise with time"
        remedy = "order the columns as the horizons; give survival, not risk"
        _each(rising, None, name, rule, remedy, problems)
    if problems:
        raise InputError(problems)
    risk = 1 - found
    return np.column_stack([join_values(column, RISK_TOLERANCE) for column in risk.T])


def check_horizons(outcome: Outcome, horizons: ArrayLike, name: str = "horizons") -> FloatArray:
    """Return checked horizons, ascending: each with an event before and a patient beyond it.

    Raises
    ------
    InputError
        If one is not positive, comes twice or out of order, has no event up to it, or has nobody
        followed beyond it.
    """
    problems: list[Problem] = []
    found = _numbers(name, np.atleast_1d(np.asarray(horizons)), 1, problems)
    if not problems and (np.diff(found) <= 0).any():
        problems.append(
            Problem(None, name, "must ascend", None, "sort them and leave out what comes twice")
        )
    first, last = outcome.time[outcome.event].min(), outcome.time.max()
    for horizon in found:
        if not horizon < last:
            problems.append(
                Problem(
                    None, name, f"must lie before the longest follow-up, {last:g}", float(horizon),
                    "choose an earlier horizon: nobody is known to be event-free beyond this one",
                )
            )  # fmt: skip
        elif horizon < first:
            problems.append(
                Problem(
                    None, name, f"must not lie before the first event, {first:g}", float(horizon),
                    "choose a later horizon: nobody has had the event by this one",
                )
            )  # fmt: skip
    if problems:
        raise InputError(problems)
    return found


def _numbers(name: str, values: ArrayLike, ndim: int, problems: list[Problem]) -> FloatArray:
    """Return float64 of the wanted dimensions; note what is not a finite number."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        problems.append(Problem(None, name, "must be numbers", None, "convert it to float"))
        return np.zeros((1,) * ndim)
    if found.ndim != ndim or not found.size:
        shape = "one array of numbers" if ndim == 1 else "a table: patients by horizons"
        problems.append(
            Problem(None, name, f"must be {shape}, not empty", str(found.shape), "reshape it")
        )
        return np.zeros((1,) * ndim)
    missing = ~np.isfinite(found)
    if missing.any():
        rows = missing.reshape(len(found), -1).any(axis=1)
        _each(rows, None, name, "must be a finite number", "leave the row out or fill it", problems)
    return found


def _same_length(n: int, name: str, length: int, problems: list[Problem]) -> None:
    if length != n:
        problems.append(
            Problem(None, name, f"must have one entry a patient, {n}", length, "align the arrays")
        )


def _each(
    wrong: ArrayLike,
    values: FloatArray | None,
    name: str,
    rule: str,
    remedy: str,
    problems: list[Problem],
) -> None:
    """Note one problem a wrong row, rows counted from 1."""
    for row in np.flatnonzero(np.asarray(wrong)):
        value = None if values is None else float(values[row])
        problems.append(Problem(int(row) + 1, name, rule, value, remedy))

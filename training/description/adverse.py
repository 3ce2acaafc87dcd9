"""Tables 3 and 4 of a published study: adverse events, given to the rows of a cohort.

Nothing that was published ties an adverse event to any property of a patient but the arm. So the
columns are filled from the printed counts alone, in an order that a hash of patient and event
decides: the same for everybody who does it, and related to nothing else in the row. What they show
agrees with the source by construction and says nothing about the patients. They are made when a
cohort is described, for any reconstructed cohort alike, and are not part of its file.

A table may print a group size that is not the arm's: the source's Table 3 prints 42 controls where
48 stand elsewhere. The arm's own size is taken here; the rows say which of the two the printed P
values, 0.835, 0.950 and 0.950, follow (48 gives 0.836, 0.950, 0.950; 42 gives 0.498, 0.637, 0.306).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.description.contrasts import compare_counts
from training.description.reports import EVENT_PREFIX
from training.published.records import AdverseEvent, Published
from training.reconstruction.rows import Row, counted

__all__ = ["adverse_rows", "column_of", "with_adverse_events"]

NUMERALS = ("I", "II", "III", "IV", "V")
BY_CONSTRUCTION = "agrees by construction: the column was filled from these counts"


def column_of(label: str) -> str:
    """Return the column of an adverse event.

    Examples
    --------
    >>> column_of("Hand-foot syndrome")
    'ae_hand_foot_syndrome'
    """
    return EVENT_PREFIX + "_".join(
        "".join(c if c.isalnum() else " " for c in label).lower().split()
    )


def with_adverse_events(frame: pd.DataFrame, published: Published, by: str) -> pd.DataFrame:
    """Return the cohort with a column for each published adverse event; nothing else changes.

    Parameters
    ----------
    frame : DataFrame
        With the columns `patient` and `by`. An arm smaller than a count has the event throughout.
    published : Published
    by : str
        Column of the arms.

    Returns
    -------
    DataFrame
        A copy. Events without grades hold "no" or "yes"; graded ones "0" to "5", and an empty text
        in the arms for which the source reports nothing.
    """
    arms = {arm.id: np.flatnonzero(frame[by].astype(str) == arm.id) for arm in published.arms}
    columns = {}
    for event in published.adverse_events:
        values = np.full(len(frame), "no", dtype=object)
        for (arm, members), count in zip(arms.items(), event.count, strict=True):
            values[_order(frame, members, f"{event.label} {arm}")[:count]] = "yes"
        columns[column_of(event.label)] = values
    for graded in published.graded_events:
        values = np.full(len(frame), "", dtype=object)
        members = arms[graded.arm]
        values[members] = "0"
        order = _order(frame, members, f"{graded.label} {graded.arm}")
        drawn = np.repeat(np.arange(1, len(graded.grades) + 1), graded.grades)
        values[order[: len(drawn)]] = drawn[: len(order)].astype(str)
        columns[column_of(graded.label)] = values
    return frame.assign(**columns)


def adverse_rows(frame: pd.DataFrame, published: Published, by: str) -> Iterator[Row]:
    """Yield published against reproduced for a cohort that `with_adverse_events` completed."""
    arms = [(frame[by].astype(str) == arm.id).to_numpy() for arm in published.arms]
    sizes = [int(arm.sum()) for arm in arms]
    for event in published.adverse_events:
        has = (frame[column_of(event.label)] == "yes").to_numpy()
        found = [int((has & arm).sum()) for arm in arms]
        row = counted(event.where, event.label, event.count, found)
        yield replace(row, note=BY_CONSTRUCTION)
        if event.p is not None:
            yield _p_row(event, found, sizes)
    for graded in published.graded_events:
        arm = arms[[a.id for a in published.arms].index(graded.arm)]
        codes = frame[column_of(graded.label)].to_numpy()[arm]
        row = counted(
            graded.where, f"{graded.label}: total", [graded.total], [int((codes != "0").sum())]
        )
        yield replace(row, note=BY_CONSTRUCTION)
        for i, count in enumerate(graded.grades):
            number = int((codes == str(i + 1)).sum())
            row = counted(graded.where, f"{graded.label}: grade {NUMERALS[i]}", [count], [number])
            yield replace(row, note=BY_CONSTRUCTION)


def _p_row(event: AdverseEvent, found: list[int], sizes: list[int]) -> Row:
    test = compare_counts([found, [n - k for n, k in zip(sizes, found, strict=True)]])
    shown = "no events" if test is None else f"{test.p:.3f}"
    note = ""
    if list(event.n) != sizes:
        printed, own = "/".join(map(str, event.n)), "/".join(map(str, sizes))
        other = compare_counts([found, [n - k for n, k in zip(event.n, found, strict=True)]])
        note = f"sizes {printed} printed, {own} taken"
        if event.p is not None and test is not None and other is not None:
            last_digit = 2 * event.p.half_unit
            ours, theirs = (abs(event.p.value - t.p) <= last_digit for t in (test, other))
            fits = (
                "taken" if ours and not theirs else "printed" if theirs and not ours else "either"
            )
            note += f" (P {other.p:.3f} from those printed): the P fits the sizes {fits}"
    return Row(event.where, f"{event.label}: P", str(event.p), shown, note=note)


def _order(frame: pd.DataFrame, members: NDArray[np.intp], event: str) -> NDArray[np.intp]:
    """Return the members in the order of a hash of their name and the event."""
    keys = [
        hashlib.sha256(f"{event} {patient}".encode()).digest()
        for patient in frame["patient"].astype(str).to_numpy()[members]
    ]
    return members[sorted(range(len(members)), key=lambda i: keys[i])]

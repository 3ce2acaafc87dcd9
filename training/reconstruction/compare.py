"""A cohort beside everything that was published about it."""

from __future__ import annotations

import pandas as pd

from training.published import Published
from training.reconstruction.baseline import baseline_rows
from training.reconstruction.coherence import coherence_rows
from training.reconstruction.effects import implied_rows, regression_rows, time_rows
from training.reconstruction.rows import Row
from training.reconstruction.subject import subject

__all__ = ["compare"]


def compare(frame: pd.DataFrame, published: Published) -> tuple[Row, ...]:
    """Return published against reproduced, one row a figure, in the order of the source.

    Parameters
    ----------
    frame : DataFrame
        A cohort with the study's columns, `response_1m` and `response_3m`.
    published : Published

    Raises
    ------
    InputError
        If the table is not a cohort of the study; every problem is listed.
    """
    cohort = subject(frame, published)
    rows = (baseline_rows, time_rows, regression_rows, implied_rows, coherence_rows)
    return tuple(row for part in rows for row in part(cohort))

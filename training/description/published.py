"""Published against reproduced: a cohort beside every figure of the study it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pandas as pd

from riskscore.study import load_study
from training.description.adverse import adverse_rows, with_adverse_events
from training.published import DEB_TACE, Published, load_published
from training.reconstruction import Row, compare

__all__ = ["Description", "describe"]

WIDTHS = (41, 17, 16, 12)
"""Columns of the text; with "not asked" and a note's number a line is 100 characters at most."""


@dataclass(frozen=True)
class Description:
    """Every published figure beside the cohort's.

    Attributes
    ----------
    rows : tuple of Row
        What a reconstruction has to reproduce, in the order of the source.
    constructed : tuple of Row
        Adverse events, which were filled in from the printed counts: they are shown, and are not
        counted as figures that the cohort reproduces.
    """

    rows: tuple[Row, ...]
    constructed: tuple[Row, ...] = ()

    @property
    def missed(self) -> tuple[Row, ...]:
        """The figures that were asked of the cohort and that it does not have."""
        return tuple(row for row in self.rows if row.agrees == "no")

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table of text with the columns of `Row`."""
        return pd.DataFrame([asdict(row) for row in (*self.rows, *self.constructed)])

    def text(self) -> str:
        """Return the table as aligned text, at most 100 characters wide."""
        return "\n".join([self.summary(), *self._lines()])

    def summary(self) -> str:
        """Return in one line how many figures agree."""
        asked = sum(row.agrees != "not asked" for row in self.rows)
        return (
            f"{asked - len(self.missed)} of {asked} figures asked of the cohort agree; "
            f"{len(self.rows) - asked} more are shown and were not pursued"
        ) + self._constructed()

    def _constructed(self) -> str:
        counts = [row for row in self.constructed if row.agrees != "not asked"]
        agree = sum(row.agrees == "yes" for row in counts)
        if not counts:
            return ""
        return f"\n{agree} of {len(counts)} adverse-event counts agree, by construction"

    def _lines(self) -> Iterator[str]:
        notes: dict[str, int] = {}
        where = ""
        yield _line("", "published", "reproduced", "tolerance", "agrees")
        for row in (*self.rows, *self.constructed):
            if row.where != where:
                where = row.where
                yield where
            mark = ""
            if row.note:
                mark = f" [{notes.setdefault(row.note, len(notes) + 1)}]"
            yield _line(
                " " + row.quantity, row.published, row.reproduced, row.tolerance, row.agrees + mark
            )
        for note, number in notes.items():
            yield f"[{number}] {note}"


def describe(cohort: pd.DataFrame, published: Published | None = None) -> Description:
    """Compare a cohort with a published study.

    Parameters
    ----------
    cohort : DataFrame
        With the study's columns and the responses, as `reconstruct` makes it.
    published : Published, optional
        By default the study behind the shipped models.

    Raises
    ------
    InputError
        If the table is not a cohort of the study; every problem is listed.
    """
    published = published or load_published(DEB_TACE)
    rows = compare(cohort, published)
    by = load_study(published.study.study).treatment
    if by is None or "patient" not in cohort:
        return Description(rows)
    completed = with_adverse_events(cohort, published, by.name)
    return Description(rows, tuple(adverse_rows(completed, published, by.name)))


def _line(*cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)]
    return "".join([*padded, *cells[len(WIDTHS) :]]).rstrip()

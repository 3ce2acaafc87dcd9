"""Published against reproduced: a cohort beside every figure of the study it stands for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from riskscore.tables import read_table
from training.published import DEB_TACE, DEB_TACE_COHORT, Published, load_published
from training.reconstruction import Row, compare

__all__ = ["Description", "add_describe_parser", "describe"]

WIDTHS = (42, 17, 16, 12)
"""Columns of the text; with "not asked" and a note's number a line is 100 characters at most."""


@dataclass(frozen=True)
class Description:
    """Every published figure beside the cohort's.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the source.
    """

    rows: tuple[Row, ...]

    @property
    def missed(self) -> tuple[Row, ...]:
        """The figures that were asked of the cohort and that it does not have."""
        return tuple(row for row in self.rows if row.agrees == "no")

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table of text with the columns of `Row`."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def text(self) -> str:
        """Return the table as aligned text, at most 100 characters wide."""
        return "\n".join([self.summary(), *self._lines()])

    def summary(self) -> str:
        """Return in one line how many figures agree."""
        asked = sum(row.agrees != "not asked" for row in self.rows)
        return (
            f"{asked - len(self.missed)} of {asked} figures asked of the cohort agree; "
            f"{len(self.rows) - asked} more are shown and were not pursued"
        )

    def _lines(self) -> Iterator[str]:
        notes: dict[str, int] = {}
        where = ""
        yield _line("", "published", "reproduced", "tolerance", "agrees")
        for row in self.rows:
            if row.where != where:
                where = row.where
                yield where
            mark = ""
            if row.note:
                mark = f" [{notes.setdefault(row.note, len(notes) + 1)}]"
            yield _line(
                "  " + row.quantity, row.published, row.reproduced, row.tolerance, row.agrees + mark
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
    return Description(compare(cohort, published or load_published(DEB_TACE)))


def add_describe_parser(commands: Any) -> None:
    """Add the command `describe`."""
    parser = commands.add_parser("describe", help="show published against reproduced figures")
    parser.add_argument(
        "--cohort", default=str(DEB_TACE_COHORT), help="table (default: the reconstructed cohort)"
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    print(describe(read_table(chosen.cohort)).text())
    return 0


def _line(*cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)]
    return "".join([*padded, *cells[len(WIDTHS) :]]).rstrip()

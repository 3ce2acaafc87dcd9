"""Reading and writing tables of patients: CSV, Parquet and Excel.

Text stays text and numbers become numbers by what the *study* says of a column, not by guessing:
"NA" is a value like any other until a study says otherwise.
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from riskscore.errors import InputError, Problem
from riskscore.study import Predictor

__all__ = [
    "columns_of",
    "numeric",
    "read_table",
    "repeated_columns",
    "write_atomically",
    "write_table",
]

SUFFIXES = {".csv": "CSV", ".parquet": "Parquet", ".xlsx": "Excel"}


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table as it stands.

    Parameters
    ----------
    path : str or Path
        A file ending in .csv (comma-separated, UTF-8, a header line), .parquet or .xlsx (first
        sheet). Parquet and Excel need the extra `riskscore[tables]`.

    Returns
    -------
    DataFrame
        CSV cells are text, an empty cell is an empty text; Parquet and Excel keep their types.

    Raises
    ------
    InputError
        If the file is missing, empty, not a table, or of another kind.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        rule = f"must end in {', '.join(SUFFIXES)}"
        raise InputError([_file(rule, file.suffix or "no ending", "save it as CSV")], file.name)
    if not file.is_file():
        raise InputError([_file("must exist", None, "check the path")], str(path))
    if file.stat().st_size == 0:
        raise InputError([_file("must not be empty", None, "export it again")], file.name)
    try:
        frame = _read(file, suffix)
    except ImportError as error:
        remedy = "pip install riskscore[tables], or save it as CSV"
        raise InputError([_file(f"needs {error.name}", None, remedy)], file.name) from error
    except Exception as error:  # each reader has errors of its own; all mean "not such a table"
        reason = str(error).splitlines()[0][:200]
        remedy = f"export it as {SUFFIXES[suffix]} again"
        rule = f"must be readable as {SUFFIXES[suffix]} ({reason})"
        raise InputError([_file(rule, None, remedy)], file.name) from error
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    if wrong := repeated_columns(frame):
        raise InputError(wrong, file.name)
    if frame.empty:
        raise InputError([_file("has no rows", None, "export it again")], file.name)
    return frame


def columns_of(frame: pd.DataFrame, predictors: Sequence[Predictor]) -> dict[str, Any]:
    """Return the table's columns, those of predictors as lists of plain values ready to check.

    A number that was read as text becomes a number; a level that was read as a whole number
    (ECOG 1) becomes text. What cannot be read stays as it is, for the check to refuse.
    """
    columns: dict[str, Any] = {str(name): frame[name] for name in frame}
    for p in predictors:
        if p.name not in columns:
            continue
        series = columns[p.name]
        if not p.is_category:
            columns[p.name] = numeric(series)
        else:
            columns[p.name] = [_level_in(value, p) for value in series.tolist()]
    return columns


def repeated_columns(frame: pd.DataFrame) -> list[Problem]:
    """Return a problem for each name that two columns have: they cannot both be meant."""
    repeated = frame.columns[frame.columns.duplicated()].unique()
    return [Problem(None, str(n), "column stands twice", None, "name it once") for n in repeated]


def numeric(series: pd.Series[Any]) -> list[Any]:
    """Return the values with text that reads as a number turned into one."""
    if pd.api.types.is_numeric_dtype(series.dtype):
        values: list[Any] = series.tolist()
        return values
    return [_number_in(value) for value in series.tolist()]


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table as .csv, .parquet or .xlsx, whole or not at all."""
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        rule = f"must end in {', '.join(SUFFIXES)}"
        raise InputError([_file(rule, file.suffix or "no ending", "name it .csv")], file.name)
    with write_atomically(file) as partial:
        if suffix == ".csv":
            frame.to_csv(partial, index=False)
        elif suffix == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            frame.to_excel(partial, index=False)


@contextmanager
def write_atomically(path: str | Path, mode: int = 0o644) -> Iterator[Path]:
    """Give a file beside `path` to write to, and rename it to `path` if nothing was raised."""
    target = Path(path)
    if not target.parent.is_dir():
        problem = _file("must be in a folder that exists", str(target.parent), "make the folder")
        raise InputError([problem], target.name)
    handle, name = tempfile.mkstemp(suffix=target.suffix, prefix=".partial-", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _read(file: Path, suffix: str) -> pd.DataFrame:
    if suffix == ".csv":
        return _read_csv(file)
    if suffix == ".parquet":
        return pd.read_parquet(file)
    return pd.read_excel(file, keep_default_na=False)


def _read_csv(file: Path) -> pd.DataFrame:
    """Read every cell as text, and refuse rows that do not have the header's cells.

    pandas would take a longer row's first cell for an index, and rename a repeated column.
    """
    with file.open("rb") as stream:
        if b"\0" in stream.read(4096):
            raise ValueError("it holds binary data")
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.reader(stream, strict=True) if row]
    if not rows:
        raise ValueError("it holds no line")
    header, *body = rows
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
    return pd.DataFrame(body, columns=pd.Index(header), dtype=object)


def _level_in(value: Any, predictor: Predictor) -> Any:
    """Return the level that a whole number stands for: ECOG 1 was read as 1 or 1.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return value
    text = f"{value:.0f}"
    return text if text in predictor.index else value


def _number_in(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    # "nan" and "inf" are words here, not measurements.
    return number if math.isfinite(number) and "_" not in value else value


def _file(rule: str, value: object, remedy: str) -> Problem:
    return Problem(None, "file", rule, value, remedy)

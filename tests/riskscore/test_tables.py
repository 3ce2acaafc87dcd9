"""Tables are read by what the study says, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from riskscore.errors import InputError
from riskscore.study import load_study
from riskscore.tables import columns_of, numeric, read_table, write_atomically, write_table

STUDY = load_study("deb-tace-hcc").reduced("os", ("tumor_number", "age", "ecog"))
PREDICTORS = tuple(STUDY.predictors.values())
FRAME = pd.DataFrame({"tumor_number": ["<=3", ">3"], "age": [60.5, 71.0], "ecog": [0, 2]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
def test_the_three_kinds_read_alike(tmp_path: Path, suffix: str) -> None:
    """The same table gives the same values whatever file it came in."""
    path = tmp_path / f"t.{suffix}"
    write_table(FRAME, path)
    columns = columns_of(read_table(path), PREDICTORS)
    assert columns == {"tumor_number": ["<=3", ">3"], "age": [60.5, 71.0], "ecog": ["0", "2"]}


def test_na_is_a_text_like_any_other(tmp_path: Path) -> None:
    """Cells that pandas would take for missing stay what they are."""
    path = tmp_path / "t.csv"
    path.write_text("drug,age\nNA,60\nnull,\n")
    frame = read_table(path)
    assert frame["drug"].tolist() == ["NA", "null"]
    assert frame["age"].tolist() == ["60", ""]


def test_a_byte_order_mark_and_padded_headers_are_understood(tmp_path: Path) -> None:
    """What Excel writes as CSV is read."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfage , sex\n60,male\n")
    assert list(read_table(path).columns) == ["age", "sex"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", None, "file must exist"),
        ("t.csv", b"", "file must not be empty"),
        ("t.csv", b"age,sex\n", "file has no rows"),
        ("t.csv", b"\x00\x01PNG\x00", r"must be readable as CSV \(it holds binary data\)"),
        ("t.csv", b"age,sex\n\xff\xfe,1\n", "must be readable as CSV"),
        ("t.csv", b"a,b\n1,2\n1,2,3\n", r"CSV \(row 2 has 3 cells, the header 2\)"),
        ("t.csv", b"a,b\n1,2,\n3,4,\n", r"CSV \(row 1 has 3 cells, the header 2\)"),
        ("t.csv", b"a,b\n1\n", r"CSV \(row 1 has 1 cells, the header 2\)"),
        ("t.csv", b"a,a\n1,2\n", "a column stands twice; name it once"),
        ("t.csv", b"\n\n", r"must be readable as CSV \(it holds no line\)"),
        ("t.parquet", b"not parquet", "must be readable as Parquet"),
        ("t.xlsx", b"not excel", "must be readable as Excel"),
        ("t.sav", b"x", r"must end in .csv, .parquet, .xlsx, got '.sav'; save it as CSV"),
        ("t", b"x", "got 'no ending'"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Missing, empty, binary, ragged or of another kind: the error says which."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_a_level_that_was_read_as_a_number_is_understood_cell_by_cell() -> None:
    """One blank or broken cell does not spoil the column."""
    cells = [0, 1.0, None, 1.5, "2", True, 7]
    columns = columns_of(pd.DataFrame({"ecog": pd.Series(cells, dtype=object)}), PREDICTORS)
    assert columns["ecog"] == ["0", "1", None, 1.5, "2", True, 7]


def test_a_repeated_column_is_refused(tmp_path: Path) -> None:
    """Two columns of one name cannot both be meant."""
    path = tmp_path / "t.parquet"
    path.write_bytes(b"x")
    csv = tmp_path / "t.csv"
    csv.write_text("age,age \n1,2\n")
    with pytest.raises(InputError, match="age column stands twice"):
        read_table(csv)


def test_a_missing_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the remedy is the extra to install."""
    path = tmp_path / "t.parquet"
    write_table(FRAME, path)

    def absent(*_: object, **__: object) -> None:
        raise ImportError("no", name="pyarrow")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(InputError, match=r"needs pyarrow; pip install riskscore\[tables\]"):
        read_table(path)


def test_text_that_reads_as_a_number_becomes_one() -> None:
    """Words that Python would take for numbers stay words."""
    values = numeric(pd.Series(["60", " 1e2 ", "sixty", "nan", "inf", "1_000", ""], dtype=object))
    assert values == [60.0, 100.0, "sixty", "nan", "inf", "1_000", ""]


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    """The old file stays and no partial file remains."""
    path = tmp_path / "t.csv"
    path.write_text("old")

    def fail() -> None:
        with write_atomically(path) as partial:
            partial.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.txt", "must end in .csv, .parquet, .xlsx"),
        ("no/t.csv", "must be in a folder that exists"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """Neither a kind nor a folder is invented."""
    with pytest.raises(InputError, match=message):
        write_table(FRAME, tmp_path / name)


def test_other_columns_are_left_alone() -> None:
    """They stay known by name, so that a misspelt predictor can be recognised."""
    columns = columns_of(pd.DataFrame({"ages": [1, 2, 3]}), PREDICTORS)
    assert list(columns) == ["ages"]
    assert len(columns["ages"]) == 3

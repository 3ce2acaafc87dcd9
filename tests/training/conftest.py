"""The committed reconstruction, and one of another seed: rows as a reader of the file has them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from training.__main__ import main
from training.published import DEB_TACE_COHORT


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a cohort, with ECOG as the level it is."""
    return pd.read_csv(path, dtype={"ecog": str})


@pytest.fixture(scope="session")
def committed() -> pd.DataFrame:
    """Return the committed rows."""
    return read(DEB_TACE_COHORT)


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return the rows of another seed, written and read as the committed ones are."""
    path = tmp_path_factory.mktemp("seed") / "cohort.csv"
    assert main(["reconstruct", "--seed", "2025", "--out", str(path)]) == 0
    return read(path)

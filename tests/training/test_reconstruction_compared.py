"""The comparison with what was published tells every figure that a cohort misses."""

from __future__ import annotations

import pandas as pd
import pytest

from riskscore.errors import InputError
from riskscore.tables import read_table
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction import (
    compare,
)


def test_a_cohort_that_misses_a_figure_is_found_out(committed: pd.DataFrame) -> None:
    """One death more changes figures, and the comparison says which."""
    published = load_published(DEB_TACE)
    changed = committed.copy()
    changed.loc[changed.index[changed["death"] == 0][:1], "death"] = 1
    missed = {row.quantity for row in compare(changed, published) if row.agrees == "no"}
    assert "OS log-rank chi-square" in missed
    assert "treatment: HR (Efron)" in missed


def test_a_table_that_is_no_cohort_is_refused_with_every_problem(committed: pd.DataFrame) -> None:
    """Every missing column is named at once."""
    published = load_published(DEB_TACE)
    with pytest.raises(InputError, match="response_3m column is missing") as caught:
        compare(committed.drop(columns=["response_3m", "ecog"]), published)
    assert {problem.field for problem in caught.value.problems} >= {"response_3m", "ecog"}


def test_read_as_text_a_cohort_compares_alike(committed: pd.DataFrame) -> None:
    """Cells read as text give the same figures."""
    published = load_published(DEB_TACE)
    assert compare(read_table(DEB_TACE_COHORT), published) == compare(committed, published)


def test_an_effect_that_cannot_be_estimated_is_said_to_be_so(committed: pd.DataFrame) -> None:
    """A trait carried by one survivor alone has no hazard ratio, and the rest is still told."""
    changed = committed.assign(sex="male")
    changed.loc[changed["os_months"].idxmax(), "sex"] = "female"
    rows = {row.quantity: row for row in compare(changed, load_published(DEB_TACE))}
    assert rows["sex alone: HR"].reproduced == "not estimable"
    assert rows["sex: male"].agrees == "no"

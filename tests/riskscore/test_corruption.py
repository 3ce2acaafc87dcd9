"""Bundles corrupted at random; `tests/benchmarks/bundle_corruption.py` tries 5,000 of them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from riskscore import RiskModel, load_model
from tests.corruption import ANSWERED, REFUSED, corrupt, judge, make_bundles, patients

Whole = tuple[Path, RiskModel, NDArray[np.float64]]

GROUPS, CASES = 9, 30


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Whole]:
    """Return a bundle of each kind, its model, and patients to ask it about."""
    paths = make_bundles(tmp_path_factory.mktemp("whole")).values()
    models = [load_model(path) for path in paths]
    return [(p, m, patients(m)) for p, m in zip(paths, models, strict=True)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX's")
@pytest.mark.parametrize("group", range(GROUPS))
def test_a_corrupted_bundle_is_refused_by_name_or_another_model(
    bundles: list[Whole], tmp_path: Path, group: int
) -> None:
    """Never a traceback, never what is no survival, never another answer under the same digest."""
    whole, original, X = bundles[group]
    other = bundles[group - 1][0]
    outcomes: Counter[str] = Counter()
    for case in range(CASES):
        copy = Path(shutil.copytree(whole, tmp_path / f"{case}"))
        damage = corrupt(copy, other, case + 1000 * group)
        try:
            outcome, _ = judge(copy, original, X)
        except Exception as error:
            pytest.fail(f"case {case + 1000 * group}, {damage}: {type(error).__name__}: {error}")
        outcomes[outcome] += 1
        shutil.rmtree(copy)
    assert outcomes[REFUSED] >= CASES // 2, "half of them have hashes that do not match"
    assert outcomes[REFUSED] + outcomes[ANSWERED] > 0.8 * CASES

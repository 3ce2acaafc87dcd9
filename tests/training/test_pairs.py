"""The pairs behind a concordance: right, wrong, the same score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.metrics import concordance
from riskscore.study import load_study
from riskscore.text import in_100, pairs_in_words
from tests.conftest import PATIENT, simulate
from training.cohort import Cohort, check_cohort
from training.evaluate import pairs
from training.fit import Settings, fit
from training.validation.report import summary_lines
from training.validation.validating import validate


def counted(time: Any, event: Any, score: Any) -> tuple[int, int, int]:
    """Count the comparable pairs one by one: right, wrong, the same."""
    counts = [0, 0, 0]
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                counts[0 if score[i] > score[j] else 1 if score[i] < score[j] else 2] += 1
    return counts[0], counts[1], counts[2]


@pytest.fixture(scope="module")
def small() -> Cohort:
    """Return 80 simulated patients of four traits: many have the same score."""
    return check_cohort(simulate(80, 3), load_study("deb-tace-hcc"), "os", list(PATIENT))


def test_pairs_are_those_counted_one_by_one(small: Cohort) -> None:
    """In-sample and out-of-bag shares add up to 1, and half of the ties is right."""
    fitted = fit(small, "cox", Settings(n_jobs=1))
    c = fitted.evaluation["concordance"]
    score = np.round(fitted.pipeline.predict(small.X), 12)  # equal patients, equal scores
    expected = counted(small.time, small.event, score)
    shares = c["pairs"]["in_sample"]
    for name, n in zip(("right", "wrong", "same"), expected, strict=True):
        assert shares[name] == pytest.approx(n / sum(expected), abs=1e-12)  # quotients of counts
    assert shares["same"] > 0.05
    for where in ("in_sample", "out_of_bag"):
        p = c["pairs"][where]
        assert sum(p.values()) == pytest.approx(1, abs=1e-12)  # a sum of three quotients
        assert p["right"] + p["same"] / 2 == pytest.approx(c[where], abs=1e-12)
    with_nan = np.where(np.arange(80) < 5, np.nan, score)
    assert sum(pairs(small, with_nan).values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("method", ["bootstrap", "cv", "632plus"])
def test_a_validation_says_the_pairs_behind_its_concordance(small: Cohort, method: str) -> None:
    """Corrected and held-out shares make up the concordance beside them; .632+ has none."""
    found = validate(small, "cox", Settings(n_jobs=1, replicates=20), method)
    if method == "632plus":
        assert "pairs" not in found
        return
    p = found["pairs"]
    assert sum(p.values()) == pytest.approx(1, abs=1e-12)  # a mean of sums of quotients
    assert p["right"] + p["same"] / 2 == pytest.approx(found["concordance"]["value"], abs=1e-12)
    if method == "bootstrap":
        assert f"  of 100 pairs: {pairs_in_words(**p)}" in summary_lines(found)


def test_pairs_in_words() -> None:
    """Whole numbers that add up to 100; where no score is shared, none is spoken of."""
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "event": [1, 1, 0, 1], "score": [4, 2, 2, 3]})
    found = concordance(frame["time"], frame["event"], frame["score"])
    assert counted(frame["time"], frame["event"], frame["score"]) == (3, 1, 1)
    assert found.in_words == "60 right, 20 wrong, 20 the same"
    assert found.shares == {"right": 0.6, "wrong": 0.2, "same": 0.2}
    assert pairs_in_words(3, 1, 0) == "75 right, 25 wrong"
    for parts in ((1, 1, 1), (1, 2, 4), (0.005, 0.005, 0.99)):
        assert sum(in_100(parts)) == 100

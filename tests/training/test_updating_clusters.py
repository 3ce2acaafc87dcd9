"""Updating a Cox bundle on repeated rows of patients: against R, and on simulated truths."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.bundle import open_bundle
from riskscore.study import Study, load_study
from tests.conftest import PATIENT
from training.cohort import check_cohort
from training.fit import fit
from training.updating import Candidates, closed_test, update

ORACLE = Path(__file__).parents[1] / "oracle"
R: dict[str, Any] = json.loads((ORACLE / "updating_clusters.json").read_text(encoding="utf-8"))

AGREEMENT = 1e-6
"""As in test_updating: R iterates to a relative 1e-12."""

B = np.array([0.7, -0.5, 0.4])
EDGES = np.array([6.0, 12.0, 18.0, 36.0])


def clustered_study() -> Study:
    """Return the study deb-tace-hcc with repeated rows of a patient."""
    declared = load_study("deb-tace-hcc").to_dict()
    declared["study"]["cluster"] = "patient"
    return Study.from_dict(declared)


def test_the_figures_and_tests_are_rs(tmp_path: Path) -> None:
    """Slope and robust scores: coxph with cluster, and R's residuals summed by patient."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    predictors = [*PATIENT, "age"]
    odd = frame["patient"] % 2 == 1
    fit(check_cohort(frame[odd], load_study("deb-tace-hcc"), "os", predictors), "cox").write(
        tmp_path / "b"
    )
    new = frame[~odd].assign(patient=np.arange((~odd).sum()) // 3)
    cohort = check_cohort(new, clustered_study(), "os", predictors)
    assert cohort.n_patients == R["clusters"]
    said = update(open_bundle(tmp_path / "b"), cohort).said
    large, theirs = said["original"]["in_the_large"], R["large"]
    assert large["observed_expected"] == pytest.approx(theirs["ratio"], rel=AGREEMENT)
    width = np.log(large["upper"] / large["lower"]) / 2 / 1.959963984540054
    assert width == pytest.approx(theirs["se"], rel=AGREEMENT)
    for name in ("value", "se"):
        assert said["slope"][name] == pytest.approx(R["slope"][name], rel=AGREEMENT)
    for ours, test in zip(
        (large["test"], *said["tests"]),
        (theirs, R["original"], R["baseline"], R["slope_only"]),
        strict=True,
    ):
        assert ours["df"] == test["df"]
        assert ours["chi_square"] == pytest.approx(test["chi_square"], rel=AGREEMENT)
        assert ours["p"] == pytest.approx(test["p"], rel=AGREEMENT)
    assert all("rows of a patient taken together" in t["likelihood"] for t in said["tests"])


def truth(seed: int, coef: Any, shift: float = 0.0, together: bool = True) -> Candidates:
    """Return the closed test of 200 patients with one to six rows each, on a model that is right.

    Rows of a patient share their terms and, in half of the patients, one chance of an early event.
    """
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(200), random.integers(1, 7, 200))
    traits = random.random(200) < 0.35, random.random(200) < 0.45, random.normal(size=200)
    Z = np.column_stack(traits).astype(float)[of]
    alike = (random.random(200) < 0.5)[of]
    chance = np.where(alike, random.exponential(1, 200)[of], random.exponential(1, len(of)))
    death = 18 * (chance * np.exp(-Z @ np.array(coef) - shift)) ** (1 / 1.4)
    censored = random.uniform(8, 36, len(of))
    time, event = np.minimum(death, censored), death <= censored
    until = np.minimum(time[:, None], np.r_[0.0, EDGES])
    exposure = np.diff((until / 18) ** 1.4, axis=1) * np.exp(Z @ B)[:, None]
    happened = event[:, None] & (np.searchsorted(EDGES, time)[:, None] == np.arange(4))
    return closed_test(Z, B, exposure, happened, time, event, cluster=of if together else None)


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        ("original", {"coef": B}),
        ("baseline", {"coef": B, "shift": 0.5}),
        ("slope", {"coef": 0.2 * B}),
        ("refit", {"coef": [-0.2, 0.6, 0.4]}),
    ],
    ids=["same", "level", "slope", "coefficients"],
)
def test_the_closed_test_finds_what_differs(answer: str, differs: dict[str, Any]) -> None:
    """A right model is kept in 95 % of cohorts with repeated rows; what is wrong is found."""
    cohorts = 400
    chosen = Counter(truth(seed, **differs).chosen for seed in range(cohorts))
    # Four standard errors of a share of 0.95 in 400 cohorts are 0.044.
    assert chosen[answer] / cohorts >= 0.95 - 0.044
    if answer == "original":
        assert chosen[answer] / cohorts <= 0.95 + 0.044


def test_likelihood_ratios_would_change_a_right_model() -> None:
    """Taken as independent, the same rows reject it in more than a quarter of the cohorts."""
    chosen = [truth(seed, B, together=False).chosen for seed in range(100)]
    assert chosen.count("original") < 75


def test_the_slope_s_interval_covers_it() -> None:
    """In 300 cohorts; the standard error of independent rows is a third too small."""
    slopes = [truth(seed, B).slope for seed in range(300)]
    covered = np.mean([low <= 1 <= high for low, high in (s.bounds for s in slopes)])
    # Four standard errors of a share of 0.95 in 300 cohorts are 0.05; over 1,500 it was 0.942.
    assert 0.90 <= covered <= 0.99
    naive = [truth(seed, B, together=False).slope.se for seed in range(50)]
    assert np.mean(naive) < 0.75 * np.mean([s.se for s in slopes])


def test_repeated_rows_are_updated(tmp_path: Path) -> None:
    """Every row is two: figures as of one row each, and intervals that are no narrower."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    predictors = [*PATIENT, "age"]
    half = len(frame) // 2
    fit(check_cohort(frame[:half], load_study("deb-tace-hcc"), "os", predictors), "cox").write(
        tmp_path / "b"
    )
    bundle, new = open_bundle(tmp_path / "b"), frame[half:]
    twice = pd.concat([new, new])
    one = update(bundle, check_cohort(new, load_study("deb-tace-hcc"), "os", predictors)).said
    two = update(bundle, check_cohort(twice, clustered_study(), "os", predictors)).said
    for said in (one, two):
        said["width"] = said["slope"]["upper"] - said["slope"]["lower"]
        large = said["original"]["in_the_large"]
        said["large"] = np.log(large["upper"] / large["lower"])
    # The robust error of 120 independent rows is near the model's: 20 %; half the rows, 41 %.
    assert two["width"] == pytest.approx(one["width"], rel=0.2)
    assert two["large"] == pytest.approx(one["large"], rel=0.2)
    assert update(bundle, check_cohort(twice, clustered_study(), "os", predictors), "slope").fitted

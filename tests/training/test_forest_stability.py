"""The stability band: its arithmetic, what it holds, and the same band from the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.pipeline import Pipeline

from riskscore import load_model
from riskscore.study import load_study
from tests.benchmarks.forest_stability import TIMES, answers, coverage, sample
from tests.conftest import simulate
from tests.training.exported import run
from tests.training.test_onnx_export import CORE, on_thresholds, rows
from training.cohort import Cohort, check_cohort
from training.encoding import StudyEncoder
from training.export import to_onnx
from training.fit import Settings, fit
from training.forest import BAG, CompactForest
from training.forest.little_bags import LEAST_RATIO, band, debiased
from training.run import CORE_FOUR

BOUND = 1e-4
"""Of bounds: the error function in single precision at ratios down to -4, where it is 3e-5."""


def banded(**parameters: Any) -> CompactForest:
    """Return an unfitted forest with a band."""
    return CompactForest(
        n_estimators=2000, stability=True, min_samples_leaf=8, n_jobs=2, **parameters
    )


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Return 150 patients with four traits and an age."""
    return check_cohort(simulate(150, 2, 1), load_study("deb-tace-hcc"), "os", CORE)


@pytest.fixture(scope="module")
def fitted(cohort: Cohort) -> tuple[Pipeline, bytes]:
    """Return a forest with a band, and its graph."""
    encoder = StudyEncoder(cohort.predictors, forms=False)
    pipeline = Pipeline([("encode", encoder), ("model", banded())]).fit(cohort.X, cohort.y)
    return pipeline, to_onnx(pipeline, 5, "g", {})


def test_noise_is_subtracted_and_what_is_left_is_positive() -> None:
    """The estimate is the mean of a normal cut at zero, as scipy gives it."""
    between = np.array([4.0, 1.0, 0.5, 0.0])
    within = np.array([9.0, 9.0, 9.0, 9.0])
    noise, error = 1.0, np.array([4.0, 1.0, 1.0, 1.0]) * np.sqrt(2 / 200)
    difference = np.maximum(between - noise, LEAST_RATIO * error)
    cut = stats.truncnorm(-difference / error, np.inf, difference, error)
    found = debiased(between, within, 200, 10)
    np.testing.assert_allclose(found, cut.mean(), rtol=1e-8)  # scipy's own tail series
    assert found[0] == pytest.approx(3.0, rel=1e-6)  # far above its error: the difference itself
    assert (found > 0).all()
    assert debiased(np.zeros(1), np.zeros(1), 200, 10) == 0  # all trees agree


def test_a_band_lies_within_zero_and_one() -> None:
    """Symmetric for log(-log S); where all trees agree on 0 or 1 it has no width."""
    s, v = np.array([0.5, 0.999, 0.0, 1.0]), np.array([0.01, 0.25, 0.0, 0.0])
    lower, upper = band(s, v)
    assert (lower >= 0).all()
    assert (upper <= 1).all()
    middle = np.log(-np.log(0.5))
    half = 1.959963985 * 0.1 / (0.5 * np.log(2))
    assert np.log(-np.log(lower[0])) == pytest.approx(middle + half, rel=1e-8)
    assert np.log(-np.log(upper[0])) == pytest.approx(middle - half, rel=1e-8)
    np.testing.assert_array_equal(lower[2:], [0, 1])
    np.testing.assert_array_equal(upper[2:], [0, 1])


def test_the_variance_is_that_of_the_bags() -> None:
    """Worked out again with the whole array of trees at once."""
    X, y = sample(0, 60)
    forest = banded(max_times=12).fit(X, y)
    curves = np.array(
        [forest.survival_[leaf] for leaf in forest._leaf_of_each_tree(X[:4].astype(np.float32))]
    )
    bags = curves.astype(float).reshape(-1, BAG, *curves.shape[1:])
    between = bags.mean(axis=1).var(axis=0)
    within = bags.var(axis=1).mean(axis=0)
    wanted = debiased(between, within, len(bags), BAG)
    np.testing.assert_allclose(forest.predict_variance(X[:4]), wanted, rtol=1e-5)  # float32 leaves


def test_a_forest_without_bags_has_no_band() -> None:
    """Asking is an error that says what to do."""
    forest = CompactForest(n_estimators=5).fit(*sample(0, 60))
    with pytest.raises(ValueError, match="fit the forest with it"):
        forest.predict_band(sample(1, 3)[0])


def test_bands_are_as_wide_as_forests_differ() -> None:
    """Over 10 training sets: standard errors and coverage of the forests' own expectation.

    `tests/benchmarks/forest_stability.py` shows the same with 200 sets of 300 patients.
    """
    patients, _ = sample(999, 20)
    found = answers(10, patients, n=100, min_samples_leaf=8, n_jobs=2)
    survival, variance = found[:, 0], found[:, 1]
    spread = survival.std(axis=0, ddof=1).mean()
    # The spread of 10 has a standard error of 24 %; half-samples err to the wide side.
    assert 0.7 < np.sqrt(variance).mean() / spread < 1.7
    held = coverage(survival, *band(survival, variance))
    assert held.shape == (10, 20, len(TIMES))
    assert held.mean() > 0.85  # 0.97 with many sets; sets are the units here, and 10


@pytest.mark.parametrize("splitting", ["relative_risk", "logrank"])
def test_the_graph_gives_the_band(
    cohort: Cohort, fitted: tuple[Pipeline, bytes], splitting: str
) -> None:
    """On random patients and on thresholds, with optimisations and without."""
    pipeline, graph = fitted
    if splitting == "logrank":
        encoder = StudyEncoder(cohort.predictors, forms=False)
        forest = banded(splitting="logrank", max_times=20)
        pipeline = Pipeline([("encode", encoder), ("model", forest)]).fit(cohort.X, cohort.y)
        graph = to_onnx(pipeline, 5, "g", {})
    forest = pipeline["model"]
    for X in (rows(cohort, 150), on_thresholds(cohort, forest, 150)):
        Z = pipeline["encode"].transform(X)
        survival, lower, upper, score = run(graph, X)
        np.testing.assert_allclose(survival, forest.predict_curves(Z), atol=2e-6)  # float32 sums
        np.testing.assert_allclose(score, forest.predict(Z), rtol=2e-6)  # the same
        for found, wanted in zip((lower, upper), forest.predict_band(Z), strict=True):
            np.testing.assert_allclose(found, wanted, atol=BOUND)
        assert (lower <= survival).all()
        assert (survival <= upper).all()
        assert (upper - lower).max() > 0.05
    for one, other in zip(run(graph, X[:20], optimised=False), run(graph, X), strict=True):
        np.testing.assert_array_equal(one, other[:20])


def test_nobodys_band_depends_on_the_batch(fitted: tuple[Pipeline, bytes], cohort: Cohort) -> None:
    """One patient alone and among others: the same bits; a missing value spoils its row alone."""
    _, graph = fitted
    X = rows(cohort, 30, seed=3)
    together = run(graph, X)
    alone = [
        np.concatenate(p) for p in zip(*(run(graph, X[i : i + 1]) for i in range(30)), strict=True)
    ]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    X[7, 4] = np.nan
    for one, other in zip(run(graph, X), together, strict=True):
        assert np.isnan(one[7]).all()
        np.testing.assert_array_equal(np.delete(one, 7, axis=0), np.delete(other, 7, axis=0))


def test_a_table_carries_the_forests_band(tmp_path: Path) -> None:
    """Few categories are a table; its bounds are the forest's, and the manifest names them."""
    checked = check_cohort(simulate(90, 1), load_study("deb-tace-hcc"), "os", CORE_FOUR)
    made = fit(checked, "forest", Settings(stability=True, min_leaf=10, n_jobs=1))
    again = fit(checked, "forest", Settings(stability=True, min_leaf=10, n_jobs=2))
    manifest = made.write(tmp_path / "b")
    assert manifest.files == again.write(tmp_path / "c").files
    assert manifest.interval_name == "95 % forest stability band"
    assert manifest.training["settings"]["min_leaf"] == 5  # of 45 patients
    assert (tmp_path / "b" / "model.onnx").stat().st_size < 100_000
    survival, lower, upper, _ = load_model(tmp_path / "b").curves(checked.X)
    forest = made.pipeline["model"]
    wanted = forest.predict_band(made.pipeline["encode"].transform(checked.X))
    np.testing.assert_allclose(lower, wanted[0], atol=1e-12)  # double precision, looked up
    np.testing.assert_allclose(upper, wanted[1], atol=1e-12)
    assert (lower < survival).any()

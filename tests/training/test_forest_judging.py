"""Out-of-bag figures, tuning, importance: against other software, and where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sksurv.metrics import integrated_brier_score

from riskscore.errors import ModelError
from riskscore.study import load_study
from tests.benchmarks.forest_stability import sample
from tests.conftest import simulate
from training.__main__ import main
from training.cohort import check_cohort
from training.evaluate import concordance
from training.fit import Settings, fit
from training.forest import CompactForest, leaf_numbers
from training.forest.tuning import brier_out_of_bag, tune


def test_out_of_bag_curves_come_from_the_trees_that_never_drew_the_patient() -> None:
    """Worked out again patient by patient; NaN where every tree drew the patient."""
    X, y = sample(0, 60)
    forest = CompactForest(n_estimators=6, min_samples_leaf=5).fit(X, y)
    found = forest.predict_curves_out_of_bag(X)
    for i in range(60):
        trees = [
            forest.survival_[offset + leaf_numbers(tree)[tree.apply(X[[i]].astype(np.float32))[0]]]
            for tree, offset, out in zip(
                forest.trees_, forest.offsets_, forest.out_of_bag_[:, i], strict=True
            )
            if out
        ]
        wanted = np.mean(trees, axis=0) if trees else np.nan
        np.testing.assert_allclose(found[i], np.broadcast_to(wanted, found[i].shape), rtol=1e-6)


def test_out_of_bag_brier_is_that_of_other_software() -> None:
    """scikit-survival integrates by trapezia, ours by steps: on a fine grid nearly the same."""
    X, y = sample(1, 300)
    forest = CompactForest(n_estimators=100).fit(X, y)
    found = brier_out_of_bag(forest, X, y["time"], y["event"], 24.0)
    assert found is not None
    at = forest.times_ <= found["until"]
    curves = forest.predict_curves_out_of_bag(X)[:, at]
    wanted = integrated_brier_score(y, y, curves, forest.times_[at])
    # Theirs is a mean from the first grid time on, ours from 0 on, where the score is 0.
    first, last = forest.times_[at][[0, -1]]
    assert found["model"] == pytest.approx(wanted * (last - first) / last, rel=0.02)
    assert found["model"] < found["kaplan_meier"]
    assert found["rows"] == 300


def test_a_forest_that_nobody_can_judge_has_no_brier_score() -> None:
    """One event time is no curve to integrate over."""
    X, y = sample(1, 40)
    y["time"], y["event"] = 5.0, True
    forest = CompactForest(n_estimators=5).fit(X, y)
    assert brier_out_of_bag(forest, X, y["time"], y["event"], 24.0) is None
    with pytest.raises(ValueError, match="too few event times"):
        tune(CompactForest(n_estimators=2), X, y, None, 24.0)


def test_tuning_takes_the_best_of_its_grid() -> None:
    """On noise large leaves win, where the truth is steep small ones; each step is told."""
    X, y = sample(2, 240)
    said: list[str] = []
    forest, record = tune(CompactForest(n_estimators=40), X, y, None, 24.0, said.append)
    scores = [row["integrated_brier"] for row in record["grid"]]
    assert record["chosen"]["integrated_brier"] == min(scores)
    assert (forest.min_samples_leaf, forest.max_features) == (
        record["chosen"]["min_leaf"],
        record["chosen"]["max_features"],
    )
    assert said[-1] == f"tuning: forest {len(scores)} of {len(scores)}"
    noise = np.random.default_rng(0).permutation(X)
    blind, _ = tune(CompactForest(n_estimators=40), noise, y, None, 24.0)
    y["time"] = np.argsort(np.argsort(X[:, 3] + X[:, 0] / 2, kind="stable")) + 1.0
    y["event"] = True
    steep, _ = tune(CompactForest(n_estimators=40), X, y, None, 200.0)
    assert steep.min_samples_leaf < 15 <= blind.min_samples_leaf


def test_importance_has_intervals_that_tell_noise_from_effect() -> None:
    """The loss is that of the concordances; the interval of a noise predictor holds 0."""
    frame = simulate(2000, 8)
    frame["sex"] = np.array(["male", "female"])[np.random.default_rng(0).integers(0, 2, 2000)]
    checked = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("tumor_number", "sex"))
    fitted = fit(checked, "forest", Settings(trees=100, n_jobs=2))
    strong, noise = fitted.inference["importance"]
    assert strong["lower"] > 0
    assert noise["lower"] < 0 < noise["upper"]
    forest = fitted.pipeline["model"]
    design = fitted.pipeline["encode"].transform(checked.X)
    whole, without = (
        concordance(checked, forest.predict_out_of_bag(design, columns)) for columns in (None, [0])
    )
    # Scores round to eight digits to tie; scikit-survival ties within 1e-8.
    assert strong["concordance_lost"] == pytest.approx(whole - without, abs=1e-3)
    assert "this forest as it stands" in fitted.inference["importance_interval"]


def test_importance_intervals_cover_the_loss_in_new_patients() -> None:
    """A bootstrap of the patients judged, forest and shuffled scores as they are, agrees."""
    checked = check_cohort(simulate(200, 3), load_study("deb-tace-hcc"), "os", ("tumor_number",))
    fitted = fit(checked, "forest", Settings(trees=100, n_jobs=1))
    [found] = fitted.inference["importance"]
    forest = fitted.pipeline["model"]
    design = fitted.pipeline["encode"].transform(checked.X)
    scores = [forest.predict_out_of_bag(design, columns) for columns in (None, [0])]
    random = np.random.default_rng(0)
    lost = []
    for _ in range(400):
        rows = random.integers(0, 200, 200)
        some = checked.subset(rows)
        lost.append(concordance(some, scores[0][rows]) - concordance(some, scores[1][rows]))
    se = (found["upper"] - found["lower"]) / (2 * 1.959964)
    assert se == pytest.approx(np.std(lost), rel=0.15)  # 400 draws: 3.5 %; ties within resamples


def test_the_command_line_tunes_and_records(
    tmp_path: Path, cohort_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The grid and the choice are in the bundle, and the choice in its settings."""
    import json

    arguments = [
        "fit", "--study", "deb-tace-hcc", "--cohort", str(cohort_csv), "--outcome", "os",
        "--model", "forest", "--predictors", "tumor_number,age", "--trees", "20", "--tune",
        "--splitting", "relative_risk", "--out", str(tmp_path / "b"),
    ]  # fmt: skip
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "95 % interval" in told
    tuning = json.loads((tmp_path / "b" / "inference.json").read_text())["tuning"]
    settings = json.loads((tmp_path / "b" / "manifest.json").read_text())["training"]["settings"]
    assert settings["min_leaf"] == tuning["chosen"]["min_leaf"]
    assert settings["max_features"] == tuning["chosen"]["max_features"]
    assert settings["splitting"] == "relative_risk"
    assert {row["max_features"] for row in tuning["grid"]} == {1, 2}
    chosen = tuning["chosen"]
    assert (
        f"tuned: {chosen['min_leaf']} rows in a leaf or more, {chosen['max_features']} col" in told
    )
    assert f"best of {len(tuning['grid'])} by out-of-bag integrated Brier score (0." in told


def test_more_columns_than_there_are_is_refused() -> None:
    """The model's columns are counted as the encoding makes them."""
    checked = check_cohort(simulate(60, 1), load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    with pytest.raises(ModelError, match="max_features must be 1 to 2, the model's columns, got 3"):
        fit(checked, "forest", Settings(trees=5, max_features=3, n_jobs=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splitting": "gini"}, "splitting must be one of logrank, relative_risk, got 'gini'"),
        ({"max_features": "all"}, 'max_features must be "sqrt", "log2" or a number'),
        ({"max_features": 0}, "max_features must be"),
        ({"stability": True, "trees": 500}, "at least 2000, for the stability band, got 500"),
        ({"stability": True, "trees": 2001}, "multiple of 10"),
    ],
)
def test_settings_of_a_forest_are_checked(settings: dict[str, object], message: str) -> None:
    """Before anything is fitted, with what to do."""
    with pytest.raises(ModelError, match=message):
        Settings(**settings)  # type: ignore[arg-type]

"""The exported graph answers as the fitted pipeline does, on any row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.pipeline import Pipeline
from sksurv.ensemble import RandomSurvivalForest
from sksurv.linear_model import CoxPHSurvivalAnalysis

from riskscore.graph import OUTPUTS
from riskscore.study import load_study
from tests.conftest import simulate
from tests.training.exported import run
from training.cohort import Cohort, check_cohort, read_cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.export import to_onnx
from training.export.graph import LARGE
from training.forest import CompactForest
from training.run import CORE_FOUR, DEFAULT_COHORT, DEFAULT_STUDY

CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
SEG = ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age")


def rows(cohort: Cohort, n: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return random patients within the study's levels and ranges."""
    rng = np.random.default_rng(seed)
    columns = []
    for p in cohort.predictors:
        if p.is_category:
            columns.append(rng.integers(0, len(p.levels), n).astype(float))
        else:
            assert p.range is not None
            low, high = p.range
            if p.form == "log":
                columns.append(np.exp(rng.uniform(np.log(low), np.log(high), n)))
            else:
                columns.append(rng.uniform(low, high, n))
    return np.column_stack(columns)


def on_thresholds(cohort: Cohort, forest: CompactForest, n: int) -> np.ndarray[Any, Any]:
    """Return patients whose numbers lie on split thresholds, or one float32 to either side."""
    X = rows(cohort, n, seed=1)
    encoder = StudyEncoder(cohort.predictors, forms=False).fit(X)
    rng = np.random.default_rng(2)
    for k, term in enumerate(encoder.terms_):
        if term.level is not None:
            continue
        cuts = np.concatenate([t.threshold[t.feature == k] for t in forest.trees_])
        if not len(cuts):
            continue
        chosen = rng.choice(cuts, n)
        near = chosen.astype(np.float32)
        sides = rng.integers(0, 4, n)
        for side, toward in ((1, -np.inf), (2, np.inf)):
            moved = np.nextafter(near, np.float32(toward))
            near = np.where(sides == side, moved, near)
        X[:, term.column] = np.where(sides == 3, chosen, near.astype(float))
    return X


def check_cox(cohort: Cohort) -> None:
    """Compare the graph with the pipeline, and on untied times with scikit-survival."""
    rng = np.random.default_rng(0)
    untied = Cohort(
        **{**cohort.__dict__, "time": cohort.time + rng.uniform(0, 1e-6, len(cohort.time))}
    )
    pipeline = Pipeline([("encode", StudyEncoder(cohort.predictors)), ("model", CoxModel())])
    pipeline.fit(untied.X, untied.y)
    X = rows(cohort, 10_000)
    graph = to_onnx(pipeline, X.shape[1], "g", {})
    for optimised in (True, False):
        survival, lower, upper, score = run(graph, X, optimised=optimised)
        Z = pipeline["encode"].transform(X)
        reference = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(
            pipeline["encode"].transform(untied.X), untied.y
        )
        for some in (slice(k, k + 1000) for k in range(0, 10_000, 1000)):
            expected = reference.predict_survival_function(Z[some], return_array=True)
            at = np.searchsorted(reference.unique_times_, pipeline["model"].sums_.times)
            # The target of the export; two solvers of one equation, double precision throughout.
            assert np.abs(survival[some] - expected[:, at]).max() < 1e-9
        own = pipeline["model"].predict_curves(Z[some])
        for found, wanted in zip((survival, lower, upper), own, strict=True):
            np.testing.assert_allclose(found[some], wanted, atol=1e-11)  # sums in another order
        np.testing.assert_allclose(score, pipeline.predict(X), rtol=1e-12, atol=1e-13)


def check_forest(cohort: Cohort, trees: int) -> None:
    """Compare the graph with scikit-survival on random rows and on thresholds."""
    encoder = StudyEncoder(cohort.predictors, forms=False)
    forest = CompactForest(
        n_estimators=trees, splitting="logrank", horizons=cohort.outcome.horizons, n_jobs=2
    )
    pipeline = Pipeline([("encode", encoder), ("model", forest)]).fit(cohort.X, cohort.y)
    reference = RandomSurvivalForest(
        trees, min_samples_leaf=15, min_samples_split=30, random_state=0, n_jobs=2
    ).fit(encoder.transform(cohort.X), cohort.y)
    graph = to_onnx(pipeline, cohort.X.shape[1], "g", {})
    at = np.searchsorted(reference.unique_times_, forest.times_, side="right") - 1
    for X in (rows(cohort, 10_000), on_thresholds(cohort, forest, 10_000)):
        survival, lower, upper, score = run(graph, X)
        for start in range(0, len(X), 2000):
            Z = encoder.transform(X[start : start + 2000])
            expected = reference.predict_survival_function(Z, return_array=True)[:, at]
            # A mean of several hundred float32 numbers in [0, 1].
            assert np.abs(survival[start : start + 2000] - expected).max() < 2e-6
            np.testing.assert_allclose(
                score[start : start + 2000], reference.predict(Z), rtol=2e-6
            )  # the same mean, of larger numbers
        assert np.isnan(lower).all()
        assert np.isnan(upper).all()
    plain = run(graph, X[:500], optimised=False)
    np.testing.assert_array_equal(plain[0], survival[:500])


@pytest.fixture(scope="module")
def simulated() -> Cohort:
    """Return 300 patients, untied."""
    return check_cohort(simulate(300, 2, 6), load_study("deb-tace-hcc"), "os", CORE)


def test_cox_on_a_simulated_cohort(simulated: Cohort) -> None:
    """10,000 random patients within 1e-9 of scikit-survival."""
    check_cox(simulated)


def test_forest_on_a_simulated_cohort(simulated: Cohort) -> None:
    """10,000 random patients and 10,000 on thresholds within 2e-6 of scikit-survival."""
    check_forest(simulated, 200)


@pytest.mark.parametrize("names", [CORE_FOUR, (*CORE_FOUR, "age", "tumor_diameter", "ecog")])
def test_both_on_the_reconstructed_cohort(names: tuple[str, ...]) -> None:
    """The shipped four, whose forest is a table, and numbers and three levels beside them."""
    cohort = read_cohort(DEFAULT_COHORT, load_study(DEFAULT_STUDY), "os", names)
    check_cox(cohort)
    check_forest(cohort, 200)


@pytest.mark.cohorts
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "adapter", "predictors", "trees"),
    [
        ("hcc-tace-seg.csv", "hcc-tace-seg", SEG, 200),
        ("survivalpath-hcc-visits.csv", "survivalpath-first", None, 50),
    ],
)
def test_both_on_the_real_cohorts(
    cohorts: Path, file: str, adapter: str, predictors: tuple[str, ...] | None, trees: int
) -> None:
    """Numbers on the log scale, diameters and AFP with thousands of thresholds."""
    cohort = read_cohort(cohorts / file, load_study("hcc-tace"), "os", predictors, adapter)
    check_cox(cohort)
    check_forest(cohort, trees)


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_a_row_that_is_no_patient_gets_no_answer(simulated: Cohort, kind: str) -> None:
    """An index that is no level, and a missing number, give NaN and leave other rows alone."""
    forms = kind == "cox"
    model = CoxModel() if forms else CompactForest(n_estimators=10, n_jobs=1)
    pipeline = Pipeline(
        [("encode", StudyEncoder(simulated.predictors, forms=forms)), ("model", model)]
    )
    pipeline.fit(simulated.X, simulated.y)
    graph = to_onnx(pipeline, 5, "g", {})
    good = np.array([0.0, 1, 0, 1, 60])
    bad = [[2, 1, 0, 1, 60], [0.5, 1, 0, 1, 60], [-1, 1, 0, 1, 60], [np.nan, 1, 0, 1, 60],
           [0, 1, 0, 1, np.nan]]  # fmt: skip
    X = np.vstack([good, *bad, good])
    survival, _, _, score = run(graph, X)
    assert np.isnan(survival[1:-1]).all()
    assert np.isnan(score[1:-1]).all()
    np.testing.assert_array_equal(survival[0], survival[-1])
    assert not np.isnan(survival[0]).any()
    np.testing.assert_array_equal(
        np.isnan(pipeline["encode"].transform(X)).any(axis=1), [False, *[True] * 5, False]
    )


def test_the_graph_is_self_contained_and_portable(simulated: Cohort) -> None:
    """Low opsets for the browser, the manifest's essentials inside, the same bytes each time."""
    pipeline = Pipeline([("encode", StudyEncoder(simulated.predictors)), ("model", CoxModel())])
    pipeline.fit(simulated.X, simulated.y)
    graph = to_onnx(pipeline, 5, "study/os/cox", {"id": "study/os/cox"})
    assert graph == to_onnx(pipeline, 5, "study/os/cox", {"id": "study/os/cox"})
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain: o.version for o in model.opset_import}.items() <= {
        "": 18, "ai.onnx.ml": 3
    }.items()  # fmt: skip
    assert model.ir_version == 8
    assert model.graph.name == "study/os/cox"
    assert {p.key: p.value for p in model.metadata_props} == {"id": "study/os/cox"}
    assert [i.name for i in model.graph.input] == ["x"]
    assert [o.name for o in model.graph.output] == list(OUTPUTS)
    assert all(not t.external_data for t in model.graph.initializer)


def test_a_large_table_is_part_of_a_valid_model(simulated: Cohort) -> None:
    """A table that joins the file after conversion reads as any other initializer."""
    encoder = StudyEncoder(simulated.predictors, forms=False)
    forest = CompactForest(n_estimators=300, n_jobs=2)
    pipeline = Pipeline([("encode", encoder), ("model", forest)]).fit(simulated.X, simulated.y)
    assert forest.table_.nbytes > LARGE
    graph = to_onnx(pipeline, 5, "g", {"id": "x"})
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    tables = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    assert sum(np.array_equal(t, forest.table_) for t in tables) == 1
    assert model.metadata_props[0].value == "x"
    again = onnx.load_from_string(model.SerializeToString())
    assert again == model


def test_mixed_columns_keep_their_order() -> None:
    """Categories and numbers in turn, linear and log, reach the model in the study's order."""
    rng = np.random.default_rng(5)
    frame = simulate(200, 6, 6)
    declared = load_study("deb-tace-hcc").to_dict()
    declared["predictors"] = {
        "age": {"unit": "year", "range": [18, 80], "form": "log"},
        "ecog": {"levels": ["0", "1", "2"]},
        "tumor_diameter": {"unit": "cm", "range": [1, 40]},
        "treatment": {"levels": ["deb_tace", "deb_tace_sorafenib"]},
    }
    frame["ecog"] = rng.integers(0, 3, 200)
    frame["tumor_diameter"] = rng.uniform(1, 40, 200)
    study = type(load_study("hcc-tace")).from_dict(declared)
    cohort = check_cohort(frame, study, "os")
    pipeline = Pipeline([("encode", StudyEncoder(cohort.predictors)), ("model", CoxModel())])
    pipeline.fit(cohort.X, cohort.y)
    assert pipeline["encode"].get_feature_names_out().tolist() == [
        "log(age)", "ecog[1]", "ecog[2]", "tumor_diameter", "treatment[deb_tace_sorafenib]"
    ]  # fmt: skip
    X = rows(cohort, 50)
    score = run(to_onnx(pipeline, 4, "g", {}), X)[3]
    b = pipeline["model"].coef_
    by_hand = (
        b[0] * np.log(X[:, 0]) + b[1] * (X[:, 1] == 1) + b[2] * (X[:, 1] == 2) + b[3] * X[:, 2]
        + b[4] * X[:, 3]
    )  # fmt: skip
    np.testing.assert_allclose(score, by_hand, rtol=1e-12)  # five products, summed


def test_numbers_alone_need_no_levels() -> None:
    """A model without categories exports too."""
    cohort = check_cohort(simulate(100, 1, 6), load_study("deb-tace-hcc"), "os", ("age",))
    pipeline = Pipeline([("encode", StudyEncoder(cohort.predictors)), ("model", CoxModel())])
    pipeline.fit(cohort.X, cohort.y)
    score = run(to_onnx(pipeline, 1, "g", {}), np.array([[60.0]]))[3]
    np.testing.assert_allclose(score, 60 * pipeline["model"].coef_, rtol=1e-14)  # one product

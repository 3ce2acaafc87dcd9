"""The graph of a scikit-survival model answers as the model does."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sksurv.ensemble import (
    ComponentwiseGradientBoostingSurvivalAnalysis,
    ExtraSurvivalTrees,
    GradientBoostingSurvivalAnalysis,
    RandomSurvivalForest,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.tree import ExtraSurvivalTree, SurvivalTree

from riskscore.errors import ModelError
from riskscore.graph import OUTPUTS
from tests.training.exported import around, run
from training.export import curves_at, register_converters

EXACT = 1e-12  # double precision throughout; sums and powers in another order
CURVES = 2e-6  # leaf curves are float32, and so is the mean over trees
SCORES = 2e-6  # relative: expected events of leaves are float32 too

HAZARDS = {
    "cox": CoxPHSurvivalAnalysis(),
    "cox, ridge and Efron": CoxPHSurvivalAnalysis(alpha=2.0, ties="efron"),
    "coxnet": CoxnetSurvivalAnalysis(fit_baseline_model=True),
    "coxnet, scaled, one alpha": CoxnetSurvivalAnalysis(
        alphas=[0.01], l1_ratio=0.5, normalize=True, fit_baseline_model=True
    ),
    "componentwise": ComponentwiseGradientBoostingSurvivalAnalysis(n_estimators=30),
    "componentwise, dropout and subsample": ComponentwiseGradientBoostingSurvivalAnalysis(
        n_estimators=30, dropout_rate=0.3, subsample=0.6, random_state=0
    ),
}
BOOSTING = {
    "boosting": GradientBoostingSurvivalAnalysis(n_estimators=40, random_state=0),
    "boosting, dropout": GradientBoostingSurvivalAnalysis(
        n_estimators=40, dropout_rate=0.2, learning_rate=0.5, random_state=0
    ),
    "boosting, subsample, stopped early": GradientBoostingSurvivalAnalysis(
        n_estimators=60, subsample=0.5, n_iter_no_change=3, learning_rate=1.0, random_state=0
    ),
}
TREES = {
    "tree": SurvivalTree(min_samples_leaf=5, random_state=0),
    "extra tree": ExtraSurvivalTree(min_samples_leaf=5, random_state=0),
    "forest": RandomSurvivalForest(30, min_samples_leaf=4, random_state=0),
    "forest without bootstrap": RandomSurvivalForest(10, bootstrap=False, random_state=0),
    "extra trees": ExtraSurvivalTrees(30, min_samples_leaf=4, random_state=0),
}

Rows = NDArray[np.float64]


def cohort(
    n: int = 250, seed: int = 3, missing: float = 0.0, *, near: bool = True
) -> tuple[Rows, NDArray[Any]]:
    """Return four features and outcomes with ties.

    With `near` the third feature's values are neighbours among float32, so that a threshold between
    two of them is none itself; a sum of products could not tell them apart.
    """
    random = np.random.default_rng(seed)
    steps = random.integers(0, 12, n)
    third = np.float32(1000) + np.spacing(np.float32(1000)) * steps.astype(np.float32)
    X = np.column_stack([
        random.normal(60, 10, n), random.integers(0, 3, n), third if near else steps,
        random.exponential(200, n),
    ])  # fmt: skip
    log_hazard = 0.04 * (X[:, 0] - 60) + 0.4 * X[:, 1] + 0.1 * steps
    time = random.exponential(20 * np.exp(-log_hazard)).round(1) + 0.1
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = random.random(n) < 0.7, time
    X[random.random(X.shape) < missing] = np.nan
    return X, y


def converted(model: Any, X: Rows) -> bytes:
    """Return the graph that skl2onnx itself makes."""
    register_converters()
    graph: bytes = to_onnx(model, X[:1]).SerializeToString()
    return graph


def check(model: Any, graph: bytes, X: Rows, curves: float, scores: float) -> None:
    """Compare with scikit-survival, with graph optimisations on and off."""
    expected = model.predict_survival_function(X, return_array=True)
    score = model.predict(X)
    for optimised in (True, False):
        survival, lower, upper, found = run(graph, X, optimised=optimised)
        assert survival.shape == expected.shape == (len(X), len(model.unique_times_))
        assert np.abs(survival - expected).max() <= curves
        np.testing.assert_allclose(found, score, rtol=scores, atol=EXACT)
        assert np.isnan(lower).all()
        assert np.isnan(upper).all()


@pytest.mark.parametrize("name", HAZARDS)
def test_models_with_a_linear_score(name: str) -> None:
    """Cox, Coxnet and component-wise boosting agree to the last digits, on any row."""
    X, y = cohort(near=False)
    model = copy.deepcopy(HAZARDS[name]).fit(X, y)
    check(model, converted(model, X), cohort(2000, 4, near=False)[0], EXACT, EXACT)


@pytest.mark.parametrize("name", BOOSTING)
def test_gradient_boosting(name: str) -> None:
    """Boosted trees agree to the last digits, on thresholds and beside them too."""
    X, y = cohort()
    model = copy.deepcopy(BOOSTING[name]).fit(X, y)
    graph = converted(model, X)
    more = cohort(2000, 4)[0]
    trees = [stage[0].tree_ for stage in model.estimators_]
    for rows in (X, more, around(more, trees, 5)):
        check(model, graph, rows, EXACT, EXACT)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("name", TREES)
def test_trees_and_forests(name: str, missing: float) -> None:
    """Trees and forests agree on thresholds, beside them, and where values are missing."""
    X, y = cohort(missing=missing)
    model = copy.deepcopy(TREES[name]).fit(X, y)
    graph = converted(model, X)
    trees = [e.tree_ for e in getattr(model, "estimators_", [model])]
    more = cohort(1000, 4, missing)[0]
    on = around(more, trees, 5)
    for rows in (X, more, on, np.where(np.isnan(more), np.nan, on)):
        check(model, graph, rows, CURVES, SCORES)
    # Fitted on whole rows or not, every missing value has a way to go.
    check(model, graph, cohort(500, 6, 0.3)[0], CURVES, SCORES)
    check(model, graph, np.full((1, 4), np.nan), CURVES, SCORES)


def test_a_threshold_no_float32_can_hold_is_met() -> None:
    """The cohort of these tests has thresholds between two neighbouring float32 numbers."""
    X, y = cohort()
    tree = SurvivalTree(random_state=0).fit(X, y).tree_
    cuts = tree.threshold[tree.feature == 2]
    assert (cuts != cuts.astype(np.float32)).any()


@pytest.mark.parametrize("name", [*HAZARDS, *BOOSTING])
def test_what_the_model_refuses_gets_no_answer(name: str) -> None:
    """A missing or infinite number, which scikit-survival refuses, gives NaN in its row alone."""
    X, y = cohort(near=False)
    model = copy.deepcopy({**HAZARDS, **BOOSTING}[name]).fit(X, y)
    rows = np.repeat(X[:1], 4, axis=0)
    rows[1, 0], rows[2, 3] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict(rows[1:3])
    survival, _, _, score = run(converted(model, X), rows)
    np.testing.assert_array_equal(np.isnan(survival).all(axis=1), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(score), [False, True, True, False])
    assert not np.isnan(survival[[0, 3]]).any()


def test_a_forest_answers_the_missing_but_not_the_infinite() -> None:
    """Infinity, and more than a float32 holds, are refused by scikit-survival's forest."""
    X, y = cohort(missing=0.1)
    model = RandomSurvivalForest(5, random_state=0).fit(X, y)
    rows = np.repeat(X[:1], 4, axis=0)
    rows[1, 0], rows[2, 3], rows[3, 1] = np.inf, 1e39, np.nan
    for row in rows[1:3]:
        with np.errstate(over="ignore"), pytest.raises(ValueError, match="infinity"):
            model.predict(row[None])
    survival, _, _, score = run(converted(model, X), rows)
    np.testing.assert_array_equal(np.isnan(survival).all(axis=1), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(score), [False, True, True, False])


@pytest.mark.parametrize("model", [CoxPHSurvivalAnalysis(), RandomSurvivalForest(20)])
def test_anybodys_pipeline(model: Any) -> None:
    """skl2onnx takes a table of texts and numbers, encoded and scaled, with one call before."""
    X, y = cohort(near=False)
    frame = pd.DataFrame({"age": X[:, 0], "stage": np.array(["a", "b", "c"])[X[:, 1].astype(int)]})
    columns = ColumnTransformer([
        ("stage", OneHotEncoder(drop="first"), ["stage"]), ("age", StandardScaler(), ["age"]),
    ])  # fmt: skip
    pipeline = make_pipeline(columns, model).fit(frame, y)
    register_converters()
    graph = to_onnx(pipeline, frame[:1])
    onnx.checker.check_model(graph, full_check=True)
    assert [output.name for output in graph.graph.output] == list(OUTPUTS)
    session = ort.InferenceSession(graph.SerializeToString())
    survival = session.run(["survival"], {c: frame[[c]].to_numpy() for c in frame})[0]
    expected = pipeline.predict_survival_function(frame, return_array=True)
    assert np.abs(survival - expected).max() < CURVES


@pytest.mark.parametrize("name", ["cox", "boosting", "forest"])
@pytest.mark.parametrize("opset", [13, 15, 21])
def test_float32_input_and_other_opsets(name: str, opset: int) -> None:
    """A float32 input, or an older or newer opset, is converted as well."""
    X, y = cohort(near=False)
    model = copy.deepcopy({**HAZARDS, **BOOSTING, **TREES}[name]).fit(X, y)
    register_converters()
    X32 = X.astype(np.float32)
    graph = to_onnx(model, X32[:1], target_opset=opset)
    assert next(o.version for o in graph.opset_import if not o.domain) <= opset
    survival = run(graph.SerializeToString(), X32)[0]
    expected = model.predict_survival_function(X32.astype(float), return_array=True)
    assert np.abs(survival - expected).max() < CURVES


@pytest.mark.parametrize("name", ["cox", "boosting", "tree", "forest"])
def test_curves_at_times_of_ones_own(name: str) -> None:
    """Curves at chosen times are scikit-survival's step functions at those times."""
    X, y = cohort(near=False)
    model = copy.deepcopy({**HAZARDS, **BOOSTING, **TREES}[name]).fit(X, y)
    times = [model.unique_times_[0], 5.0, 12.34, model.unique_times_[-1]]
    with curves_at(times):
        survival = run(converted(model, X), X[:50])[0]
    expected = [f(times) for f in model.predict_survival_function(X[:50])]
    assert np.abs(survival - expected).max() < CURVES


@pytest.mark.parametrize("times", [[], [5.0, 5.0], [-1.0], [1e6], [np.nan], [[5.0]]])
def test_times_that_no_curve_has_are_refused(times: Any) -> None:
    """Times must ascend within the training times: nothing is extrapolated."""
    X, y = cohort(near=False)
    model = CoxPHSurvivalAnalysis().fit(X, y)
    rule = r"times must ascend from 0\.1 .* to [0-9.]+ .*; got"
    with curves_at(times), pytest.raises(ModelError, match=rule):
        converted(model, X)


def test_another_alpha_of_coxnet() -> None:
    """The graph gives the last alpha, as `predict` does, or the one that is asked for."""
    X, y = cohort(near=False)
    model = CoxnetSurvivalAnalysis(fit_baseline_model=True).fit(X, y)
    alpha = model.alphas_[len(model.alphas_) // 2]
    expected = model.predict_survival_function(X, alpha=alpha, return_array=True)
    with curves_at(alpha=alpha):
        survival, _, _, score = run(converted(model, X), X)
    assert np.abs(survival - expected).max() < EXACT
    np.testing.assert_allclose(score, model.predict(X, alpha=alpha), rtol=EXACT, atol=EXACT)
    assert np.abs(expected - model.predict_survival_function(X, return_array=True)).max() > 0.01
    rule = "alpha must be one of alphas_ of the model, got 77"
    with curves_at(alpha=77.0), pytest.raises(ModelError, match=rule):
        converted(model, X)
    rule = "alpha is an option of CoxnetSurvivalAnalysis alone"
    with curves_at(alpha=alpha), pytest.raises(ModelError, match=rule):
        converted(CoxPHSurvivalAnalysis().fit(X, y), X)


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (RandomSurvivalForest(3, low_memory=True), "fit it again with low_memory=False"),
        (ExtraSurvivalTrees(3, low_memory=True), "fit it again with low_memory=False"),
        (SurvivalTree(low_memory=True), "fit it again with low_memory=False"),
        (CoxnetSurvivalAnalysis(), "fit it again with fit_baseline_model=True"),
        (GradientBoostingSurvivalAnalysis(loss="squared", n_estimators=2), "loss='coxph'"),
        (GradientBoostingSurvivalAnalysis(loss="ipcwls", n_estimators=2), "loss='coxph'"),
        (ComponentwiseGradientBoostingSurvivalAnalysis(loss="ipcwls"), "loss='coxph'"),
    ],
)
def test_a_model_without_survival_function_is_refused(model: Any, remedy: str) -> None:
    """The error says why there is none, and how to get one."""
    X, y = cohort(near=False)
    y["time"] += 1  # two of the losses take its logarithm, which they want to be positive
    fitted = copy.deepcopy(model).fit(X, y)
    with pytest.raises(ModelError, match=f"has no survival function: .*{remedy}"):
        converted(fitted, X)


@pytest.mark.parametrize("name", [*HAZARDS, *BOOSTING, *TREES])
def test_a_model_that_is_not_fitted_is_refused(name: str) -> None:
    """Nothing is exported that was never fitted."""
    model = {**HAZARDS, **BOOSTING, **TREES}[name]
    with pytest.raises(ModelError, match="is not fitted; call fit before exporting it"):
        converted(model, cohort(10)[0])


def test_a_score_beyond_all_numbers_keeps_a_curve() -> None:
    """The exponential of a huge score is infinite; before any event survival stays 1.

    Worked by hand: with a baseline hazard of 0 the survival is 1 whatever the score, and with any
    hazard above it an infinite risk leaves none.
    """
    X, y = cohort(near=False)
    y["event"][np.argsort(y["time"])[:5]] = False
    model = CoxPHSurvivalAnalysis().fit(X[:, :1], y)
    assert model.cum_baseline_hazard_.y[0] == 0
    row = np.array([[2000 / model.coef_[0]]])
    survival = run(converted(model, X[:, :1]), row)[0][0]
    assert survival[0] == 1
    assert survival[-1] == 0


MODELS = {
    "cox": lambda: CoxPHSurvivalAnalysis(alpha=0.1),
    "boosting": lambda: GradientBoostingSurvivalAnalysis(n_estimators=5, random_state=0),
    "tree": lambda: SurvivalTree(random_state=0),
    "forest": lambda: RandomSurvivalForest(3, random_state=0),
    "extra trees": lambda: ExtraSurvivalTrees(3, random_state=0),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(MODELS)),
    n=st.integers(8, 40),
    seed=st.integers(0, 10_000),
    digits=st.integers(0, 7),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_small_cohorts_of_any_shape(
    name: str, n: int, seed: int, digits: int, missing: float
) -> None:
    """Ties, few distinct values and many missing ones make no difference between the two."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2)).round(digits)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = random.random(n) < 0.6, random.integers(1, 10, n)
    y["event"][:2] = True
    takes_missing = name in ("tree", "forest", "extra trees")
    if takes_missing:
        X[random.random(X.shape) < missing] = np.nan
    model = MODELS[name]().fit(X, y)
    graph = converted(model, X)
    check(model, graph, X, CURVES, SCORES)
    check(model, graph, np.nan_to_num(-X[::-1]), CURVES, SCORES)


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["cox", "coxnet", "componentwise", "boosting", "forest"])
def test_an_answer_depends_on_the_patient_alone(name: str) -> None:
    """To the last bit: in any batch and order, and beside copies of other patients."""
    X, y = cohort(near=False)
    model = make_pipeline(StandardScaler(), copy.deepcopy((HAZARDS | BOOSTING | TREES)[name]))
    graph = converted(model.fit(X, y), X)
    whole = run(graph, X)
    order = np.random.default_rng(1).integers(0, len(X), 300)
    for at_once in (1, 7, 128):
        for found, expected in zip(run(graph, X[order], at_once=at_once), whole, strict=True):
            assert np.array_equal(found, expected[order], equal_nan=True)

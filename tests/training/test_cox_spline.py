"""Restricted cubic splines: knots and basis as rms, the same design in every room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from sksurv.util import Surv

from riskscore import load_model
from riskscore.design import design_matrix, read_terms, spline_basis, terms
from riskscore.errors import ModelError, StudyError
from riskscore.model import OUTPUTS
from riskscore.study import Study, load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder, spline_knots
from training.export import to_onnx
from training.fit import Settings, fit

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "splines.json").read_text())


def with_spline(**changed: Any) -> Study:
    """Return the shipped study with age as a spline."""
    declared = load_study("deb-tace-hcc").to_dict()
    declared["predictors"]["age"] |= {"form": "spline"} | changed
    return Study.from_dict(declared)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Return 300 patients whose age is a spline with 5 knots."""
    names = ("tumor_number", "treatment", "age")
    return check_cohort(simulate(300, 5, 2), with_spline(knots=5), "os", names)


@pytest.mark.parametrize("found", R["found"], ids=lambda f: f"{f['values']}-{f['n_knots']}")
def test_knots_lie_where_rms_puts_them(found: dict[str, Any]) -> None:
    """Few patients, heaps at either end, few values; or a refusal where rms has none."""
    x = np.array(R["values"][found["values"]], dtype=float)
    if not found["knots"]:
        with pytest.raises(ModelError, match="age takes too few values for a spline: [12] dist"):
            spline_knots(x, found["n_knots"], "age")
        return
    # Quantiles interpolate between two values: the last bits differ.
    np.testing.assert_allclose(spline_knots(x, found["n_knots"]), found["knots"], rtol=1e-14)


def test_the_basis_is_that_of_rms() -> None:
    """Below the first knot, on knots, between them and far beyond the last."""
    b = R["basis"]
    found = spline_basis(np.array(b["x"]), b["knots"])
    # Beyond the last knot cubes of 40 leave a straight line: 4 digits of 16 cancel.
    np.testing.assert_allclose(found, b["columns"], rtol=1e-12, atol=1e-13)


def test_a_spline_is_straight_beyond_its_outer_knots() -> None:
    """Second differences vanish on both sides."""
    for side in (np.arange(-5.0, 1.0), np.arange(9.0, 15.0)):
        curve = spline_basis(side, (1.0, 4.0, 9.0)) @ [0.3, 0.7]
        np.testing.assert_allclose(np.diff(curve, 2), 0, atol=1e-12)  # rounding of cubes of 14


@pytest.mark.parametrize("optimised", [True, False])
def test_the_graph_holds_the_spline(cohort: Cohort, optimised: bool) -> None:
    """On knots, one bit around them, beyond them; a missing number gives no answer."""
    encoder = StudyEncoder(cohort.predictors)
    pipeline = Pipeline([("encode", encoder), ("model", CoxModel())])
    pipeline.fit(cohort.X, cohort.y)
    (knots,) = {t.knots for t in pipeline["encode"].terms_ if t.knots}
    assert len(knots) == 5
    edges = [np.nextafter(k, s) for k in knots for s in (-np.inf, k, np.inf)]
    ages = np.array([18.0, 29.9, 80.0, *edges, *np.linspace(18, 80, 200)])
    one = np.arange(len(ages))
    X = np.column_stack([one % 2, one // 2 % 2, ages])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(to_onnx(pipeline, 3, "g", {}), options)
    *curves, score = session.run(OUTPUTS, {"x": X})
    expected = pipeline["model"].predict_curves(pipeline["encode"].transform(X))
    assert np.isfinite(expected).all()
    for found, wanted in zip(curves, expected, strict=True):
        # Sums in another order; cubes of 60 years over squares of 40 keep 13 digits.
        np.testing.assert_allclose(found, wanted, atol=1e-11)
    np.testing.assert_allclose(score, pipeline.predict(X), rtol=1e-11, atol=1e-12)  # as above
    broken = np.array([[0, 0, np.nan], [0.5, 0, 50]])
    for output in session.run(OUTPUTS, {"x": broken}):
        assert np.isnan(output).all()


def test_the_design_follows_from_the_bundle_alone(cohort: Cohort, tmp_path: Path) -> None:
    """Manifest and inference.json give the linear predictor that the graph gives."""
    fit(cohort, "cox", Settings()).write(tmp_path / "b")
    model = load_model(tmp_path / "b")
    inference = model.bundle.read("inference.json")
    predictors = model.manifest.predictors
    columns = read_terms(inference["coefficients"], predictors)
    assert [t.name for t in columns][2:] == ["age", "age'", "age''", "age'''"]
    coef = [c["coef"] for c in inference["coefficients"]]
    records = [
        {"tumor_number": n, "age": a, "treatment": "deb_tace"}
        for n, a in (("<=3", 33), (">3", 61.5), (">3", 80))
    ]
    answer = model.predict(records, times=[12])
    X = np.array([[float(r["tumor_number"] == ">3"), 0.0, r["age"]] for r in records])
    lp = design_matrix(X, predictors, columns) @ coef
    np.testing.assert_allclose(answer.risk_score, lp, rtol=1e-11)  # sums in another order
    baseline = inference["baseline"]
    k = np.searchsorted(baseline["times"], 12, side="right") - 1
    centre = sum(c["coef"] * baseline["at"][c["term"]] for c in inference["coefficients"])
    survival = np.exp(-baseline["cumulative_hazard"][k] * np.exp(lp - centre))
    np.testing.assert_allclose(answer.survival[12.0], survival, rtol=1e-11)  # as above
    assert (
        len(baseline["hazard_variance"]) == len(baseline["hazard_mean"]) == len(baseline["times"])
    )
    (curved,) = inference["nonlinearity"]
    assert (curved["predictor"], curved["df"]) == ("age", 3)


def test_a_study_declares_how_many_knots() -> None:
    """Four unless it says; 3 to 7; and only for a spline."""
    assert with_spline().predictors["age"].knots == 4
    assert Study.from_dict(with_spline(knots=6).to_dict()).predictors["age"].knots == 6
    with pytest.raises(StudyError, match=r"age\.knots must be one of 3, 4, 5, 6, 7, got 8"):
        with_spline(knots=8)
    with pytest.raises(StudyError, match=r"age\.knots belongs to a spline, got 3; declare form"):
        with_spline(form="linear", knots=3)


def test_terms_of_a_spline_need_its_knots() -> None:
    """They are learnt from data: no design without them."""
    age = with_spline().reduced("os", ("age",)).predictors["age"]
    names = [t.name for t in terms([age], knots={"age": [40, 50, 60]})]
    assert names == ["age", "age'"]
    with pytest.raises(KeyError):
        terms([age])


@pytest.mark.parametrize("fit", R["skewed"], ids=lambda f: f"{f['cohort']}-{f['n_knots']}")
def test_splines_of_skewed_values_are_fitted_as_in_r(fit: dict[str, Any]) -> None:
    """Nearly collinear parts have large coefficients of either sign, and a plain maximum."""
    cohorts = pd.read_csv(ORACLE / "spline_cohorts.csv")
    d = cohorts[cohorts["cohort"] == fit["cohort"]]
    x = d["x"].to_numpy(float)
    knots = spline_knots(x, fit["n_knots"])
    np.testing.assert_allclose(knots, fit["knots"], rtol=1e-14)  # quantiles interpolate
    design = spline_basis(x, knots)
    model = CoxModel().fit(design, Surv.from_arrays(d["event"] == 1, d["time"].astype(float)))
    # Seven knots leave 1e-7 of a part's spread to tell it by: 9 of 16 digits remain.
    np.testing.assert_allclose(model.coef_, fit["coef"], rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(model.variance_)), fit["se"], rtol=1e-8)
    assert model.loglik_null_ == pytest.approx(fit["loglik"][0], rel=1e-12)  # sums of 4,562 terms
    assert model.sums_.loglik == pytest.approx(fit["loglik"][1], rel=1e-12)  # as above

"""Fits and refits: no rank depends on the order of rows, or on a processor's last bits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from riskscore.study import Study, load_study
from tests.conftest import simulate
from tests.training.exported import run
from training.cohort import Cohort, check_cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.evaluate import pairs
from training.export import to_onnx
from training.fit.manifest import risk_groups_of
from training.forest import CompactForest
from training.settings import Settings
from training.validation.figures import Plan
from training.validation.optimism import optimism
from training.validation.procedure import procedure

pytestmark = pytest.mark.numeric

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "timefix.json").read_text())

CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Return 90 patients of at most 16 profiles, so that most pairs of some kind are tied."""
    return check_cohort(simulate(90, 3), load_study("deb-tace-hcc"), "os", CORE)


def test_coefficients_of_times_that_rounding_split_are_those_of_r() -> None:
    """Follow-up that is a difference of ages, read as a cohort is read."""
    declared = load_study("deb-tace-hcc").to_dict()
    age = declared["predictors"]["age"] | {"range": [0, 120]}
    declared["predictors"] = {
        "female": {"label": "Female", "levels": ["no", "yes"]},
        "age": age,
    }
    declared["outcomes"] = {
        "os": declared["outcomes"]["os"] | {"time": "years", "event": "ended", "horizons": [5, 10]}
    }
    frame = pd.read_csv(ORACLE / "mgus2.csv")
    frame["years"] = (frame["age"] + frame["time"] / 12) - frame["age"]
    frame["ended"] = frame["event"] | frame["competing"]
    frame["female"] = np.where(frame["female"] == 1, "yes", "no")
    frame = frame[["years", "ended", "female", "age"]]
    cohort = check_cohort(frame, Study.from_dict(declared), "os")
    model = CoxModel().fit(StudyEncoder(cohort.predictors).fit_transform(cohort.X), cohort.y)
    expected = R["joined"]
    # R's own tolerance of the iteration is 1e-11 of the likelihood.
    np.testing.assert_allclose(model.coef_, expected["coef"], rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(model.variance_)), expected["se"], rtol=1e-9)
    assert model.sums_.loglik == pytest.approx(expected["loglik"][1], rel=1e-12)
    assert abs(expected["coef"][0] - R["exact"]["coef"][0]) > 1e-5  # else this would show nothing


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_a_refit_judges_equal_patients_alike(kind: str, cohort: Cohort) -> None:
    """Scores and curves of permuted, repeated and single rows have the same bits."""
    plan = Plan.of(cohort)
    everybody = np.arange(len(cohort.time))
    refit = procedure(kind, cohort.predictors, Settings(trees=20, n_jobs=1)).fit(
        cohort, everybody, plan.times
    )
    score, survival = refit.score(cohort.X), refit.survival(cohort.X, plan.times)
    profiles = len(np.unique(cohort.X, axis=0))
    assert len(np.unique(score)) <= profiles
    assert len(np.unique(survival, axis=0)) <= profiles
    order = np.random.default_rng(0).integers(0, len(score), 300)
    assert np.array_equal(refit.score(cohort.X[order]), score[order])
    assert np.array_equal(refit.survival(cohort.X[order], plan.times), survival[order])
    alone = [refit.survival(row[None], plan.times)[0] for row in cohort.X]
    assert np.array_equal(alone, survival)


def test_curves_and_bounds_of_the_estimator_depend_on_the_row_alone(cohort: Cohort) -> None:
    """Survival with its interval, permuted and one at a time."""
    design = StudyEncoder(cohort.predictors).fit_transform(cohort.X)
    model = CoxModel().fit(design, cohort.y)
    whole = model.predict_curves(design)
    order = np.random.default_rng(1).permutation(len(design))
    for expected, found in zip(whole, model.predict_curves(design[order]), strict=True):
        assert np.array_equal(found, expected[order])
    alone = zip(*(model.predict_curves(row[None]) for row in design), strict=True)
    for expected, rows in zip(whole, alone, strict=True):
        assert np.array_equal(np.concatenate(rows), expected)


def test_a_cohort_in_another_order_has_the_same_figures(cohort: Cohort) -> None:
    """Optimism over the same resamples: figures of ranks to the bit, others to 1e-9."""
    n = len(cohort.time)
    order = np.random.default_rng(2).permutation(n)
    place = np.argsort(order)
    draws = np.random.default_rng(3).integers(0, n, (25, n))
    one = optimism(cohort, Settings(n_jobs=1), 25, draws=draws)
    other = optimism(cohort.subset(order), Settings(n_jobs=1), 25, draws=place[draws])
    for a, b in zip([one.apparent, *one.whole], [other.apparent, *other.whole], strict=True):
        assert b.overall[0] == a.overall[0]  # the concordance
        # Weighted sums over patients, in another order; the fits are converged to about 1e-10.
        for part, expected in zip(b, a, strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-9)


def test_scores_that_differ_by_rounding_are_one_score(cohort: Cohort) -> None:
    """In the shares of pairs, and where risk groups are cut."""
    random = np.random.default_rng(4)
    score = random.integers(0, 9, len(cohort.time)) / 7 - 0.5
    shaken = score * (1 + 2.0**-53 * random.integers(-2, 3, len(score)))
    assert len(np.unique(shaken)) > len(np.unique(score))
    assert pairs(cohort, shaken) == pairs(cohort, score)
    first, other = risk_groups_of(score), risk_groups_of(shaken)
    assert other["training_counts"] == first["training_counts"]
    assert other["cut_points"] == pytest.approx(first["cut_points"], abs=1e-12)


def test_a_forest_is_the_same_whatever_the_order_it_is_asked_in(cohort: Cohort) -> None:
    """Out-of-bag scores are sums over the same trees in the same order for equal patients."""
    design = StudyEncoder(cohort.predictors, forms=False).fit_transform(cohort.X)
    forest = CompactForest(n_estimators=30, random_state=0, n_jobs=1).fit(design, cohort.y)
    curves = forest.predict_curves(design)
    assert curves[:, 0].max() <= 1
    assert len(np.unique(curves, axis=0)) <= len(np.unique(design, axis=0))
    renamed = replace(cohort, name="again")
    again = CompactForest(n_estimators=30, random_state=0, n_jobs=1).fit(design, renamed.y)
    assert np.array_equal(again.predict_curves(design), curves)


@pytest.mark.parametrize("form", ["linear", "log", "spline"])
def test_an_exported_number_gives_a_patient_one_answer(form: str) -> None:
    """A number as it is, its logarithm, a spline: in any batch and order."""
    declared = load_study("deb-tace-hcc").to_dict()
    declared["predictors"]["age"] |= {"form": form}
    cohort = check_cohort(simulate(200, 6), Study.from_dict(declared), "os", (*CORE, "age"))
    encoder = StudyEncoder(cohort.predictors)
    pipeline = Pipeline([("encode", encoder), ("model", CoxModel())]).fit(cohort.X, cohort.y)
    graph = to_onnx(pipeline, cohort.X.shape[1], "g", {})
    whole = run(graph, cohort.X)
    order = np.random.default_rng(7).integers(0, len(cohort.X), 300)
    for at_once in (1, 3, 128):
        for found, expected in zip(
            run(graph, cohort.X[order], at_once=at_once), whole, strict=True
        ):
            assert np.array_equal(found, expected[order])
    if form != "spline":  # whose cubes numpy takes as powers
        score = pipeline.predict(cohort.X)
        # A logarithm's last bit is the runtime's own; products and sums are the same operations.
        np.testing.assert_allclose(whole[3], score, rtol=1e-15 if form == "log" else 0)

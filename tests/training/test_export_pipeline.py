"""Anybody's pipeline becomes a bundle that answers as the pipeline does, or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sksurv.ensemble import (
    ComponentwiseGradientBoostingSurvivalAnalysis,
    ExtraSurvivalTrees,
    GradientBoostingSurvivalAnalysis,
    RandomSurvivalForest,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.svm import FastSurvivalSVM
from sksurv.tree import SurvivalTree

from model_cards.filling import card_of
from model_cards.render import render_markdown
from riskscore import load_model
from riskscore.errors import InputError, ModelError
from riskscore.study import Study, load_study
from tests.conftest import PATIENT, simulate
from tests.model_cards.conftest import stated
from tests.training.exported import run
from training import Cohort, read_cohort
from training.encoding import StudyEncoder
from training.export import export
from training.published import DEB_TACE_COHORT

PREDICTORS = [*PATIENT, "age"]


@pytest.fixture(scope="module")
def study() -> Study:
    """Return the study of the simulated patients."""
    return load_study("deb-tace-hcc")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 120 simulated patients as a file, with what states their source."""
    folder = tmp_path_factory.mktemp("patients")
    simulate(120, 1).to_csv(folder / "patients.csv", index=False)
    (folder / "patients.source.toml").write_text(
        'kind = "patients"\nsource = "a simulation"\nlicence = "none"\nlimits = ["Simulated."]\n'
    )
    return folder / "patients.csv"


@pytest.fixture(scope="module")
def cohort(study: Study, file: Path) -> Cohort:
    """Return the checked cohort: four categories and a number."""
    return read_cohort(file, study, "os", PREDICTORS)


def encoded(cohort: Cohort) -> Any:
    """Encode as this project does."""
    return StudyEncoder(cohort.predictors, forms=False)


def by_hand(_: Cohort) -> Any:
    """Encode as a user of scikit-learn does."""
    numbers = Pipeline([("scale", StandardScaler())])
    levels = OneHotEncoder(drop="first")
    return ColumnTransformer([("levels", levels, [0, 1, 2, 3]), ("number", numbers, [4])])


MODELS: dict[str, Callable[[], Any]] = {
    "cox": CoxPHSurvivalAnalysis,
    "coxnet": lambda: CoxnetSurvivalAnalysis(alphas=[0.02], fit_baseline_model=True),
    "componentwise": lambda: ComponentwiseGradientBoostingSurvivalAnalysis(n_estimators=20),
    "boosting": lambda: GradientBoostingSurvivalAnalysis(
        n_estimators=20, dropout_rate=0.1, random_state=0
    ),
    "stopped": lambda: GradientBoostingSurvivalAnalysis(
        n_estimators=20, n_iter_no_change=2, random_state=0
    ),
    "tree": lambda: SurvivalTree(min_samples_leaf=10, random_state=0),
    "forest": lambda: RandomSurvivalForest(20, min_samples_leaf=5, random_state=0),
    "extra": lambda: ExtraSurvivalTrees(20, min_samples_leaf=5, random_state=0),
}


@pytest.mark.parametrize("encode", [encoded, by_hand])
@pytest.mark.parametrize("name", MODELS)
def test_the_bundle_answers_as_the_pipeline(
    name: str, encode: Callable[[Cohort], Any], cohort: Cohort, study: Study, tmp_path: Path
) -> None:
    """Loaded by riskscore alone, a bundle gives scikit-survival's steps at any time, and a card."""
    pipeline = make_pipeline(encode(cohort), MODELS[name]()).fit(cohort.X, cohort.y)
    manifest = export(pipeline, study, cohort, tmp_path / name, name=name, refits=3)
    assert manifest.id == f"deb-tace-hcc/os/{name}"
    assert manifest.kind == "pipeline"
    assert manifest.times == tuple(np.unique(cohort.time[cohort.event])) or name == "stopped"
    model = load_model(tmp_path / name)
    times = [0.5, 6, 11.97, 12, 24]
    answer = model.answer_encoded(cohort.X, times)
    curves = pipeline.predict_survival_function(cohort.X)
    expected = np.array([f(times) for f in curves])
    # Double precision where the score is a sum of products or leaf values; a forest's curves are
    # float32.
    limit = 2e-6 if name in ("tree", "forest", "extra") else 1e-9
    assert np.abs(answer.survival - expected).max() < limit
    np.testing.assert_allclose(
        answer.risk_score, pipeline.predict(cohort.X), rtol=limit, atol=limit
    )
    card = render_markdown(card_of(stated(tmp_path / name)))
    assert type(pipeline[-1]).__name__ in card


def test_what_the_bundle_says(cohort: Cohort, study: Study, tmp_path: Path) -> None:
    """The figures are measured: the parity, the concordance, and out-of-bag over real refits."""
    pipeline = make_pipeline(by_hand(cohort), CoxPHSurvivalAnalysis(alpha=0.5))
    pipeline.fit(cohort.X, cohort.y)
    export(pipeline, study, cohort, tmp_path / "b", refits=4)
    inference = json.loads((tmp_path / "b" / "inference.json").read_text())
    assert inference["model"] == "sksurv.linear_model.coxph.CoxPHSurvivalAnalysis"
    assert [s["name"] for s in inference["steps"]] == ["columntransformer", "coxphsurvivalanalysis"]
    assert inference["parameters"]["alpha"] == 0.5
    assert inference["size"] == {"coefficients": 5}
    assert [c["coef"] for c in inference["coefficients"]] == pipeline[-1].coef_.tolist()
    assert inference["coefficients"][4]["term"] == "number__age"
    assert inference["parity"]["rows"] == 120
    assert 0 <= inference["parity"]["largest_survival_difference"] < 1e-12  # double precision
    evaluation = json.loads((tmp_path / "b" / "evaluation.json").read_text())
    assert evaluation["concordance"]["in_sample"] == pipeline.score(cohort.X, cohort.y)
    assert 0.4 < evaluation["concordance"]["out_of_bag"] < 0.9
    assert evaluation["refits"]["done"] + evaluation["refits"]["failed"] == 4


@pytest.mark.parametrize(("name", "warns"), [("componentwise", False), ("boosting", True)])
def test_trees_on_a_reconstruction_say_what_they_are_worth(
    name: str, warns: bool, study: Study, tmp_path: Path
) -> None:
    """The statement that travels with every prediction tells it, as for this project's forest."""
    cohort = read_cohort(DEB_TACE_COHORT, study, "os", list(PATIENT))
    pipeline = make_pipeline(encoded(cohort), MODELS[name]()).fit(cohort.X, cohort.y)
    manifest = export(pipeline, study, cohort, tmp_path / "b", refits=2)
    assert manifest.statement.startswith(cohort.provenance.statement)
    assert ("demonstrates the software only" in manifest.statement) is warns
    assert load_model(tmp_path / "b").manifest.statement == manifest.statement


@pytest.mark.cohorts
@pytest.mark.parametrize("name", ["cox", "boosting", "forest"])
def test_pipelines_of_real_patients(name: str, cohorts: Path, tmp_path: Path) -> None:
    """105 real patients, AFP over five decades among them, are answered for as by the pipeline."""
    names = ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age")
    study = load_study("hcc-tace")
    cohort = read_cohort(cohorts / "hcc-tace-seg.csv", study, "os", names, "hcc-tace-seg")
    pipeline = make_pipeline(StudyEncoder(cohort.predictors), MODELS[name]())
    pipeline.fit(cohort.X, cohort.y)
    export(pipeline, study, cohort, tmp_path / "b", refits=2)
    answer = load_model(tmp_path / "b").answer_encoded(cohort.X, [12, 24])
    expected = [f([12, 24]) for f in pipeline.predict_survival_function(cohort.X)]
    assert np.abs(answer.survival - expected).max() < 2e-6  # a forest's curves are float32
    assert card_of(stated(tmp_path / "b")).data.rows == 105


def test_a_file_a_table_and_a_search(study: Study, file: Path, tmp_path: Path) -> None:
    """A file or a table is checked first; of a search the best pipeline is taken; both agree."""
    cohort = read_cohort(file, study, "os", PREDICTORS)
    pipeline = make_pipeline(encoded(cohort), CoxPHSurvivalAnalysis())
    search = GridSearchCV(pipeline, {"coxphsurvivalanalysis__alpha": [0.1, 1.0]}, cv=2)
    search.fit(cohort.X, cohort.y)
    answers = []
    for i, given in enumerate((cohort, file, str(file), pd.read_csv(file))):
        named = {} if given is cohort else {"outcome": "os", "predictors": PREDICTORS}
        export(search, study, given, tmp_path / str(i), refits=2, **named)
        answers.append(load_model(tmp_path / str(i)).answer_encoded(cohort.X).survival)
        np.testing.assert_array_equal(answers[i], answers[0])
    expected = search.best_estimator_.predict_survival_function(cohort.X)
    horizons = cohort.outcome.horizons
    # Double precision; a power and an exponential, in another order.
    np.testing.assert_allclose(answers[0], [f(horizons) for f in expected], rtol=1e-12)


def test_a_thinned_grid_is_said(cohort: Cohort, study: Study, tmp_path: Path) -> None:
    """With fewer times the file is smaller and says so; the horizons stay exact."""
    pipeline = make_pipeline(encoded(cohort), RandomSurvivalForest(10, random_state=0))
    pipeline.fit(cohort.X, cohort.y)
    whole = export(pipeline, study, cohort, tmp_path / "whole", refits=2)
    thin = export(pipeline, study, cohort, tmp_path / "thin", refits=2, max_times=12)
    assert (whole.grid, thin.grid) == ("every event time", "thinned")
    assert set(cohort.outcome.horizons) <= set(thin.times)
    assert len(thin.times) <= 12
    answers = [
        load_model(tmp_path / b).answer_encoded(cohort.X).survival for b in ("whole", "thin")
    ]
    np.testing.assert_array_equal(*answers)
    sizes = [(tmp_path / b / "model.onnx").stat().st_size for b in ("whole", "thin")]
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("encode", [encoded, by_hand])
@pytest.mark.parametrize("name", ["cox", "forest"])
def test_a_row_that_is_no_patient_gets_no_answer(
    name: str, encode: Callable[[Cohort], Any], cohort: Cohort, study: Study, tmp_path: Path
) -> None:
    """No level, half a level, missing or infinite: NaN, though the steps would raise or answer."""
    pipeline = make_pipeline(encode(cohort), MODELS[name]()).fit(cohort.X, cohort.y)
    export(pipeline, study, cohort, tmp_path / "b", refits=2)
    good = cohort.X[:1]
    rows = np.repeat(good, 8, axis=0)
    for i, (column, value) in enumerate(
        [(0, 2.0), (1, 0.5), (2, -1.0), (3, np.nan), (4, np.nan), (4, np.inf)], start=1
    ):
        rows[i, column] = value
    graph = (tmp_path / "b" / "model.onnx").read_bytes()
    onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)
    survival, lower, _, score = run(graph, rows)
    assert np.isnan(survival[1:-1]).all()
    assert np.isnan(score[1:-1]).all()
    assert np.isnan(lower).all()
    np.testing.assert_array_equal(survival[0], survival[-1])
    assert not np.isnan(survival[0]).any()


def test_a_graph_that_differs_is_not_written(
    cohort: Cohort, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that disagrees about anyone in the cohort is refused, with how much and where."""
    pipeline = make_pipeline(encoded(cohort), CoxPHSurvivalAnalysis()).fit(cohort.X, cohort.y)
    monkeypatch.setattr(
        "training.export.hazards.linear_score", lambda model, alpha=None: (model.coef_ * 1.01, 0.0)
    )
    with pytest.raises(ModelError, match=r"survival differs by up to 0\.\d+ \(row \d+ of the coh"):
        export(pipeline, study, cohort, tmp_path / "b", refits=2)
    assert not (tmp_path / "b").exists()


def test_scikit_survival_losing_its_own_curve_is_caught(
    cohort: Cohort, study: Study, tmp_path: Path
) -> None:
    """Far from zero scikit-survival's baseline underflows; such a pipeline is told to scale."""
    pipeline = make_pipeline(encoded(cohort), CoxPHSurvivalAnalysis()).fit(cohort.X, cohort.y)
    far = pipeline[-1]
    far._baseline_model.fit(cohort.X[:, 4] * 0 - 30, cohort.event, cohort.time)
    far.coef_ = far.coef_ - [0, 0, 0, 0, 0.5]
    with pytest.raises(ModelError, match=r"Nothing was written. Scale the predictors"):
        export(pipeline, study, cohort, tmp_path / "b", refits=2)


def test_refusals_name_the_remedy(cohort: Cohort, study: Study, file: Path, tmp_path: Path) -> None:
    """What cannot be exported is refused before anything is computed."""
    out = tmp_path / "b"
    cox = make_pipeline(encoded(cohort), CoxPHSurvivalAnalysis())
    with pytest.raises(ModelError, match="CoxPHSurvivalAnalysis is not fitted; call fit"):
        export(cox, study, cohort, out)
    cox.fit(cohort.X, cohort.y)
    svm = make_pipeline(encoded(cohort), FastSurvivalSVM())
    with pytest.raises(ModelError, match="must end in one of .*; it ends in FastSurvivalSVM"):
        export(svm, study, cohort, out)
    forest = make_pipeline(encoded(cohort), RandomSurvivalForest(2, low_memory=True))
    with pytest.raises(ModelError, match="fit it again with low_memory=False"):
        export(forest.fit(cohort.X, cohort.y), study, cohort, out)
    frame = pd.DataFrame(cohort.X, columns=PREDICTORS)
    named = make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis()).fit(frame, cohort.y)
    with pytest.raises(ModelError, match="fitted on a table with named columns; fit it on cohort"):
        export(named, study, cohort, out)
    fewer = make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis()).fit(cohort.X[:, :3], cohort.y)
    with pytest.raises(ModelError, match="fitted on 3 columns, the cohort's model input has 5"):
        export(fewer, study, cohort, out)
    half = make_pipeline(encoded(cohort), CoxPHSurvivalAnalysis()).fit(cohort.X[:60], cohort.y[:60])
    with pytest.raises(ModelError, match="fitted on other patients"):
        export(half, study, cohort, out)
    with pytest.raises(ModelError, match="outcome and predictors are the cohort's; leave them out"):
        export(cox, study, cohort, out, outcome="os")
    with pytest.raises(ModelError, match="study must be the cohort's, deb-tace-hcc; got hcc-tace"):
        export(cox, "hcc-tace", cohort, out)
    with pytest.raises(ModelError, match="outcome must be given, .* one of os, pfs, ttp"):
        export(cox, study, file, out)
    with pytest.raises(ModelError, match="name must be lower-case letters"):
        export(cox, study, cohort, out, name="Mine!")
    with pytest.raises(InputError, match="death column is missing"):
        export(cox, study, simulate(20, 1).drop(columns="death"), out, outcome="os")
    assert not out.exists()


def test_a_graph_that_no_bundle_may_have_is_not_exported(cohort: Cohort, tmp_path: Path) -> None:
    """What would be refused when it is loaded is refused when it is made."""
    # skl2onnx gives the clusters' numbers to the next step, scikit-learn the distances.
    steps = [StudyEncoder(cohort.predictors, forms=False), KMeans(3, n_init=1, random_state=0)]
    pipeline = make_pipeline(*steps, CoxPHSurvivalAnalysis(alpha=1.0)).fit(cohort.X, cohort.y)
    with pytest.raises(ModelError, match="must have results of known size"):
        export(pipeline, cohort.study, cohort, tmp_path / "b", refits=2)
    assert not (tmp_path / "b").exists()

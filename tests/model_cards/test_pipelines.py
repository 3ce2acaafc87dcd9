"""The card of a pipeline that others wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.pipeline import make_pipeline
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.tree import SurvivalTree

from model_cards.card import PipelineModel
from model_cards.errors import CardError
from model_cards.filling import card_of
from model_cards.render import render_markdown
from riskscore.study import load_study
from tests.conftest import PATIENT
from tests.model_cards.conftest import damaged, stated
from training import read_cohort
from training.encoding import StudyEncoder
from training.export import export
from training.published import DEB_TACE_COHORT


@pytest.fixture(scope="module", params=["linear", "tree"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pipeline's bundle on the reconstructed cohort."""
    study = load_study("deb-tace-hcc")
    cohort = read_cohort(DEB_TACE_COHORT, study, "os", list(PATIENT))
    is_tree = request.param == "tree"
    model = (
        SurvivalTree(min_samples_leaf=15, random_state=0) if is_tree else CoxPHSurvivalAnalysis()
    )
    pipeline = make_pipeline(StudyEncoder(cohort.predictors), model).fit(cohort.X, cohort.y)
    path = tmp_path_factory.mktemp("pipeline") / request.param
    export(pipeline, study, cohort, path, refits=3)
    return stated(path)


def test_what_the_card_tells(bundle: Path) -> None:
    """Steps, size, settings and parity; a linear model's coefficients without false precision."""
    card = card_of(bundle)
    text = render_markdown(card)
    assert isinstance(card.model, PipelineModel)
    assert "1. StudyEncoder (training)" in text
    assert "its graph answered for all 90 training records as the pipeline did" in text
    assert "3 refits" in text
    few = [item.text for item in card.limitations if item.rule == "events per effect"]
    if bundle.name == "tree":
        assert "The model is a pipeline with SurvivalTree (sksurv)." in text
        assert f"The model has 1 tree with {card.model.leaves} leaves" in text
        assert "a model of trees wants 200 or more" in few[0]
        assert "demonstrates the software only" in text
    else:
        assert card.model.coefficients[0][0] == "tumor_number[>3]"
        assert "The model gives no standard errors" in text
        assert "| min_samples_leaf |" not in text
        assert few == []  # 59 events for 4 effects, where a linear model wants 10 each


@pytest.mark.parametrize("key", ["model", "steps", "parameters", "parity", "size"])
def test_a_fact_that_is_missing_makes_no_card(bundle: Path, tmp_path: Path, key: str) -> None:
    """Each is named, as for the other kinds."""
    copy = damaged(bundle, tmp_path, inference=lambda content: content.pop(key))
    with pytest.raises(CardError, match=rf"inference\.{key} is missing"):
        card_of(copy)

"""`describe` tells a spline as one predictor: between its quartiles, with its joint tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from riskscore.study import Study
from training.cohort import check_cohort
from training.commands import coefficient_lines
from training.description import check_sample, describe_cohort
from training.description.figures import draw_forest
from training.description.render import as_markdown, as_text
from training.fit import Settings, fit

ORACLE = Path(__file__).parents[1] / "oracle"
R = json.loads((ORACLE / "splines.json").read_text())
PBC = [f for f in R["skewed"] if f["cohort"] == "pbc"]


def pbc() -> pd.DataFrame:
    """Return bilirubin and survival of R's pbc."""
    d = pd.read_csv(ORACLE / "spline_cohorts.csv")
    return d[d["cohort"] == "pbc"].rename(columns={"x": "bilirubin"}).reset_index(drop=True)


def declared(n_knots: int) -> Study:
    """Return a study of it with a spline."""
    return Study.from_dict(
        {
            "format": 1,
            "study": {
                "id": "pbc", "title": "Primary biliary cholangitis", "population": "Adults",
                "time_unit": "day", "time_origin": "registration",
            },
            "outcomes": {
                "os": {
                    "label": "Overall survival", "time": "time", "event": "event",
                    "horizons": [365, 1826],
                }
            },
            "predictors": {
                "bilirubin": {
                    "label": "Bilirubin", "unit": "mg/dL", "range": [0.1, 50], "form": "spline",
                    "knots": n_knots,
                }
            },
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """Return the description with 4 knots."""
    return describe_cohort(check_sample(pbc(), declared(4), ["os"]))


@pytest.mark.parametrize("expected", PBC[:3], ids=lambda f: str(f["n_knots"]))
def test_the_effect_between_quartiles_and_both_tests_are_those_of_r(
    expected: dict[str, Any],
) -> None:
    """As rms's summary and anova have them; the same in a fitted model's contrasts."""
    study = declared(expected["n_knots"])
    (outcome,) = describe_cohort(check_sample(pbc(), study, ["os"]))["outcomes"]
    (row,) = outcome["regression"]["rows"]
    assert row["compared"] == expected["quartiles"][::-1]
    for effect in (row["univariable"], row["multivariable"]):
        # The parts' coefficients are known to 1e-8, as the test of the fit says.
        assert effect["coef"] == pytest.approx(expected["log_hazard_ratio"], rel=1e-8)
        assert effect["se"] == pytest.approx(expected["contrast_se"], rel=1e-8)
        assert effect["joint"]["chi_square"] == pytest.approx(expected["joint"], rel=1e-7)
        assert effect["nonlinearity"]["chi_square"] == pytest.approx(
            expected["nonlinear"], rel=1e-7
        )
        assert effect["p"] == effect["joint"]["p"]
    assert row["univariable"]["joint"]["df"] == expected["n_knots"] - 1
    inference = fit(check_cohort(pbc(), study, "os"), "cox", Settings()).inference
    (contrast,) = inference["contrasts"]
    assert contrast["log_hazard_ratio"] == pytest.approx(row["univariable"]["coef"], rel=1e-9)
    assert {c["hazard_ratio"] for c in inference["coefficients"]} == {None}
    (_, line) = coefficient_lines(inference)
    assert line.split()[:4] == ["bilirubin,", "3.4", "vs", "0.8"]
    assert inference["association"][0]["chi_square"] == pytest.approx(expected["joint"], rel=1e-7)


def test_no_part_of_a_spline_is_told_as_a_hazard_ratio_per_unit(
    description: dict[str, Any],
) -> None:
    """It printed three hazard ratios "per mg/dL", one of them 10^68."""
    for text in (as_text(description), as_markdown(description)):
        assert text.count("Bilirubin, 3.4 vs 0.8 mg/dL") == 1
        assert "per mg/dL" not in text
        assert "Bilirubin is a restricted cubic spline with 4 knots" in text
        assert "of no curvature" in text
    figure = draw_forest(description, description["outcomes"][0])
    assert isinstance(figure, Figure)
    said = [t.get_text() for t in figure.texts]
    assert said.count("Bilirubin, 3.4 vs 0.8 mg/dL") == 1


def test_a_model_that_is_refused_leaves_its_row_without_tests() -> None:
    """Nobody with an event: dashes, and the reason below."""
    frame = pbc()
    frame["event"] = np.where(frame["bilirubin"] > frame["bilirubin"].quantile(0.8), 1, 0)
    description = describe_cohort(check_sample(frame, declared(4), ["os"]))
    (row,) = description["outcomes"][0]["regression"]["rows"]
    assert row["univariable"] is None
    text = " ".join(as_text(description).split())
    assert "bilirubin: not estimated; the coefficient of bilirubin runs away" in text
    assert "restricted cubic spline with" not in text


def test_a_spline_beside_a_logarithm_has_an_effect_and_a_figure() -> None:
    """The two patients compared are alike in the other predictors, at values that have one."""
    table = pbc()
    table["weight"] = np.random.default_rng(0).uniform(45, 110, len(table)).round(1)
    declaration = declared(4).to_dict()
    weight = {"label": "Weight", "unit": "kg", "range": [30, 200], "form": "log"}
    declaration["predictors"]["weight"] = weight
    sample = check_sample(table, Study.from_dict(declaration), ["os"])
    description = describe_cohort(sample)
    (outcome,) = description["outcomes"]
    row = outcome["regression"]["rows"][0]
    for model in (row["univariable"], row["multivariable"]):
        assert np.isfinite(
            [model[k] for k in ("coef", "se", "hazard_ratio", "lower", "upper")]
        ).all()
    # The other predictor is noise: it hardly moves the effect.
    assert row["multivariable"]["coef"] == pytest.approx(row["univariable"]["coef"], rel=0.05)
    row["univariable"] |= dict.fromkeys(("hazard_ratio", "lower", "upper"))
    assert isinstance(draw_forest(description, outcome), Figure)

"""The description of a cohort against R, number by number (tests/oracle/describe.R)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.study import Predictor, load_study
from training.description import check_sample, describe_cohort
from training.description.contrasts import compare_counts
from training.description.table_one import wilson

ORACLE = Path(__file__).parents[1] / "oracle"
CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
CLOSED = 1e-10  # closed forms: only the order of additions differs
ITERATED = 1e-7  # both iterations stop far below this; the rest is rounding


@pytest.fixture(scope="module")
def oracle() -> dict[str, Any]:
    """Return R's numbers."""
    found: dict[str, Any] = json.loads((ORACLE / "describe.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module", params=["treatment", "site"])
def by(request: pytest.FixtureRequest) -> str:
    """Return what makes the arms: two of them, then three."""
    return str(request.param)


@pytest.fixture(scope="module")
def described(by: str) -> dict[str, Any]:
    """Return our description of the same cohort."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    frame["site"] = np.array(["c", "a", "b"])[frame["patient"] % 3]
    study = load_study("deb-tace-hcc")
    kept = {name: study.predictors[name] for name in CORE}
    kept["site"] = Predictor("site", "Site", levels=("a", "b", "c"))
    sample = check_sample(frame, replace(study, predictors=kept), ["os"], by=by)
    return describe_cohort(sample, CORE)


def test_characteristics_are_those_of_r(
    described: dict[str, Any], oracle: dict[str, Any], by: str
) -> None:
    """Pearson, Student or analysis of variance, Kruskal-Wallis, standardised differences."""
    expected = oracle["characteristics"][by]
    assert {row["name"] for row in described["table_one"]} == set(expected)
    for row in described["table_one"]:
        found = expected[row["name"]]
        assert row["test"]["statistic"] == pytest.approx(found["statistic"], rel=CLOSED)
        assert row["test"]["p"] == pytest.approx(found["p"], rel=CLOSED)
        assert row["smd"] == pytest.approx(found["smd"], rel=CLOSED)
        if row["kind"] == "number":
            assert row["rank_test"]["statistic"] == pytest.approx(
                found["rank_statistic"], rel=CLOSED
            )
            assert row["rank_test"]["p"] == pytest.approx(found["rank_p"], rel=CLOSED)
            for g, group in enumerate(row["groups"]):
                assert group["mean"] == pytest.approx(found["mean"][g], rel=CLOSED)
                assert group["sd"] == pytest.approx(found["sd"][g], rel=CLOSED)
                quartiles = [group[k] for k in ("lower_quartile", "median", "upper_quartile")]
                assert quartiles == pytest.approx(found["quartiles"][g], rel=CLOSED)


def test_curves_are_those_of_r(described: dict[str, Any], oracle: dict[str, Any], by: str) -> None:
    """Survival with its log-log band at every event time and at the horizons; numbers at risk."""
    (outcome,) = described["outcomes"]
    assert outcome["ticks"] == [0, 6, 12, 18, 24, 30]
    for arm, expected in zip(outcome["arms"], oracle["curves"][by]["arms"], strict=True):
        assert (arm["n"], arm["events"]) == (expected["n"], expected["events"])
        assert arm["at_risk"] == expected["at_risk"]
        assert arm["times"] == expected["times"]
        for key in ("survival", "lower", "upper"):
            # R has no limits once nobody is left, and nor have we.
            ours = [np.nan if v is None else v for v in arm[key]]
            theirs = [np.nan if v is None else v for v in expected[key]]
            assert ours == pytest.approx(theirs, rel=CLOSED, abs=1e-12, nan_ok=True)
            at = [h[key] for h in arm["at_horizons"]]
            assert at == pytest.approx(expected["at_horizons"][key], rel=CLOSED)


def test_medians_and_their_log_log_intervals_are_those_of_r(
    described: dict[str, Any], oracle: dict[str, Any], by: str
) -> None:
    """Except where a curve runs level at one half: we say when it starts, R the middle."""
    (outcome,) = described["outcomes"]
    for arm, expected in zip(outcome["arms"], oracle["curves"][by]["arms"], strict=True):
        level = [
            t for t, s in zip(arm["times"], arm["survival"], strict=True) if abs(s - 0.5) < 1e-9
        ]
        if level:
            after = min(t for t in arm["times"] if t > level[0])
            assert arm["median"] == level[0]
            assert expected["median"] == (level[0] + after) / 2
        else:
            assert arm["median"] == expected["median"]
        assert list(arm["interval"]) == expected["interval"]


def test_log_rank_is_that_of_r(described: dict[str, Any], oracle: dict[str, Any], by: str) -> None:
    """Two and three arms."""
    test, expected = described["outcomes"][0]["logrank"], oracle["curves"][by]
    assert test["chi_square"] == pytest.approx(expected["chi_square"], rel=CLOSED)
    assert test["df"] == expected["df"]
    assert test["p"] == pytest.approx(expected["p"], rel=CLOSED)
    follow_up = described["outcomes"][0]["follow_up"]["median"]
    assert follow_up == oracle["reverse_median"]


def test_cox_models_are_those_of_r(described: dict[str, Any], oracle: dict[str, Any]) -> None:
    """Each predictor alone, the five together, and their likelihood ratio tests."""
    found = described["outcomes"][0]["regression"]
    place = dict.fromkeys((*CORE, "site"), 0)
    for i, row in enumerate(found["rows"]):
        expected = oracle["alone"][row["predictor"]]
        at = place[row["predictor"]]
        place[row["predictor"]] += 1
        for key in ("hazard_ratio", "lower", "upper", "p"):
            # R returns a number, not a list, for a model of one term.
            theirs = np.atleast_1d(expected[key])[at]
            assert row["univariable"][key] == pytest.approx(theirs, rel=ITERATED)
            if row["predictor"] in CORE:
                joint = oracle["together"][key][i]
                assert row["multivariable"][key] == pytest.approx(joint, rel=ITERATED)
        if row["predictor"] not in CORE:
            assert row["multivariable"] is None
        test = found["univariable_tests"][row["predictor"]]
        assert test["statistic"] == pytest.approx(expected["likelihood_ratio"], rel=ITERATED)
    joint_test = found["multivariable_test"]["statistic"]
    assert joint_test == pytest.approx(oracle["together"]["likelihood_ratio"], rel=ITERATED)


def test_fisher_and_wilson_are_those_of_r(oracle: dict[str, Any]) -> None:
    """The exact test of a sparse table, and the score interval of a share."""
    test = compare_counts(oracle["fisher"]["table"])
    assert test is not None
    assert test.name == "Fisher's exact"
    assert test.p == pytest.approx(oracle["fisher"]["p"], rel=CLOSED)
    for case in oracle["wilson"]:
        found = wilson(case["count"], case["n"])
        assert found == pytest.approx(case["interval"], rel=CLOSED)

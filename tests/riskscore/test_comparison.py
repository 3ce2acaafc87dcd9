"""Comparing treatments: R's joint variance, the range over draws, and what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore import InputError, ModelError, RiskModel, load_model
from riskscore.study import load_study
from tests.conftest import PATIENT
from tests.riskscore.test_sensitivity import of_four, with_table
from training.cohort import check_cohort, read_cohort
from training.fit import Settings, fit
from training.published import DEB_TACE_COHORT
from training.run import CORE_FOUR

FOLDER = Path(__file__).parents[1] / "oracle"
ORACLE = json.loads((FOLDER / "contrast.json").read_text(encoding="utf-8"))
STUDY = load_study("deb-tace-hcc")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RiskModel]:
    """Return the models that R's script fits."""
    folder = tmp_path_factory.mktemp("models")
    frame = pd.read_csv(FOLDER / "simulated.csv")
    five = [*CORE_FOUR, "age"]
    reconstructed = read_cohort(DEB_TACE_COHORT, STUDY, "os", CORE_FOUR)
    clustered = frame.assign(patient=(np.arange(1, len(frame) + 1) + 2) // 3)
    repeated = load_study("deb-tace-hcc").to_dict()
    repeated["study"]["cluster"] = "patient"
    fits = {
        "reconstructed": fit(reconstructed, "cox"),
        "breslow": fit(reconstructed, "cox", Settings(ties="breslow")),
        "simulated": fit(check_cohort(frame, STUDY, "os", five), "cox"),
        "clustered": fit(
            check_cohort(clustered, type(STUDY).from_dict(repeated), "os", five), "cox"
        ),
        "penalised": fit(reconstructed, "cox", Settings(penalty=2.0)),
    }
    for name, fitted in fits.items():
        fitted.write(folder / name)
    return {name: load_model(folder / name) for name in fits}


def patient(row: dict[str, float]) -> dict[str, Any]:
    """Return a patient from R's coding of one."""
    return {
        name: value if name == "age" else STUDY.predictors[name].levels[int(value)]
        for name, value in row.items()
    }


@pytest.mark.parametrize("cohort", ["reconstructed", "breslow", "simulated"])
def test_difference_and_joint_variance_are_r_s(cohort: str, models: dict[str, RiskModel]) -> None:
    """R gives the covariance of two hazards by a patient halfway between them."""
    for case in ORACLE[cohort]:
        model, times = models[cohort], np.array(case["times"], dtype=float)
        found = model.contrast([patient(case["one"][0])], case["times"])
        # 1e-9: R stops its own iterations at 1e-11.
        assert found.difference[0, 0] == pytest.approx(case["difference"], rel=1e-9)
        row = {"treatment": 0, **case["one"][0]}
        one = np.array([[row[p.name] for p in model.manifest.predictors]], dtype=float)
        other = one.copy()
        column = [p.name for p in model.manifest.predictors].index("treatment")
        one[:, column], other[:, column] = 0, 1
        a, d, va, cov, vd = (v[0] for v in model.equation.log_hazards(other, one, times))
        # The delta method's error of a difference, which R was asked for.
        by_a = np.exp(a - np.exp(a)) - np.exp(a + d - np.exp(a + d))
        by_d = -np.exp(a + d - np.exp(a + d))
        se = np.sqrt(by_a**2 * va + 2 * by_a * by_d * cov + by_d**2 * vd)
        # 1e-7: the differences of R's squared errors lose some digits.
        assert se == pytest.approx(case["se"], rel=1e-7)


def test_separate_bands_are_not_subtracted(models: dict[str, RiskModel]) -> None:
    """The joint interval is narrower than that of two independent curves would be."""
    found = models["reconstructed"].contrast([PATIENT], [12])
    each = (found.upper - found.lower)[0, :, 0] / 2
    half = (found.difference_upper - found.difference_lower)[0, 0, 0] / 2
    assert half < np.hypot(*each)


def test_no_time_has_no_difference(models: dict[str, RiskModel]) -> None:
    """At time 0 everybody is event-free under each treatment, with certainty."""
    found = models["reconstructed"].contrast([PATIENT], [0])
    assert found.difference.tolist() == [[[0.0]]]
    assert found.difference_lower.tolist() == found.difference_upper.tolist() == [[[0.0]]]


def test_the_tables_have_a_row_a_patient_and_treatment(models: dict[str, RiskModel]) -> None:
    """The index of the patients is kept, and the treatment may be left out."""
    model = models["reconstructed"]
    untreated = {k: v for k, v in PATIENT.items() if k != "treatment"}
    table = pd.DataFrame([untreated] * 2, index=pd.Index(["a", "b"], name="id"))
    found = model.compare(table, times=[6, 12])
    assert list(found.survival.index.names) == ["id", "treatment"]
    predicted = model.predict(PATIENT | {"treatment": "deb_tace_sorafenib"}, [6, 12])
    for name in ("survival", "lower", "upper"):
        asked = getattr(predicted, name).loc[0].tolist()
        # 1e-15: the last bit depends on how many rows are multiplied at once.
        shown = getattr(found, name).loc[("b", "deb_tace_sorafenib")].tolist()
        assert shown == pytest.approx(asked, abs=1e-15)
    both = found.survival.loc["a"]
    gained = both.loc["deb_tace_sorafenib"] - both.loc["deb_tace"]
    assert found.difference.loc[("a", "deb_tace_sorafenib")].tolist() == gained.tolist()
    assert (found.difference_lower < found.difference).all(axis=None)
    assert (found.difference < found.difference_upper).all(axis=None)
    frame = found.to_frame()
    assert frame["patient"].tolist() == ["a", "a", "b", "b"]
    assert frame["difference"].tolist() == gained.tolist() * 2
    assert "association" in found.statement
    assert "not the effect" in found.statement
    assert repr(found) == "Comparison('deb-tace-hcc/os/cox', 'treatment', patients=2)"
    assert len(model.compare([PATIENT, PATIENT]).contrast) == 2


def test_a_penalised_model_has_a_difference_without_interval(models: dict[str, RiskModel]) -> None:
    """Shrunken coefficients have no covariance, and the reason is told."""
    found = models["penalised"].contrast([PATIENT], [12])
    assert found.difference[0, 0, 0] > 0
    assert np.isnan(found.difference_lower).all()
    assert "penalty shrinks" in found.interval


def test_the_range_over_the_draws_stands_beside_the_interval(
    cox_bundle: Path, tmp_path: Path
) -> None:
    """The shipped Cox model carries both, in arrays, tables and records."""
    model = load_model("deb-tace-hcc/os/cox")
    found = model.compare(PATIENT, times=[12])
    least, most = found.sensitivity_least.iloc[0, 0], found.sensitivity_most.iloc[0, 0]
    assert least < found.difference.iloc[0, 0] < most
    assert {"sensitivity_least", "sensitivity_most"} <= set(found.to_frame())
    record = found.contrast.to_records()[0]["differences"]["deb_tace_sorafenib"]
    assert record["sensitivity_least"] == [least]
    stored = load_model(with_table(cox_bundle, tmp_path / "b", of_four())).compare(PATIENT, [3])
    # Invasion alone is combinations 4 and 5; the table that is read gives the treated row.
    assert stored.sensitivity_least.iloc[0, 0] == pytest.approx(0.54)


def test_a_reconstructed_forest_gives_its_range_or_refuses(forest_bundle: Path) -> None:
    """With draws there is their range and no interval; without there is no answer."""
    found = load_model("deb-tace-hcc/os/forest").contrast([PATIENT], [12])
    assert np.isnan(found.difference_lower).all()
    assert found.sensitivity_least is not None
    assert found.sensitivity_least[0, 0, 0] < found.difference[0, 0, 0]
    assert "none" in found.interval
    model = load_model(forest_bundle)
    with pytest.raises(ModelError, match=r"must not be a forest of a reconstructed cohort to comp"):
        model.compare(PATIENT | {"age": 60.0})
    assert len(model.predict(PATIENT | {"age": 60.0}).answer) == 1


def test_a_model_without_draws_has_no_range(models: dict[str, RiskModel]) -> None:
    """No column, no key, and NaN where a table is asked for."""
    found = models["simulated"].compare(PATIENT | {"age": 60.0})
    assert "sensitivity_least" not in found.to_frame()
    assert found.sensitivity_least.isna().all(axis=None)
    assert found.sensitivity_most.isna().all(axis=None)
    record = found.contrast.to_records()[0]
    assert "sensitivity_least" not in record["differences"]["deb_tace_sorafenib"]
    assert record["treatments"]["deb_tace"]["survival"][0] < 1


def test_a_model_without_treatment_compares_nothing(tmp_path: Path) -> None:
    """The remedy is in the study."""
    cohort = read_cohort(DEB_TACE_COHORT, STUDY, "os", CORE_FOUR[:3])
    fit(cohort, "cox").write(tmp_path / "b")
    model = load_model(tmp_path / "b")
    with pytest.raises(ModelError, match=r"must have a predictor with role treatment"):
        model.compare(model.manifest.typical_patient)


def test_bad_patients_and_times_are_refused_together(models: dict[str, RiskModel]) -> None:
    """Every problem at once, as for a prediction."""
    with pytest.raises(InputError) as raised:
        models["reconstructed"].compare(PATIENT | {"vascular_invasion": "maybe"}, times=[99])
    text = str(raised.value)
    assert "vascular_invasion must be" in text
    assert "times must be 0 to" in text


def test_a_bundle_that_keeps_no_variance_is_told_from_a_damaged_one(
    cox_bundle: Path, tmp_path: Path
) -> None:
    """What an earlier version wrote still predicts; comparing says what to do."""
    from riskscore.bundle import open_bundle, write_bundle
    from riskscore.errors import BundleError

    found = open_bundle(cox_bundle)
    files = {name: (cox_bundle / name).read_bytes() for name in found.manifest.files}
    inference = json.loads(files["inference.json"])
    del inference["baseline"]["hazard_variance"]
    files["inference.json"] = json.dumps(inference).encode()
    write_bundle(tmp_path / "b", found.manifest, files)
    model = load_model(tmp_path / "b")
    model.predict(PATIENT)
    with pytest.raises(BundleError, match=r"'hazard_variance'\); fit the model again"):
        model.compare(PATIENT)


@pytest.mark.parametrize("name", ["reconstructed", "simulated", "clustered"])
def test_the_difference_agrees_with_the_hazard_ratio(
    name: str, models: dict[str, RiskModel]
) -> None:
    """At every profile and time its interval holds 0 where that of the ratio holds 1."""
    model = models[name]
    rows = model.bundle.read("inference.json")["contrasts"]
    ratio = next(r for r in rows if r["predictor"] == "treatment")
    predictors = model.manifest.predictors
    levels = [range(len(p.levels)) if p.is_category else (40.0, 70.0) for p in predictors]
    patients = [
        {
            p.name: p.levels[int(v)] if p.is_category else v
            for p, v in zip(predictors, row, strict=True)
        }
        for row in itertools.product(*levels)
    ]
    found = model.contrast(patients, [6, 12, 24])
    assert (found.difference_lower <= found.difference).all()
    assert (found.difference <= found.difference_upper).all()
    assert ((found.difference_lower > 0) == (ratio["upper"] < 1)).all()
    assert ((found.difference_upper < 0) == (ratio["lower"] > 1)).all()

"""What is shipped from public cohorts: the model of real patients and the external validations."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from riskscore import load_model
from riskscore.bundle import shipped_bundles, write_bundle
from riskscore.study import load_study
from tests.conftest import COHORTS
from training.__main__ import main
from training.adapters import adapt
from training.cohort import read_cohort
from training.fit import fit
from training.ship import EXTERNALS, REAL

MODEL = "hcc-tace/os/cox"
ABSENT = "the public cohorts are not beside the checkout"
MOST_BYTES = 5_000_000


def test_the_model_of_real_patients_predicts_and_says_where_it_comes_from() -> None:
    """Invasion and metastasis worsen survival, and source, licence and purpose are stated."""
    model = load_model(MODEL)
    cohort = model.manifest.training["cohort"]
    assert (cohort["kind"], cohort["licence"]) == ("patients", "MIT")
    assert "SurvivalPath" in cohort["source"]
    assert "not for care" in model.manifest.statement
    patient = model.manifest.typical_patient | {"vascular_invasion": "no", "metastasis": "no"}
    worse = patient | {"vascular_invasion": "yes", "metastasis": "yes"}
    better_curve, worse_curve = model.answer([patient, worse]).survival
    assert (worse_curve < better_curve).all()


def test_the_shipped_bundles_are_small() -> None:
    """All of them together, with what is attached, stay below 5 MB."""
    files = [f for path in shipped_bundles().values() for f in path.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) < MOST_BYTES


@pytest.mark.parametrize("job", EXTERNALS, ids=lambda job: f"{job.model}-{job.name}")
def test_an_attachment_is_of_the_model_it_lies_beside(job) -> None:  # type: ignore[no-untyped-def]
    """It names the bundle's digest and what was assumed, and is small."""
    model = load_model(job.model)
    file = model.bundle.path / "external" / f"{job.name}.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["model"], found["digest"]) == (job.model, model.digest), "stale: make bundles"
    assert found["cohort"]["name"] == job.file
    assert found["notes"][: len(job.notes)] == list(job.notes)
    assert file.stat().st_size < 200_000


def test_a_bundle_made_again_keeps_its_attachments(tmp_path: Path) -> None:
    """They cost somebody a cohort that may be gone."""
    bundle = load_model("deb-tace-hcc/pfs/cox").bundle
    content = {name: (bundle.path / name).read_bytes() for name in bundle.manifest.files}
    write_bundle(tmp_path / "b", bundle.manifest, content)
    (tmp_path / "b" / "external").mkdir()
    (tmp_path / "b" / "external" / "here.json").write_text("{}")
    write_bundle(tmp_path / "b", bundle.manifest, content)
    assert (tmp_path / "b" / "external" / "here.json").read_text() == "{}"


def test_the_columns_of_the_published_equation_are_made_by_stated_rules() -> None:
    """Made-up rows: several nodules are more than 3, and nobody had sorafenib."""
    frame = pd.DataFrame(
        {
            "TCIA_ID": ["a", "b"], "tumor_nodul": ["uninodular", "multinodular"],
            "Vascular invasion": [1, 0], "Metastasis": [0, 1], "Tr_Size": [5.0, None],
            "CPS": ["A", "B"], "AFP": [3.0, 4.0], "age": [60, 70], "chemotherapy": ["x", "y"],
            "OS": [52.0, 10.0], "Death_1_StillAliveorLostToFU_0": [1, 0],
        }
    )  # fmt: skip
    adapted = adapt("hcc-tace-seg-as-deb-tace", frame, load_study("deb-tace-hcc"))[0]
    assert adapted["tumor_number"].tolist() == ["<=3", ">3"]
    assert adapted["vascular_invasion"].tolist() == ["yes", "no"]
    assert adapted["extrahepatic_metastasis"].tolist() == ["no", "yes"]
    assert set(adapted["treatment"]) == {"deb_tace"}


def test_first_visits_of_the_embolised_leave_out_the_rest_and_count_them() -> None:
    """Four made-up first visits: one not embolised, one resected, lesions 3 and 4 on both sides."""
    row = {
        "patient": 1, "first_year": 2015, "day": 0, "Age": 60, "Amount.of.Hepatic.Lesions": 3,
        "Largest.Diameter.of.Hepatic.Lesions": 45.0, "Vascular.Invasion": 0,
        "Distant.Metastasis": 0, "Child_pugh_score": 5, "AFP": 10.0, "Embolization": 1,
        "Resection": 0, "OStime_day": 365.25, "Status_of_death": 1,
    }  # fmt: skip
    frame = pd.DataFrame(
        [row, row | {"patient": 2, "Embolization": 0}, row | {"patient": 3, "Resection": 1},
         row | {"patient": 4, "Amount.of.Hepatic.Lesions": 4}]
    )  # fmt: skip
    adapted, flow, _ = adapt("survivalpath-as-deb-tace", frame, load_study("deb-tace-hcc"))
    assert adapted["patient"].tolist() == [1, 4]
    assert adapted["tumor_number"].tolist() == ["<=3", ">3"]
    assert dict(flow.excluded)["no embolisation at the visit"] == 1
    assert dict(flow.excluded)["resection at the visit"] == 1


def test_a_folder_without_the_cohorts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file that is missing; nothing is written."""
    assert main(["ship", "--cohorts", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "must hold the file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not COHORTS.is_dir(), reason=ABSENT)
def test_the_model_of_real_patients_is_not_stale() -> None:
    """Fitted again, without its validation, it has the coefficients that are shipped."""
    cohort = read_cohort(
        COHORTS / REAL.file, load_study(REAL.study), REAL.outcome, None, REAL.adapter
    )
    shipped = load_model(MODEL)
    fresh = fit(cohort, REAL.kind)
    assert shipped.manifest.training["cohort"]["sha256"] == cohort.sha256, "stale: make bundles"
    coefficients = shipped.bundle.read("inference.json")["coefficients"]
    for c, again in zip(coefficients, fresh.inference["coefficients"], strict=True):
        assert c["term"] == again["term"]
        # Another processor's or version's last digits.
        assert c["coef"] == pytest.approx(again["coef"], rel=1e-6)
        assert c["se"] == pytest.approx(again["se"], rel=1e-6)

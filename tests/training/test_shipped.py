"""What is shipped from public cohorts: the model of real patients and the external validations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sksurv.util import Surv

from riskscore import load_model
from riskscore.bundle import shipped_bundles, write_bundle
from riskscore.cli import main as command
from riskscore.metrics import kaplan_meier
from riskscore.study import load_study
from riskscore.tables import read_table
from tests.conftest import COHORTS
from training.__main__ import main
from training.adapters import BELONGS, adapt
from training.cohort import read_cohort
from training.cox import CoxModel
from training.fit import fit
from training.ship import (
    DEVELOPERS,
    EXTERNALS,
    REAL,
    REBUILT,
    VISITS,
    external,
    state_rebuilding,
)

MODEL = "hcc-tace/os/cox"
STATED = Path(__file__).parents[2] / "model_cards" / MODEL / "statements.toml"
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


def test_the_model_of_real_patients_says_that_it_is_being_rebuilt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever shows it or predicts with it is told; a committee's review is never overwritten."""
    bundle = tmp_path / "b"
    shutil.copytree(load_model(MODEL).bundle.path, bundle)
    (bundle / "review.toml").unlink(missing_ok=True)
    state_rebuilding(bundle)
    state_rebuilding(bundle)  # a second time changes nothing
    review = load_model(bundle).review
    assert (review.status, review.decision, review.reviewer_role) == ("draft", REBUILT, DEVELOPERS)
    assert f"by {DEVELOPERS}: being rebuilt" in review.label
    assert command(["show", str(bundle)]) == 0
    assert REBUILT in capsys.readouterr().out
    file = bundle / "review.toml"
    file.write_text(
        file.read_text().replace(DEVELOPERS, "Tumour board").replace("draft", "retired")
    )
    assert "it stays" in "".join(state_rebuilding(bundle))
    assert load_model(bundle).review.status == "retired"


def test_who_is_of_the_population_is_told_where_the_data_tell_it() -> None:
    """A large lesion is; a single small one is not; several small ones, or no diameter: unknown."""
    row = {
        "patient": 1, "first_year": 2015, "day": 0, "Age": 60, "Amount.of.Hepatic.Lesions": 3,
        "Largest.Diameter.of.Hepatic.Lesions": 101.0, "Vascular.Invasion": 0,
        "Distant.Metastasis": 0, "Child_pugh_score": 9, "AFP": 10.0, "Embolization": 1,
        "Resection": 0, "OStime_day": 365.25, "Status_of_death": 1,
    }  # fmt: skip
    small = {"Largest.Diameter.of.Hepatic.Lesions": 99.0}
    rows = [
        row, row | {"patient": 2, "Child_pugh_score": 10}, row | {"patient": 3, "Age": 81},
        row | small | {"patient": 4}, row | small | {"patient": 5, "Amount.of.Hepatic.Lesions": 1},
    ]  # fmt: skip
    study = load_study("deb-tace-hcc")
    adapted = adapt("survivalpath-as-deb-tace", pd.DataFrame(rows), study)[0]
    assert adapted[BELONGS].tolist() == ["yes", "no", "no", "unknown", "no"]


def test_a_folder_without_the_cohorts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file that is missing; nothing is written."""
    assert main(["ship", "--cohorts", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "must hold the file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not COHORTS.is_dir(), reason=ABSENT)
def test_a_slope_elsewhere_is_of_its_horizon() -> None:
    """The source's equation on HCC-TACE-Seg: over the whole follow-up its slope would be 0.66.

    R 4.2.2, survival 3.5.3: coxph(Surv(pmin(time, h), event * (time <= h)) ~ log(-log(survival))).
    """
    job = EXTERNALS[0]
    validation = external(load_model(job.model), job, COHORTS, replicates=0)
    slopes = [at.calibration.slope for at in validation.evaluation.horizons]
    ours = [(slope.value, slope.se) for slope in slopes if slope]
    theirs = [(1.30347, 0.49063), (1.22486, 0.32754), (0.93309, 0.29126), (0.96086, 0.26132)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)  # the digits printed
    assert any("calibration slope at month 24 " in note for note in validation.notes)


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


@pytest.mark.skipif(not COHORTS.is_dir(), reason=ABSENT)
def test_what_is_stated_of_the_visits_is_what_the_public_file_shows() -> None:
    """Embolisation, values that look filled in, era, first visits, Child class: counted again."""
    raw = read_table(COHORTS / VISITS)
    study = load_study("hcc-tace")
    frame, _, provenance = adapt("survivalpath-all", raw, study)
    limits, stated = " ".join(provenance.limits), STATED.read_text(encoding="utf-8")
    day = raw["day"].loc[frame.index].astype(float)
    embolised = frame["embolization"] == "yes"
    visits, patients = embolised.mean(), embolised.groupby(frame["patient"]).any().mean()
    assert f"at {100 * visits:.0f} % of these visits; {100 * patients:.0f} % of these" in limits
    assert f"at {100 * visits:.0f} % of the visits" in stated
    assert f"at {100 * visits:.0f} % of these visits" in study.population
    assert 0.3 < 1 - patients < 0.36
    assert "a third of whom never had embolisation at these visits" in provenance.statement
    assert f"{100 * patients:.0f} % of the patients had embolisation" in stated

    early = frame["first_year"] < 2016
    ordered = frame[early].assign(day=day).sort_values(["patient", "day"])
    first = ordered[ordered.groupby("patient").cumcount() == 0]
    assert f"None of the {len(first):,} patients who came before 2016" in limits
    assert not (first["tumor_number"] == "single").any()
    assert not (first["vascular_invasion"] == "yes").any()
    second = ordered[ordered.groupby("patient").cumcount() == 1]
    single = (second["tumor_number"] == "single").mean()
    invasion = (second["vascular_invasion"] == "yes").mean()
    assert f"second visits {100 * single:.0f} % and {100 * invasion:.0f} % have" in limits


@pytest.mark.skipif(not COHORTS.is_dir(), reason=ABSENT)
def test_what_is_stated_against_the_model_of_real_patients_is_so() -> None:
    """Observed over expected by era, hazard ratios of era, visit and Child class, anew."""
    raw, stated = read_table(COHORTS / VISITS), STATED.read_text(encoding="utf-8")
    frame = adapt("survivalpath-all", raw, load_study("hcc-tace"))[0]
    first = (raw["day"].loc[frame.index].astype(float) == 0).to_numpy()
    late = (frame["first_year"] >= 2016).to_numpy()
    model = load_model(MODEL)
    names = [p.name for p in model.manifest.predictors]
    risk = 1 - model.predict(frame[names].reset_index(drop=True), [6]).survival.to_numpy()[:, 0]
    time, event = frame["os_months"].to_numpy(), frame["death"].to_numpy() == 1

    def ratio(which: NDArray[np.bool_]) -> str:
        observed = 1 - kaplan_meier(time[which], event[which], 6).value
        return f"{observed / risk[which].mean():.2f}"

    for words in (
        f"are {ratio(~late)} for those who first came before 2016 and {ratio(late)} for those who",
        f"(at first visits {ratio(~late & first)} and {ratio(late & first)}); the ",
        f"; the {ratio(late | ~late)} for all is the mean",
    ):
        assert words in stated
    design = np.column_stack(
        [
            frame["tumor_number"] == "multiple", frame["vascular_invasion"] == "yes",
            frame["metastasis"] == "yes", frame["largest_diameter"],
            frame["child_class"] == "B_or_C", np.log(frame["afp"].astype(float)), frame["age"],
        ]
    ).astype(float)  # fmt: skip
    patient = np.unique(frame["patient"], return_inverse=True)[1]

    def hazard_ratio(
        columns: NDArray[np.float64], k: int, until: float = np.inf, since: float = 0.0
    ) -> str:
        rows = time > since
        y = Surv.from_arrays((event & (time <= until))[rows], np.minimum(time, until)[rows])
        fitted = CoxModel().fit(columns[rows], y, patient[rows])
        half = 1.959963984540054 * np.sqrt(fitted.variance_[k, k])
        middle, low, high = np.exp(fitted.coef_[k] + np.array([0.0, -half, half]))
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"

    more = np.column_stack([design, late, first])
    assert f"coming from 2016 on is {hazard_ratio(more, 7)}" in stated
    assert f"the era, its hazard ratio is {hazard_ratio(more, 8)}" in stated
    assert f"{hazard_ratio(design, 4, until=6)} in months 0 to 6 and" in stated
    assert f"and {hazard_ratio(design, 4, since=6)} after that" in stated


@pytest.mark.skipif(not COHORTS.is_dir(), reason=ABSENT)
def test_how_many_of_the_other_cohorts_are_of_the_population_is_stated() -> None:
    """The counts of the card's statements are those of the adapters."""
    stated = (STATED.parents[3] / "deb-tace-hcc/os/cox/statements.toml").read_text(encoding="utf-8")
    study, counts = load_study("deb-tace-hcc"), []
    for job in EXTERNALS:
        if job.study == study.id:
            frame = adapt(job.adapter, read_table(COHORTS / job.file), study)[0]
            counts.append((len(frame), int((frame[BELONGS] == "yes").sum())))
    (seg, of_seg), (visits, of_visits) = counts
    assert f"of the {seg} and {visits:,} in them, {of_seg} and {of_visits} are known" in stated

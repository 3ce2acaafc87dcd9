"""External validation: a finished model on other patients, with nothing of theirs kept."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index

from riskscore import InputError, RiskModel, load_model
from riskscore.cli import main
from riskscore.metrics._cox import fit_cox
from riskscore.metrics._outcome import check_outcome
from riskscore.study import load_study
from riskscore.validation import read_validation_cohort, text, validate
from riskscore.validation.cohort import ValidationCohort, check_validation_cohort
from tests.conftest import PATIENT, simulate

STUDY = load_study("deb-tace-hcc")


@pytest.fixture(scope="module")
def model(cox_bundle: Path) -> RiskModel:
    """Return the Cox model of 90 simulated patients."""
    return load_model(cox_bundle)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Return 300 other patients of the same simulation."""
    return simulate(300, seed=11)


@pytest.fixture(scope="module")
def cohort(model: RiskModel, frame: pd.DataFrame) -> ValidationCohort:
    """Return them, checked for the model."""
    return check_validation_cohort(frame, model.manifest, STUDY, name="others.csv", sha256="abc")


def test_figures_are_lifelines_and_the_definitions(
    model: RiskModel, cohort: ValidationCohort
) -> None:
    """Concordance, observed risk, expected risk and their ratio, each computed apart."""
    found = validate(model, cohort, replicates=20)
    answer = model.answer_encoded(cohort.X)
    assert found.horizons == (6, 12, 18, 24)
    assert found.evaluation.harrell is not None
    reference = concordance_index(cohort.time, -answer.risk_score, cohort.event)
    assert found.evaluation.harrell.value == pytest.approx(reference)
    curve = KaplanMeierFitter().fit(cohort.time, cohort.event)
    for k, at in enumerate(found.evaluation.horizons):
        observed = 1 - float(curve.predict(at.horizon))
        assert at.calibration.observed.value == pytest.approx(observed)
        expected = 1 - answer.survival[:, k].mean()
        assert at.calibration.expected == pytest.approx(expected)
        assert at.calibration.observed_expected.value == pytest.approx(observed / expected)


def test_the_case_mix_is_recounted(model: RiskModel, cohort: ValidationCohort) -> None:
    """Shares and the standardised difference, by hand."""
    row = validate(model, cohort, replicates=0).case_mix[3]
    assert (row.predictor, row.level) == ("vascular_invasion", "yes")
    here = float((cohort.X[:, 1] == 1).mean())
    before = model.manifest.training["predictors"]["vascular_invasion"]["yes"] / 90
    assert (row.development, row.validation) == pytest.approx((before, here))
    pooled = np.sqrt((before * (1 - before) + here * (1 - here)) / 2)
    assert row.difference == pytest.approx((here - before) / pooled)


def test_a_level_that_nobody_or_hardly_anybody_has_is_told(
    model: RiskModel, frame: pd.DataFrame
) -> None:
    """A validation without metastasis says nothing of its effect; one of nine patients hardly."""
    plain = frame.assign(extrahepatic_metastasis="no", vascular_invasion="no")
    few = plain.assign(vascular_invasion=["yes"] * 9 + ["no"] * 291)
    enough = plain.assign(vascular_invasion=["yes"] * 10 + ["no"] * 290)

    def notes(of: pd.DataFrame) -> str:
        cohort = check_validation_cohort(of, model.manifest, STUDY)
        return " / ".join(validate(model, cohort, replicates=0).notes)

    assert "nobody has Vascular invasion: yes; Extrahepatic metastasis: yes" in notes(plain)
    assert "nobody has Extrahepatic metastasis: yes: the figures judge no effect" in notes(few)
    assert "fewer than 10 patients have Vascular invasion: yes (9)" in notes(few)
    assert "Vascular invasion" not in notes(enough)
    assert "nobody has" not in notes(frame)


def test_a_number_beyond_the_development_is_counted(forest_bundle: Path) -> None:
    """Means, and how many rows the model has never seen the like of."""
    model = load_model(forest_bundle)
    frame = simulate(60, seed=5).assign(age=80.0)
    low, high = model.manifest.envelope["ranges"]["age"]
    row = validate(model, check_validation_cohort(frame, model.manifest), replicates=0).case_mix[-1]
    assert row.validation == 80
    assert row.outside == (60 if high < 80 else 0)
    assert row.development == model.manifest.training["predictors"]["age"]["mean"]
    assert low < row.development < high


def test_subgroups_are_validations_of_their_own(model: RiskModel, cohort: ValidationCohort) -> None:
    """A level's figures are those of its rows alone; the study's other columns have bands."""
    found = validate(model, cohort, replicates=0)
    group = next(g for g in found.subgroups if g.predictor == "treatment" and "sora" in g.name)
    members = cohort.X[:, 3] == 1
    part = replace(
        cohort, X=cohort.X[members], time=cohort.time[members], event=cohort.event[members],
        others={},
    )  # fmt: skip
    alone = validate(model, part, replicates=0).evaluation
    assert alone.harrell is not None
    assert group.concordance is not None
    assert group.concordance.value == alone.harrell.value
    for ratio, at in zip(group.observed_expected, alone.horizons, strict=True):
        assert ratio is not None
        assert ratio.value == pytest.approx(at.calibration.observed_expected.value)
        assert ratio.lower is not None
        assert ratio.upper is not None
        assert ratio.lower < ratio.value < ratio.upper
    ages = [g for g in found.subgroups if g.predictor == "age"]
    assert sum(g.rows for g in ages) == 300
    assert len(ages) == 3


def test_few_events_are_marked(model: RiskModel, frame: pd.DataFrame) -> None:
    """A subgroup with nine events is shown, and called noise."""
    few = frame.copy()
    treated = few.index[few["treatment"] == "deb_tace_sorafenib"]
    died = [i for i in treated if few.loc[i, "death"]]
    few.loc[died[9:], "death"] = 0
    found = validate(model, check_validation_cohort(few, model.manifest), replicates=0)
    group = next(g for g in found.subgroups if "sorafenib" in g.name)
    assert (group.events, group.few) == (9, True)
    assert "fewer than 10 events: noise" in text(found)


def test_a_model_against_itself_differs_by_nothing(
    model: RiskModel, cohort: ValidationCohort
) -> None:
    """Paired differences of one model are 0."""
    found = validate(model, cohort, against=model, replicates=10).paired
    assert found is not None
    for estimate in (found.concordance, *found.brier):
        assert estimate.value == 0.0
        # Without spread over the resamples there is no interval to give.
        assert estimate.lower is None


def test_a_paired_difference_is_of_the_same_patients(
    model: RiskModel, cohort: ValidationCohort, tmp_path: Path
) -> None:
    """The value is the difference of the two validations; the seed fixes the interval."""
    from training.cohort import check_cohort
    from training.fit import fit

    fit(check_cohort(simulate(400, 7), STUDY, "os", list(PATIENT)), "cox").write(tmp_path / "b")
    other = load_model(tmp_path / "b")
    first, second = validate(model, cohort, replicates=0), validate(other, cohort, replicates=0)
    found, again = (validate(model, cohort, against=other, replicates=30, seed=4).paired
                    for _ in range(2))  # fmt: skip
    assert found == again
    assert found is not None
    one, two = first.evaluation, second.evaluation
    assert one.harrell is not None
    assert two.harrell is not None
    assert found.concordance.value == pytest.approx(one.harrell.value - two.harrell.value)
    for k, estimate in enumerate(found.brier):
        difference = one.horizons[k].brier.brier.value - two.horizons[k].brier.brier.value
        assert estimate.value == pytest.approx(difference)
        assert estimate.lower is not None
        assert estimate.upper is not None
        assert estimate.lower < estimate.value < estimate.upper
    assert found.other == f"{other.manifest.id}@{other.digest}"


def test_a_model_of_other_columns_is_not_compared(
    model: RiskModel, cohort: ValidationCohort, forest_bundle: Path
) -> None:
    """The cohort was checked for one set of predictors."""
    with pytest.raises(InputError, match="--against must have the first model's predictors"):
        validate(model, cohort, against=load_model(forest_bundle))


def test_patients_with_several_rows_are_resampled_whole(model: RiskModel) -> None:
    """Doubling every row as the same patient widens nothing and narrows nothing."""
    frame = simulate(120, seed=2)
    manifest = replace(model.manifest, study=replace(model.manifest.study, cluster="patient"))
    twice = pd.concat([frame, frame], ignore_index=True)
    one = check_validation_cohort(frame, manifest)
    two = check_validation_cohort(twice, manifest)
    assert one.groups is None
    assert two.patients == 120
    a, b = (validate(model, c, replicates=0).evaluation.harrell for c in (one, two))
    assert a is not None
    assert b is not None
    assert a.value == pytest.approx(b.value, abs=0.01)
    # Twice the rows would shrink a naive error by the root of 2.
    assert b.se == pytest.approx(a.se, rel=0.1)


def test_horizons_that_cannot_be_judged_are_told(model: RiskModel, frame: pd.DataFrame) -> None:
    """Follow-up cut at 15 months leaves the later horizons out, with the reason."""
    short = frame.assign(
        death=np.where(frame["os_months"] > 15, 0, frame["death"]),
        os_months=frame["os_months"].clip(upper=15),
    )
    found = validate(model, check_validation_cohort(short, model.manifest), replicates=0)
    assert found.horizons == (6, 12)
    assert found.left_out == (
        "month 18: nobody was followed beyond it",
        "month 24: nobody was followed beyond it",
    )
    early = frame.assign(os_months=frame["os_months"].clip(upper=4))
    with pytest.raises(InputError, match="must have an event before a horizon and somebody"):
        validate(model, check_validation_cohort(early, model.manifest))
    late = frame.assign(os_months=frame["os_months"].clip(lower=8))
    kept = validate(model, check_validation_cohort(late, model.manifest), replicates=0)
    assert kept.left_out == ("month 6: nobody had the event by then",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"death": 0}, "death has no event"),
        ({"os_months": 0}, "os_months must be above 0"),
        ({"vascular_invasion": "maybe"}, "vascular_invasion must be"),
        ({"patient": 1}, "patient must not repeat"),
    ],
)
def test_a_bad_cohort_is_refused_with_its_name(
    change: dict[str, object], complaint: str, model: RiskModel, frame: pd.DataFrame
) -> None:
    """By training's own rules."""
    with pytest.raises(InputError, match=rf"(?s)others\.csv.*{complaint}"):
        check_validation_cohort(frame.assign(**change), model.manifest, name="others.csv")
    with pytest.raises(InputError, match="death column is missing"):
        check_validation_cohort(frame.drop(columns="death"), model.manifest)


def test_the_command_prints_writes_and_attaches(
    cox_bundle: Path, frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is attached does not change the model, and holds no row of a patient."""
    bundle = tmp_path / "bundle"
    shutil.copytree(cox_bundle, bundle)
    table = tmp_path / "others.csv"
    frame.to_csv(table, index=False)
    before = load_model(bundle).digest
    order = ["validate", str(bundle), str(table), "--study", "deb-tace-hcc", "--replicates", "10",
             "-o", str(tmp_path / "v.json"), "--attach", "others-2026"]  # fmt: skip
    assert main(order) == 0
    told = capsys.readouterr()
    assert "300 patients" in told.out
    assert "Concordance (Harrell)" in told.out
    assert "For method review, not for care." in told.err
    written = json.loads((tmp_path / "v.json").read_text())
    attached = json.loads((bundle / "external" / "others-2026.json").read_text())
    assert attached.pop("created")
    assert attached == written
    assert written["digest"] == before == load_model(bundle).digest
    assert written["calibration_follow_up"] == "administratively censored at each horizon"
    assert written["cohort"]["rows"] == 300
    listed = json.dumps(written)
    assert str(frame["os_months"].tolist()[:20])[1:-1] not in listed
    assert main(order) == 2
    assert "--attach must not be taken" in capsys.readouterr().err
    order[-1] = "../up"
    assert main(order) == 2
    assert "--attach must be lower-case letters" in capsys.readouterr().err


class _Closed(io.StringIO):
    """A standard output whose reader, such as head, has gone."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def test_a_reader_that_stops_early_loses_neither_file_nor_attachment(
    cox_bundle: Path, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report was printed first, and a broken pipe counted as success."""
    bundle, table, out = tmp_path / "bundle", tmp_path / "others.csv", tmp_path / "v.json"
    shutil.copytree(cox_bundle, bundle)
    frame.to_csv(table, index=False)
    monkeypatch.setattr("sys.stdout", _Closed())
    monkeypatch.setattr("sys.stderr", io.StringIO())  # the command closes it
    order = ["validate", str(bundle), str(table), "--study", "deb-tace-hcc", "--replicates", "0",
             "-o", str(out), "--attach", "others"]  # fmt: skip
    assert main(order) == 0
    assert out.is_file()
    assert (bundle / "external" / "others.json").is_file()


def test_the_training_cohort_is_told_from_another() -> None:
    """Figures on the very cohort flatter, and the report says so."""
    from training.published import DEB_TACE_COHORT

    model = load_model("deb-tace-hcc/os/cox")
    cohort = read_validation_cohort(DEB_TACE_COHORT, model.manifest, STUDY)
    found = validate(model, cohort, replicates=0)
    own = "this is the cohort that the model was fitted on: its figures are optimistic"
    assert found.notes == (own,)
    # Over the whole follow-up of its own cohort a Cox model has slope 1 by definition; up to a
    # horizon it has not.
    outcome = check_outcome(cohort.time, cohort.event)
    whole = fit_cox(outcome, model.answer_encoded(cohort.X).risk_score[:, None])
    assert whole.coef[0] == pytest.approx(1.0, abs=1e-6)  # both sides solve for it
    slope = found.evaluation.horizons[0].calibration.slope
    assert slope is not None
    assert abs(slope.value - 1) > 0.1


def test_rows_beyond_the_model_s_end_are_noted(model: RiskModel, frame: pd.DataFrame) -> None:
    """Nothing is said of survival beyond the training follow-up."""
    long = frame.assign(os_months=frame["os_months"] + 30)
    both = pd.concat([frame.assign(patient=-frame["patient"]), long])
    found = validate(model, check_validation_cohort(both, model.manifest), replicates=0)
    assert "were followed beyond month" in found.notes[0]
    assert found.evaluation.d_calibration is None


def test_the_real_cohorts_transport(cohorts: Path, tmp_path: Path) -> None:
    """A model of one hospital's first visits, on another hospital's patients."""
    from riskscore.tables import read_table, write_table
    from training.adapters import adapt
    from training.cohort import read_cohort
    from training.fit import fit

    study = load_study("hcc-tace")
    names = ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age")
    first = cohorts / "survivalpath-hcc-visits.csv"
    fit(read_cohort(first, study, "os", names, "survivalpath-first"), "cox").write(tmp_path / "b")
    seg, _, _ = adapt("hcc-tace-seg", read_table(cohorts / "hcc-tace-seg.csv"), study)
    write_table(seg, tmp_path / "seg.csv")
    model = load_model(tmp_path / "b")
    found = validate(
        model, read_validation_cohort(tmp_path / "seg.csv", model.manifest, study), replicates=0
    )
    assert (found.cohort["rows"], found.cohort["events"]) == (105, 93)
    answer = model.predict(seg)
    reference = concordance_index(
        seg["os_months"].astype(float), -answer.risk_score.to_numpy(), seg["death"].astype(float)
    )
    assert found.evaluation.harrell is not None
    assert found.evaluation.harrell.value == pytest.approx(reference)

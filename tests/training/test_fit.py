"""Fitting gives a bundle that says everything, the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index

from riskscore import load_model
from riskscore.errors import ModelError
from riskscore.study import Study, load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort
from training.fit import Settings, fit
from training.fit.manifest import risk_groups_of

CORE = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Return 90 simulated patients on the core four."""
    return check_cohort(simulate(90, 1), load_study("deb-tace-hcc"), "os", CORE)


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_the_same_seed_gives_the_same_bytes(cohort: Cohort, kind: str, tmp_path: Path) -> None:
    """All files are equal but for the timestamp, and so are the digests."""
    one, two = (
        fit(cohort, kind, Settings(seed=3, trees=20, n_jobs=jobs)).write(tmp_path / str(jobs))
        for jobs in (1, 2)
    )
    assert one.files == two.files
    assert one.digest == two.digest
    manifests = [json.loads((tmp_path / n / "manifest.json").read_text()) for n in ("1", "2")]
    for manifest in manifests:
        del manifest["created"]
    assert manifests[0] == manifests[1]
    other = fit(cohort, kind, Settings(seed=4, trees=20, n_jobs=1)).write(tmp_path / "3")
    assert other.digest != one.digest


def test_the_manifest_states_the_facts(cohort: Cohort, tmp_path: Path) -> None:
    """Counts, follow-up, numbers at risk and cut points, recounted from the table."""
    frame = simulate(90, 1)
    manifest = fit(cohort, "cox").write(tmp_path / "b")
    assert manifest.id == "deb-tace-hcc/os/cox"
    assert list(manifest.study.predictors) == list(CORE)
    assert list(manifest.study.outcomes) == ["os"]
    assert manifest.training["patients"] == 90
    assert manifest.training["events"] == frame["death"].sum()
    assert manifest.follow_up_limit == frame["os_months"].max()
    assert manifest.times == tuple(sorted(frame.loc[frame["death"] == 1, "os_months"].unique()))
    at_12 = max(i for i, t in enumerate(manifest.times) if t <= 12)
    assert manifest.at_risk[at_12] == (frame["os_months"] >= manifest.times[at_12]).sum()
    assert manifest.at_risk_at_horizons == tuple(
        (frame["os_months"] >= h).sum() for h in (6, 12, 18, 24)
    )
    counts = frame["tumor_number"].value_counts().to_dict()
    assert manifest.training["predictors"]["tumor_number"] == counts
    assert sum(manifest.risk_groups["training_counts"]) == 90
    assert set(manifest.training["versions"]) >= {"riskscore", "scikit-survival", "python"}
    assert "not stated" in manifest.statement


def test_the_median_follow_up_is_the_reverse_kaplan_meiers(tmp_path: Path) -> None:
    """Deaths are the censoring of the follow-up; lifelines finds the same."""
    frame = simulate(60, 3)
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("treatment",))
    follow_up = fit(cohort, "cox").manifest.training["follow_up"]
    reverse = KaplanMeierFitter().fit(frame["os_months"], 1 - frame["death"])
    assert follow_up["median"] == pytest.approx(reverse.median_survival_time_)
    assert follow_up["longest"] == frame["os_months"].max()


def test_a_cohort_without_censoring_has_no_median_follow_up() -> None:
    """Everybody died, so nobody's follow-up was cut short."""
    frame = simulate(60, 3).assign(death=1)
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("treatment",))
    assert fit(cohort, "cox").manifest.training["follow_up"]["median"] is None


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_in_sample_concordance_agrees_with_lifelines(cohort: Cohort, kind: str) -> None:
    """A library that had no part in it computes the same from the scores."""
    fitted = fit(cohort, kind, Settings(trees=30, n_jobs=1))
    score = fitted.pipeline.predict(cohort.X)
    expected = concordance_index(cohort.time, -score, cohort.event)
    # lifelines orders a death before a censoring at the same time, as Harrell does; equal here.
    assert fitted.evaluation["concordance"]["in_sample"] == pytest.approx(expected, abs=1e-12)


def test_out_of_bag_concordance_does_not_depend_on_the_coding() -> None:
    """Neither the origin of a number nor the choice of the reference level is information."""
    frame = simulate(90, 1)
    declared = load_study("deb-tace-hcc").to_dict()
    declared["predictors"] = {n: declared["predictors"][n] for n in ("treatment", "age")}
    one = Study.from_dict(declared)
    declared["predictors"]["treatment"]["levels"].reverse()
    declared["predictors"]["age"]["range"] = [0, 10_000]
    two = Study.from_dict(declared)
    a, b = (
        fit(check_cohort(table, study, "os"), "cox").evaluation["concordance"]
        for table, study in ((frame, one), (frame.assign(age=frame["age"] + 5000), two))
    )
    assert a["out_of_bag"] == pytest.approx(b["out_of_bag"], abs=1e-9)  # ties and last bits
    assert a["in_sample"] == pytest.approx(b["in_sample"], abs=1e-9)


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_out_of_bag_concordance_of_noise_is_chance(kind: str) -> None:
    """Five noise predictors: in-sample flatters, out-of-bag does not (mean over ten cohorts)."""
    study = load_study("deb-tace-hcc")
    names = ("sex", "cirrhosis", "child_class", "previous_treatment", "age")
    inside, outside = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {n: np.array(study.predictors[n].levels)[rng.integers(0, 2, 80)] for n in names[:-1]}
        ).assign(age=rng.uniform(18, 80, 80), os_months=rng.exponential(10, 80) + 0.1, death=1)
        fitted = fit(
            check_cohort(frame, study, "os", names), kind, Settings(trees=60, min_leaf=5, n_jobs=1)
        )
        inside.append(fitted.evaluation["concordance"]["in_sample"])
        outside.append(fitted.evaluation["concordance"]["out_of_bag"])
    assert np.mean(inside) > 0.57
    # Ten cohorts of 80: standard error 0.012. A forest's pooled scores are a little pessimistic, as
    # a patient who dies early is missing from the trees that score it.
    assert (0.46 if kind == "cox" else 0.40) < np.mean(outside) < 0.54


@pytest.mark.parametrize("kind", ["cox", "forest"])
@pytest.mark.parametrize("n", [90, 100, 103])
def test_risk_groups_are_cut_at_the_training_tertiles(kind: str, n: int, tmp_path: Path) -> None:
    """The groups predicted for the training patients are those the manifest counted.

    With 100 patients a tertile falls on a patient's own score, where a last bit could decide.
    """
    cohort = check_cohort(simulate(n, n), load_study("deb-tace-hcc"), "os", (*CORE, "age"))
    fitted = fit(cohort, kind, Settings(trees=30, n_jobs=1))
    fitted.write(tmp_path / "b")
    groups = load_model(tmp_path / "b").answer_encoded(cohort.X).risk_group
    manifest = fitted.manifest
    for label, count in zip(
        manifest.risk_groups["labels"], manifest.risk_groups["training_counts"], strict=True
    ):
        assert groups.count(label) == count
    assert len(manifest.risk_groups["labels"]) == 3
    if kind == "cox":  # hardly any ties
        assert max(manifest.risk_groups["training_counts"]) <= n / 3 + 2


@pytest.mark.parametrize("name", ["../../evil", "", "A", "a/b", "a b"])
def test_a_name_that_is_no_part_of_an_id_is_refused(cohort: Cohort, name: str) -> None:
    """It would become a path and an address."""
    with pytest.raises(ModelError, match="name must be lower-case letters and digits"):
        fit(cohort, "cox", name=name)


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_a_cohort_that_orders_nobody_is_refused(kind: str) -> None:
    """Where all events come at the end, nobody is known to have outlived anybody."""
    frame = simulate(60, 2).assign(os_months=30.0, death=1)
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("treatment", "age"))
    with pytest.raises(ModelError, match="no two patients can be compared|too small|no maximum"):
        fit(cohort, kind, Settings(trees=5, n_jobs=1))


@pytest.mark.parametrize("shift", [0.0, -5.0, 5.0])
def test_a_tertile_belongs_to_the_lower_group(shift: float) -> None:
    """Six scores give pairs, wherever zero lies, and in whichever bits they end."""
    score = np.array([-1.0, 0.0, 0.0 + 1e-17, 1.0, 2.0, 3.0]) + shift
    groups = risk_groups_of(score)
    assert groups["cut_points"] == pytest.approx([0.5 + shift, 1.5 + shift])  # ten digits
    assert groups["training_counts"] == [3, 1, 2]
    assert risk_groups_of(np.arange(6.0) + shift)["training_counts"] == [2, 2, 2]


def test_two_scores_make_two_groups() -> None:
    """A model of one two-level predictor cannot have three groups."""
    cohort = check_cohort(simulate(90, 1), load_study("deb-tace-hcc"), "os", ("treatment",))
    groups = fit(cohort, "cox").manifest.risk_groups
    assert groups["labels"] == ["low", "high"]
    assert min(groups["training_counts"]) > 0


def test_a_resample_that_cannot_be_fitted_is_counted() -> None:
    """A level that four patients have is missing from some bootstrap samples."""
    frame = simulate(60, 5)
    frame["vascular_invasion"] = np.where(frame.index < 4, "yes", "no")
    frame.loc[:3, "death"] = 1
    cohort = check_cohort(frame, load_study("deb-tace-hcc"), "os", ("vascular_invasion", "age"))
    refits = fit(cohort, "cox").evaluation["refits"]
    assert refits["failed"] > 0
    assert refits["done"] + refits["failed"] == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trees": 0}, "trees must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"min_leaf": 0}, "min_leaf must be at least 1"),
        ({"max_times": 3}, "max_times must be at least 10"),
        ({"seed": 2**40}, "seed must be below 2.32"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, int], message: str) -> None:
    """Before anything is fitted."""
    with pytest.raises(ModelError, match=message):
        Settings(**arguments)


def test_an_unknown_model_is_refused(cohort: Cohort) -> None:
    """The known kinds are listed."""
    with pytest.raises(ModelError, match="must be one of cox, forest, got 'gbm'"):
        fit(cohort, "gbm")


def test_permuting_the_cohort_changes_nothing(cohort: Cohort) -> None:
    """The order of the rows is no information to a Cox model."""
    order = np.random.default_rng(0).permutation(90)
    one = fit(cohort, "cox").inference["coefficients"]
    two = fit(cohort.subset(order), "cox").inference["coefficients"]
    for a, b in zip(one, two, strict=True):
        assert a["coef"] == pytest.approx(b["coef"], abs=1e-9)  # sums in another order

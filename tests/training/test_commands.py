"""`python -m training`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskscore import RiskModel, load_model
from riskscore.bundle import open_bundle, shipped_bundles
from riskscore.study import load_study
from training.__main__ import main
from training.cohort import read_cohort
from training.done import Done, identity_of_work
from training.fit import Settings
from training.run import CORE_FOUR, DEFAULT_COHORT, SHIPPED

ROOT = Path(__file__).parents[2]
CORE = ",".join(CORE_FOUR)


def fit_arguments(cohort: Path, out: Path, *more: str) -> list[str]:
    """Return the arguments of a fit of the simulated cohort."""
    return [
        "fit", "--study", "deb-tace-hcc", "--cohort", str(cohort), "--outcome", "os",
        "--predictors", CORE, "--out", str(out), *(["--trees", "20"] if "forest" in more else []),
        *more,
    ]  # fmt: skip


def test_fit_writes_a_bundle_and_prints_its_table(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed hazard ratios are the bundle's; the coefficients keep the study's order."""
    assert main(fit_arguments(cohort_csv, tmp_path / "b", "--model", "cox", "--name", "mine")) == 0
    out, err = capsys.readouterr()
    inference = open_bundle(tmp_path / "b").read("inference.json")
    assert [c["term"].split("[")[0] for c in inference["coefficients"]] == list(CORE_FOUR)
    assert set(inference["coefficients"][0]) == {
        "term", "coef", "se", "hazard_ratio", "lower", "upper", "p",
        "predictor", "level", "form", "knots", "part",
    }  # fmt: skip
    for c in inference["coefficients"]:
        assert f"{c['hazard_ratio']:.3f}   {c['lower']:.3f} to {c['upper']:.3f}" in out
    assert "deb-tace-hcc/os/mine sha256:" in out
    assert "90 patients" in out
    assert err == ""  # no terminal, no progress


def test_fit_of_a_forest_prints_importance(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seed and trees reach the manifest."""
    arguments = fit_arguments(cohort_csv, tmp_path / "b", "--model", "forest", "--seed", "9")
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "Forest of 20 trees" in out
    assert "out-of-bag" in out
    settings = open_bundle(tmp_path / "b").manifest.training["settings"]
    assert (settings["seed"], settings["trees"]) == (9, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cohort": "none.csv"}, "file must exist"),
        ({"study": "nosuch"}, "file must be readable"),
        ({"outcome": "dfs"}, "outcome must be declared"),
        ({"predictors": "weight"}, "predictor must be declared"),
        ({"trees": "0"}, "trees must be at least 1"),
        ({"cell": "x"}, "row 1: treatment must be one of"),
    ],
)
def test_bad_input_is_status_two_and_writes_nothing(
    cohort_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    message: str,
) -> None:
    """The problems go to standard error, without a traceback."""
    if "cell" in change:
        frame = pd.read_csv(cohort_csv)
        frame.loc[0, "treatment"] = change["cell"]
        frame.to_csv(cohort_csv, index=False)
        change = {}
    given = {
        "study": "deb-tace-hcc", "cohort": str(cohort_csv), "outcome": "os", "predictors": CORE,
        "trees": "20", "model": "forest", "out": str(tmp_path / "b"), **change,
    }  # fmt: skip
    arguments = ["fit", *(part for k, v in given.items() for part in (f"--{k}", v))]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "b").exists()


def test_an_out_that_is_no_bundle_is_kept(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of somebody's files is not replaced."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("years")
    assert main(fit_arguments(cohort_csv, tmp_path / "b", "--model", "cox")) == 2
    assert "exists and is not a bundle" in capsys.readouterr().err
    assert (tmp_path / "b" / "thesis.txt").exists()


def test_the_main_job_makes_the_shipped_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run on the reconstructed cohort, it gives the bundles that are in the package.

    Every fact is the same; figures may differ in the last digits with machine and versions.
    """
    assert main(["run", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for part in (
        "90 patients", "in-sample", "out-of-bag", "with 95 % confidence interval",
        "deb_tace_sorafenib", "not for care", str(tmp_path / "deb-tace-hcc/os/forest"),
    ):  # fmt: skip
        assert part in out
    ids = [f"deb-tace-hcc/{job.outcome}/{kind}" for job in SHIPPED for kind in job.kinds]
    assert sorted(set(shipped_bundles()) - {"hcc-tace/os/cox"}) == sorted(ids)
    for model_id in ids:
        shipped, fresh = load_model(model_id), load_model(tmp_path / model_id)
        assert _same(_facts(fresh), _facts(shipped)), f"{model_id} is stale: make bundles"
        patient = shipped.manifest.typical_patient
        here, there = (m.answer([patient]).survival.tolist() for m in (fresh, shipped))
        assert here[0] == pytest.approx(there[0], abs=1e-6)  # see above


def test_the_main_job_twice_fits_what_changed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run leaves bundles and what people wrote as they are; a damaged one is mended."""
    job = ["run", "--out", str(tmp_path), "--replicates", "0"]
    models = [tmp_path / "deb-tace-hcc" / name for name in ("os/cox", "pfs/cox", "ttp/cox")]
    assert main(job) == 0
    first = capsys.readouterr().out
    assert "unchanged" not in first
    for name in ("statements.toml", "card.chai.xml"):
        (models[0] / name).write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert main(job) == 0
    second = [line for line in capsys.readouterr().out.splitlines() if "unchanged" not in line]
    assert second == first.splitlines()
    assert {path: path.stat().st_mtime_ns for path in before} == before

    whole = open_bundle(models[1]).manifest
    (models[1] / "evaluation.json").write_text("{}")
    (models[0] / "model.onnx").unlink()
    assert main(job) == 0
    third = capsys.readouterr().out
    assert third.count("unchanged since an earlier run") == 2  # the forest and the third Cox model
    assert "kept there: statements.toml" in third
    assert open_bundle(models[1]).manifest.files == whole.files
    assert (models[0] / "statements.toml").read_text() == "mine"
    assert not (models[0] / "card.chai.xml").exists()  # of the bundle before

    assert main([*job, "--again"]) == 0
    assert "unchanged" not in capsys.readouterr().out


def test_a_fit_depends_on_everything_that_could_change_it(cohort_csv: Path, tmp_path: Path) -> None:
    """Cohort, study, kind and settings; a note that cannot be read means to fit again."""
    study = load_study("deb-tace-hcc")
    cohort = read_cohort(cohort_csv, study, "os", CORE_FOUR)
    works = [
        identity_of_work(cohort, "cox", Settings()),
        identity_of_work(cohort, "forest", Settings()),
        identity_of_work(cohort, "cox", Settings(seed=1)),
        identity_of_work(read_cohort(cohort_csv, study, "os", CORE_FOUR[:3]), "cox", Settings()),
        identity_of_work(replace(cohort, sha256="another file's"), "cox", Settings()),
    ]
    assert len(set(works)) == len(works)
    assert identity_of_work(cohort, "cox", Settings()) == works[0]
    bundle = shutil.copytree(shipped_bundles()["deb-tace-hcc/pfs/cox"], tmp_path / "b")
    Done(tmp_path).add(bundle, works[0], open_bundle(bundle).manifest.digest)
    assert Done(tmp_path).has(bundle, works[0])
    assert not Done(tmp_path).has(bundle, works[1])
    assert not Done(tmp_path).has(tmp_path / "none", works[0])
    (tmp_path / ".main-job.json").write_text("[]")
    assert not Done(tmp_path).has(bundle, works[0])


def test_make_clean_leaves_models_cards_and_reviews(tmp_path: Path) -> None:
    """`build/` is where people are told to keep them."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [tmp_path / "build" / name for name in ("mine/review.toml", "deb-tace-hcc/x/card.md")]
    gone = [tmp_path / name for name in ("build/wheelhouse/a.whl", "dist/a.whl", ".coverage")]
    for file in (*kept, *gone):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [file for file in (*kept, *gone) if file.exists()] == kept


def _facts(model: RiskModel) -> dict[str, Any]:
    """Return what a bundle says, but for hashes, timestamp and versions."""
    manifest = model.manifest.to_dict()
    training = {k: v for k, v in manifest["training"].items() if k != "versions"}
    rest = {k: v for k, v in manifest.items() if k not in ("files", "created", "training")}
    files = {name: model.bundle.read(name) for name in ("inference.json", "evaluation.json")}
    return {"training": training, **rest, **files}


def _same(one: Any, two: Any) -> bool:
    """Whether two JSON values are equal, numbers to six digits."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, float):
        return bool(one == pytest.approx(two, rel=1e-6, abs=1e-9))
    return bool(one == two)


def test_the_shipped_models_say_what_they_are() -> None:
    """Reconstructed, with the cohort's hash, for review and not for care."""
    import hashlib

    digest = hashlib.sha256(DEFAULT_COHORT.read_bytes()).hexdigest()
    for model_id in (name for name in shipped_bundles() if name.startswith("deb-tace-hcc/")):
        manifest = open_bundle(model_id).manifest
        assert manifest.training["cohort"]["kind"] == "reconstructed"
        assert manifest.training["cohort"]["sha256"] == digest
        assert "not for care" in manifest.statement
        assert ("demonstrates the software" in manifest.statement) == (manifest.kind == "forest")
        size = sum(f.stat().st_size for f in shipped_bundles()[model_id].glob("*.*"))
        # Most of it is the table of the draws.
        assert size < 500_000


def test_the_shipped_hazard_ratios_are_the_published_ones() -> None:
    """Table 5's, within 0.005; R's fit of the same rows agrees with coefficients and errors."""
    coefficients = open_bundle("deb-tace-hcc/os/cox").read("inference.json")["coefficients"]
    published = {"tumor_number": 1.960, "vascular_invasion": 1.971,
                 "extrahepatic_metastasis": 2.310, "treatment": 0.561}  # fmt: skip
    oracle = json.loads((Path(__file__).parents[1] / "oracle" / "reconstruction.json").read_text())
    efron = oracle["efron"]
    by_r = dict(zip(efron["terms"], zip(efron["coef"], efron["se"], strict=True), strict=True))
    assert len(coefficients) == 4
    for c in coefficients:
        name = c["term"].split("[")[0]
        assert abs(c["hazard_ratio"] - published[name]) < 0.005
        assert (c["coef"], c["se"]) == pytest.approx(by_r[name], rel=1e-6)  # two Newton solvers


def test_run_on_a_cohort_of_ones_own(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same job on another table, with other predictors."""
    arguments = ["run", "--cohort", str(cohort_csv), "--predictors", "treatment,age", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "age" in out
    assert load_model(tmp_path / "out/deb-tace-hcc/os/cox").manifest.training["patients"] == 90


def test_run_without_treatment_shows_one_row(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is compared, the typical patient has one line."""
    main(["run", "--cohort", str(cohort_csv), "--predictors", "age", "--out", str(tmp_path / "o")])
    assert "\n  survival " in capsys.readouterr().out


def test_run_does_not_ignore_what_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A choice of outcome or predictors needs a cohort to apply to."""
    assert main(["run", "--outcome", "ttp", "--predictors", "age"]) == 2
    assert "cohort is needed to choose what is fitted" in capsys.readouterr().err


def test_run_on_another_study_needs_a_cohort(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the source study has a cohort of its own here."""
    assert main(["run", "--study", "hcc-tace"]) == 2
    assert "cohort is needed for a study other than deb-tace-hcc" in capsys.readouterr().err


@pytest.mark.cohorts
def test_run_on_a_real_cohort(
    cohorts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command fits HCC-TACE-Seg, and its manifest counts the flow."""
    arguments = [
        "run", "--study", "hcc-tace", "--cohort", str(cohorts / "hcc-tace-seg.csv"),
        "--adapter", "hcc-tace-seg", "--out", str(tmp_path), "--predictors",
        "tumor_number,vascular_invasion,metastasis,child_class,afp,age",
    ]  # fmt: skip
    assert main(arguments) == 0
    assert "105 patients" in capsys.readouterr().out
    manifest = load_model(tmp_path / "hcc-tace/os/cox").manifest
    assert manifest.training["cohort"]["licence"] == "CC BY 4.0"
    assert manifest.training["flow"]["read"] == 105


def test_progress_shows_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spinner for people, silence for pipes."""
    import io

    from training import progress

    screen = io.StringIO()
    real = progress.Console
    monkeypatch.setattr(
        progress, "Console", lambda **_: real(file=screen, force_terminal=True, width=80)
    )
    with progress.working("fitting cox"):
        pass
    assert "fitting cox" in screen.getvalue()


def test_reconstruct_needs_a_seed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --out the file is named after the seed, with its provenance beside it."""
    monkeypatch.chdir(tmp_path)
    assert main(["reconstruct", "--seed", "2022"]) == 0
    assert "written to reconstructed-2022.csv" in capsys.readouterr().out
    assert Path("reconstructed-2022.csv").read_bytes() == DEFAULT_COHORT.read_bytes()
    assert Path("reconstructed-2022.source.toml").exists()


@pytest.mark.parametrize(
    ("kind", "option", "told"),
    [
        ("cox", ["--stability"], "--stability is of a forest only, got 'cox'; leave it out"),
        ("cox", ["--splitting", "logrank"], "--splitting is of a forest only"),
        ("forest", ["--shrink"], "--shrink is of a Cox model only, got 'forest'"),
        ("forest", ["--ties", "breslow"], "--ties is of a Cox model only"),
    ],
)
def test_options_of_the_other_kind_are_not_left_out_in_silence(
    kind: str,
    option: list[str],
    told: str,
    cohort_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who asks for shrinkage of a forest is told that there is none."""
    arguments = ["fit", "--study", "deb-tace-hcc", "--cohort", str(cohort_csv), "--outcome", "os",
                 "--model", kind, "--predictors", "treatment,age", "--out", str(tmp_path / "b"),
                 *option]  # fmt: skip
    assert main(arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_few_replicates_give_figures_without_intervals(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three resamples are a mean, not an interval."""
    arguments = ["fit", "--study", "deb-tace-hcc", "--cohort", str(cohort_csv), "--outcome", "os",
                 "--model", "cox", "--predictors", "treatment,age", "--replicates", "3",
                 "--out", str(tmp_path / "b")]  # fmt: skip
    assert main(arguments) == 0
    assert "Corrected for optimism" in capsys.readouterr().out

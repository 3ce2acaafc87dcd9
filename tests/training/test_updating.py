"""Updating a Cox bundle on a new cohort: against R, on simulated truths, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore import load_model
from riskscore.bundle import Bundle, open_bundle
from riskscore.cli import main as riskscore_main
from riskscore.errors import ModelError
from riskscore.study import load_study
from tests.conftest import PATIENT, simulate
from training.__main__ import main
from training.cohort import Cohort, check_cohort
from training.cox import CoxModel
from training.fit import Settings, fit
from training.updating import Candidates, closed_test, update
from training.updating.recalibrate import Parent

ORACLE = Path(__file__).parents[1] / "oracle"
R: dict[str, Any] = json.loads((ORACLE / "updating.json").read_text(encoding="utf-8"))
FIVE = [*PATIENT, "age"]

# Both sides maximise the same likelihoods, R to a relative 1e-12 or 1e-14; figures are smooth in
# what is left.
AGREEMENT = 1e-6


def checked(frame: pd.DataFrame, predictors: list[str]) -> Cohort:
    """Return the table as a cohort."""
    return check_cohort(frame, load_study("deb-tace-hcc"), "os", predictors)


def bundle_of(frame: pd.DataFrame, predictors: list[str], path: Path, **more: Any) -> Bundle:
    """Return the bundle of a Cox model of the table."""
    fit(checked(frame, predictors), "cox", Settings(**more)).write(path)
    return open_bundle(path)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Cohort]:
    """Return a model of every other patient of the oracle's cohort, and the others."""
    frame = pd.read_csv(ORACLE / "simulated.csv")
    odd = frame["patient"] % 2 == 1
    old = bundle_of(frame[odd], FIVE, tmp_path_factory.mktemp("parent") / "b")
    return old, checked(frame[~odd], FIVE)


def test_the_figures_and_tests_are_rs(halves: tuple[Bundle, Cohort]) -> None:
    """Calibration in the large, slope, refit, and each test: R's glm with an offset, and coxph."""
    said = update(*halves).said
    large, theirs = said["original"]["in_the_large"], R["large"]
    assert [i["until"] for i in large["intervals"]] == R["edges"]
    for name in ("observed", "expected"):
        ours = [i[name] for i in large["intervals"]]
        assert ours == pytest.approx(R["by_interval"][name], rel=AGREEMENT)
        assert large[name] == pytest.approx(R[name], rel=AGREEMENT)
    assert large["observed_expected"] == pytest.approx(theirs["ratio"], rel=AGREEMENT)
    width = np.log(large["upper"] / large["lower"]) / 2 / 1.959963984540054
    assert width == pytest.approx(theirs["se"], rel=AGREEMENT)
    for ours, test in zip(
        (large["test"], *said["tests"]),
        (theirs, R["original"], R["baseline"], R["slope_only"]),
        strict=True,
    ):
        assert ours["df"] == test["df"]
        assert ours["chi_square"] == pytest.approx(test["chi_square"], rel=AGREEMENT)
        assert ours["p"] == pytest.approx(test["p"], rel=AGREEMENT)
    for name in ("value", "se"):
        assert said["slope"][name] == pytest.approx(R["slope"][name], rel=AGREEMENT)
    assert list(said["refit"].values()) == pytest.approx(list(R["refit"].values()), rel=AGREEMENT)
    assert said["log_likelihood"] == pytest.approx(R["log_likelihood"], rel=AGREEMENT)


def test_the_intercepts_of_the_intervals_are_rs(halves: tuple[Bundle, Cohort]) -> None:
    """They are R's, where the slope is held at 1."""
    parent = Parent(halves[0])
    exposure = parent.exposure(halves[1])
    found = closed_test(
        parent.design(halves[1]), parent.equation.coef, exposure.expected, exposure.happened,
        halves[1].time, halves[1].event,
    )  # fmt: skip
    assert found.intercepts.tolist() == pytest.approx(R["intercepts"], rel=AGREEMENT)


@pytest.mark.parametrize("method", ["baseline", "slope"])
def test_the_written_curves_are_those_of_rs_offset_model(
    halves: tuple[Bundle, Cohort], method: str, tmp_path: Path
) -> None:
    """The bundle answers as R's survfit of coxph with the old linear predictor; without bounds."""
    fitted = update(*halves, method).fitted
    assert fitted is not None
    fitted.write(tmp_path / "b")
    frame = pd.read_csv(ORACLE / "simulated.csv")
    curves = R["curves"]
    asked = frame[frame["patient"].isin(curves["patient"])]
    found = load_model(tmp_path / "b").predict(asked, curves["at"])
    expected = np.array(curves[method])
    assert found.survival.to_numpy() == pytest.approx(expected, rel=AGREEMENT)
    assert found.lower.isna().all(axis=None)
    assert found.upper.isna().all(axis=None)


B = np.array([0.7, -0.5, 0.4])
EDGES = np.array([6.0, 12.0, 18.0, 36.0])


def truth(seed: int, coef: Any, shift: float = 0.0, shape: float = 1.4) -> Candidates:
    """Return the closed test of 400 patients, on a model that is the truth where nothing differs.

    Its baseline is (t / 18)^1.4 and its coefficients are `B`, exactly: no parent's own error.
    """
    random = np.random.default_rng(seed)
    n = 400
    columns = random.random(n) < 0.35, random.random(n) < 0.45, random.normal(size=n)
    Z = np.column_stack(columns).astype(float)
    death = random.weibull(shape, n) * 18 * np.exp(-(Z @ np.array(coef) + shift) / shape)
    censored = random.uniform(8, 36, n)
    time, event = np.minimum(death, censored), death <= censored
    until = np.minimum(time[:, None], np.r_[0.0, EDGES])
    exposure = np.diff((until / 18) ** 1.4, axis=1) * np.exp(Z @ B)[:, None]
    happened = event[:, None] & (np.searchsorted(EDGES, time)[:, None] == np.arange(4))
    return closed_test(Z, B, exposure, happened, time, event)


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        ("original", {"coef": B}),
        ("baseline", {"coef": B, "shift": 0.4}),
        ("baseline", {"coef": B, "shape": 1.0}),
        ("slope", {"coef": 0.4 * B}),
        ("refit", {"coef": [0.0, 0.5, 0.4]}),
    ],
    ids=["same", "level", "shape", "slope", "coefficients"],
)
def test_the_closed_test_finds_what_differs(answer: str, differs: dict[str, Any]) -> None:
    """A right model is kept in 95 % of cohorts; what is wrong is found, and no more is changed."""
    cohorts = 400
    chosen = Counter(truth(seed, **differs).chosen for seed in range(cohorts))
    # Four standard errors of a share of 0.95 in 400 cohorts are 0.044.
    assert chosen[answer] / cohorts >= 0.95 - 0.044
    if answer == "original":
        assert chosen[answer] / cohorts <= 0.95 + 0.044


def test_the_updated_bundle_says_where_it_comes_from(
    cox_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parent and digest, tests, the new cohort's counts, both statements; `show` names them."""
    table = tmp_path / "new.csv"
    frame = simulate(150, seed=9)
    frame.to_csv(table, index=False)
    out = tmp_path / "out"
    arguments = ["update", str(cox_bundle), str(table), "--method", "slope", "--out", str(out)]
    assert main(arguments) == 0
    assert "Update (given): slope" in capsys.readouterr().out
    parent, manifest = open_bundle(cox_bundle).manifest, open_bundle(out).manifest
    training = manifest.training
    assert manifest.id == "deb-tace-hcc/os/cox-updated"
    assert training["parent"] == {
        "id": parent.id, "digest": parent.digest, "patients": 90,
        "patients_with_event": parent.training["patients_with_event"],
    }  # fmt: skip
    assert training["update"]["method"] == "slope"
    assert training["patients"] == 150
    assert training["events"] == frame["death"].sum()
    assert manifest.follow_up_limit == frame["os_months"].max()
    assert not manifest.intervals["available"]
    # The coefficients are of the parent's cohort, so what had to be said of it holds here too.
    assert parent.statement in manifest.statement
    assert "not stated" in manifest.statement
    inference = open_bundle(out).read("inference.json")
    slope = training["update"]["slope"]["value"]
    before = open_bundle(cox_bundle).read("inference.json")["coefficients"]
    for row, old in zip(inference["coefficients"], before, strict=True):
        assert row["coef"] == pytest.approx(slope * old["coef"], rel=1e-12)  # one multiplication
        assert row["se"] is None
    assert inference["covariance"] is None
    assert "parent" in inference["variance"]
    riskscore_main(["show", str(out)])
    shown = capsys.readouterr().out
    assert parent.digest in shown
    assert "Update      slope" in shown


def test_a_new_baseline_expects_the_events_that_happened(
    halves: tuple[Bundle, Cohort],
) -> None:
    """Summed over the patients, the cumulative hazards while followed are the events."""
    fitted = update(*halves, "baseline").fitted
    assert fitted is not None
    expected = fitted.pipeline["model"].sums_.expected
    assert expected.sum() == pytest.approx(halves[1].event.sum(), rel=1e-10)  # an identity


def test_a_refit_is_the_fit_of_the_new_cohort(halves: tuple[Bundle, Cohort]) -> None:
    """Same coefficients, errors and all as `fit`; the parent is recorded."""
    fitted = update(*halves, "refit", name="cox").fitted
    assert fitted is not None
    again = fit(halves[1], "cox", Settings())
    assert fitted.inference == again.inference
    assert fitted.manifest.intervals["available"]
    assert fitted.manifest.training["parent"]["digest"] == halves[0].manifest.digest


def test_a_refit_repeats_the_parents_penalty(tmp_path: Path) -> None:
    """A ridge chosen by cross-validation is chosen again, a given one taken."""
    new = checked(simulate(120, seed=8), list(PATIENT))
    for penalty in ("auto", 3.0):
        old = bundle_of(
            simulate(90, seed=1), list(PATIENT), tmp_path / str(penalty), penalty=penalty
        )
        fitted = update(old, new, "refit").fitted
        assert fitted is not None
        chosen = fitted.inference["penalty"]["chosen"]
        assert (chosen == "given") == (penalty != "auto")


def test_a_model_that_stands_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On patients of the same kind nothing is written, and the command says so."""
    bundle_of(simulate(3000, seed=1), list(PATIENT), tmp_path / "parent")
    table = tmp_path / "new.csv"
    simulate(200, seed=2).to_csv(table, index=False)
    out = tmp_path / "out"
    assert main(["update", str(tmp_path / "parent"), str(table), "--out", str(out)]) == 0
    assert "stands as it is: nothing was written" in capsys.readouterr().out
    assert not out.exists()


def test_what_cannot_be_updated_is_refused(
    cox_bundle: Path, forest_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forests, cohorts without a predictor or level or events, and the parent's own directory."""
    good = simulate(90, seed=3)
    flat = good.assign(treatment="deb_tace")
    none = good.assign(death=0)
    nine = good.assign(death=(good.index < 9).astype(int))
    few = good.assign(death=(good.index < 12).astype(int))
    cases = [
        (forest_bundle, good, [], "python -m training fit"),
        (cox_bundle, good.drop(columns="treatment"), [], "treatment column is missing"),
        (cox_bundle, flat, [], "the model asks for it"),
        (cox_bundle, none, [], "death has no event"),
        (
            cox_bundle,
            nine,
            ["--method", "baseline"],
            "at least 10 patients to update a model, got 9",
        ),
        (cox_bundle, few, [], "20 patients for the closed test of 4 terms"),
        (cox_bundle, good, ["--name", "A b"], "lower-case"),
    ]
    for k, (bundle, frame, more, message) in enumerate(cases):
        table, out = tmp_path / f"{k}.csv", tmp_path / f"out{k}"
        frame.to_csv(table, index=False)
        assert main(["update", str(bundle), str(table), "--out", str(out), *more]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    assert main(["update", str(cox_bundle), str(table), "--out", str(cox_bundle)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("mine", encoding="utf-8")
    method = ["--method", "baseline"]
    assert main(["update", str(cox_bundle), str(table), "--out", str(notes), *method]) == 2
    assert [p.name for p in notes.iterdir()] == ["a.txt"]


def test_a_model_that_ranks_backwards_gets_no_slope(halves: tuple[Bundle, Cohort]) -> None:
    """Multiplied by a negative slope the model would call the worst the best."""
    old, new = halves
    turned = new.subset(np.arange(len(new.time)))
    worst = np.argsort(Parent(old).linear_predictor(turned))
    turned.time[worst] = np.sort(turned.time)  # the highest score lives longest
    with pytest.raises(ModelError, match="rank patients backwards"):
        update(old, turned, "slope")


def test_kept_coefficients_are_checked_and_have_no_errors() -> None:
    """One for each term, finite, and nothing else that would change them; no table of errors."""
    y = np.array([(True, 1.0), (True, 2.0), (False, 3.0)], dtype=[("event", bool), ("time", float)])
    X = np.array([[0.0], [1.0], [0.0]])
    with pytest.raises(ModelError, match="a finite number for each of 1 terms"):
        CoxModel(coef=(1.0, 2.0)).fit(X, y)
    with pytest.raises(ModelError, match="leave penalty and shrinkage out"):
        CoxModel(coef=(1.0,), penalty=1.0).fit(X, y)
    model = CoxModel(names=("x",), coef=(np.log(2.0),)).fit(X, y)
    # By hand, of the patient with x = 0: 1 / (1 + 2 + 1), then 1 / (2 + 1); to a few roundings.
    at_mean = np.exp(np.log(2.0) / 3)
    assert model.sums_.hazard == pytest.approx(
        at_mean * np.array([1 / 4, 1 / 4 + 1 / 3]), rel=1e-12
    )
    with pytest.raises(ModelError, match="kept from elsewhere"):
        model.coefficients()


def test_the_closed_test_says_that_it_takes_the_parent_as_known(
    halves: tuple[Bundle, Cohort], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the parent's patients: on the terminal, and in the bundle of an updated model."""
    bundle, cohort = halves
    said = update(bundle, cohort).said
    trained = bundle.manifest.training
    patients, events = trained["patients"], trained["patients_with_event"]
    assert f"fitted on {patients} patients ({events} with the event)" in said["caution"]
    assert "caution" not in update(bundle, cohort, "slope").said  # nothing was tested
    frame = pd.read_csv(ORACLE / "simulated.csv")
    other = frame.assign(death=frame["death"], os_months=frame["os_months"] / 3)
    other.to_csv(tmp_path / "other.csv", index=False)
    out = tmp_path / "updated"
    command = ["update", str(bundle.path), str(tmp_path / "other.csv"), "--out", str(out)]
    assert main([*command, "--replicates", "0"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Caution: {said['caution']}." in told
    training = open_bundle(out).manifest.training
    assert training["update"]["caution"] == said["caution"]
    assert training["parent"]["patients"] == patients


def test_a_parent_of_few_patients_is_rejected_by_its_own_population(tmp_path: Path) -> None:
    """Same truth for all: a parent of 60 is kept on 1,500 new patients far less often than 95 %."""
    kept = 0
    for seed in range(6):
        parent = bundle_of(simulate(60, seed), list(PATIENT), tmp_path / str(seed))
        new = checked(simulate(1500, 1000 + seed), list(PATIENT))
        kept += update(parent, new).method == "original"
    # With a true model each is kept with probability 0.95; 3 or fewer of 6 has P = 0.002.
    assert kept <= 3

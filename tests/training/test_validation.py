"""Internal validation: honest on noise, the same for everybody, and plain about what failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskscore.bundle import open_bundle
from riskscore.errors import InputError, ModelError
from riskscore.metrics import evaluate
from riskscore.study import load_study
from tests.conftest import simulate
from training.__main__ import main
from training.cohort import Cohort, check_cohort
from training.fit import Settings, fit
from training.validation.figures import AT, OVERALL, THRESHOLDS, Plan, Sample
from training.validation.held_out import cross_validation, out_of_bag
from training.validation.optimism import optimism
from training.validation.point632 import mixed, point632
from training.validation.procedure import procedure
from training.validation.report import summary_lines, validation_lines
from training.validation.resampling import folds, resample
from training.validation.sample_size import adjusted_r2, sample_size
from training.validation.validating import validate

CORE = ["tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age"]
NOISE_SEEDS = (1, 2, 3, 4, 5, 6)


def cohort_of(frame: pd.DataFrame, predictors: list[str] = CORE, **more: Any) -> Cohort:
    """Return the checked cohort."""
    return check_cohort(frame, load_study("deb-tace-hcc"), "os", predictors, **more)


def noise(seed: int, n: int = 300) -> Cohort:
    """Return patients whose predictors have nothing to do with their survival."""
    frame = simulate(n, seed)
    shuffled = np.random.default_rng([seed, 1]).permutation(n)
    frame[["os_months", "death"]] = frame[["os_months", "death"]].to_numpy()[shuffled]
    return cohort_of(frame)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Return 120 simulated patients."""
    return cohort_of(simulate(120, 3))


def forest(**more: Any) -> Settings:
    """Return the settings of a small forest with small leaves, which overfits."""
    return Settings(trees=30, min_leaf=5, n_jobs=1, **more)


@pytest.mark.parametrize("method", ["oob", "632plus", "cv"])
def test_a_forest_on_pure_noise_is_worth_nothing(method: str) -> None:
    """Concordance is 0.50 within 0.03, the mean over cohorts; in-sample it would be 0.75."""
    found = []
    for seed in NOISE_SEEDS:
        c = noise(seed)
        if method == "oob":
            result = out_of_bag(c, forest(seed=seed), n_bootstrap=0)
        elif method == "cv":
            result = cross_validation(c, "forest", forest(seed=seed), 5, 1, n_bootstrap=0)
        else:
            result = point632(c, "forest", forest(seed=seed), 6, 0)
            assert result["concordance"]["apparent"] > 0.65
        found.append(result["concordance"]["value"])
    # The standard error of one concordance is 0.02 here; of the mean of six, 0.008.
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("method", ["bootstrap", "632plus", "cv"])
def test_a_cox_model_on_pure_noise_is_worth_nothing(method: str) -> None:
    """Every estimator offered for a Cox model gives 0.50 within 0.03, the mean over cohorts."""
    found = []
    for seed in NOISE_SEEDS:
        c = noise(seed)
        if method == "bootstrap":
            o = optimism(c, Settings(seed=seed), 40)
            value = o.apparent.overall[0] - o.loss("overall")[:, 0].mean()
        elif method == "cv":
            result = cross_validation(c, "cox", Settings(seed=seed), 10, 1, n_bootstrap=0)
            value = result["concordance"]["value"]
        else:
            value = point632(c, "cox", Settings(seed=seed), 20, 0)["concordance"]["value"]
        found.append(value)
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)  # as for the forest


def test_harrells_correction_of_a_forest_is_refused(cohort: Cohort) -> None:
    """The reason stands in the message, with what to use."""
    with pytest.raises(ModelError, match="not valid for a forest.*0.69.*--method oob"):
        validate(cohort, "forest", forest(), "bootstrap")


def test_fast_figures_are_those_of_the_metrics(cohort: Cohort) -> None:
    """Every index, the calibration curve and net benefit are what `riskscore.metrics` gives."""
    rows = np.arange(len(cohort.time))
    plan = Plan.of(cohort)
    refit = procedure("cox", cohort.predictors, Settings()).fit(cohort, rows, plan.times)
    score, survival = refit.score(cohort.X), refit.survival(cohort.X, plan.times)
    plan = plan.with_points(survival)
    ours = Sample(cohort.time, cohort.event, plan).figures(score, survival)
    theirs = evaluate(
        cohort.time, cohort.event, survival[:, plan.at], score, plan.horizons, grid=plan.times,
        grid_survival=survival, thresholds=THRESHOLDS, n_bootstrap=0,
    )  # fmt: skip
    assert theirs.harrell is not None
    assert theirs.integrated_brier is not None
    assert ours.overall[0] == pytest.approx(theirs.harrell.value, abs=1e-12)  # the same counts
    integrated = [theirs.integrated_brier.brier.value, theirs.integrated_brier.ipa.value]
    np.testing.assert_allclose(ours.overall[4:6], integrated, atol=1e-12)  # the same sums
    shares = list(theirs.harrell.shares.values())
    np.testing.assert_allclose(ours.overall[6:], shares, atol=1e-12)  # the same counts
    for h, at in enumerate(theirs.horizons):
        c = at.calibration
        expected = [
            at.auc, at.brier.brier, at.brier.ipa, c.observed_expected, c.slope, c.ici, c.e50, c.e90,
        ]  # fmt: skip
        # Two solvers of one likelihood stop within 1e-10 of its maximum.
        by_horizon = ours._asdict()["at"]
        np.testing.assert_allclose(by_horizon[h], [e.value for e in expected if e], atol=1e-8)
        assert c.curve is not None
        np.testing.assert_allclose(ours.curve[h], c.curve.observed, atol=1e-8)  # as above
        np.testing.assert_allclose(ours.benefit[h], at.decision.model.value, atol=1e-12)


def test_calibration_is_of_follow_up_up_to_the_horizon(cohort: Cohort) -> None:
    """Later deaths may be anything: calibration at a horizon stays, the slope of all does not."""
    plan = Plan.of(cohort)
    rows = np.arange(len(cohort.time))
    refit = procedure("cox", cohort.predictors, Settings()).fit(cohort, rows, plan.times)
    score, survival = refit.score(cohort.X), refit.survival(cohort.X, plan.times)
    first, late = AT.index("observed_expected"), cohort.time > plan.horizons[1]
    (whole, early), (other, same) = (
        (figures.overall[3], figures[1][:2, first:])
        for event in (cohort.event, np.where(late, ~cohort.event, cohort.event))
        for figures in (Sample(cohort.time, event, plan).figures(score, survival),)
    )
    assert np.isfinite(early).all()
    np.testing.assert_allclose(early, same, rtol=1e-9)  # the same sums
    assert abs(whole - other) > 0.05


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_a_refit_is_the_fit_of_the_bundle(cohort: Cohort, penalty: float) -> None:
    """The lean procedure on all rows has the coefficients and curves of the bundle's model."""
    settings = Settings(penalty=penalty)
    model = fit(cohort, "cox", settings).pipeline["model"]
    refit = procedure("cox", cohort.predictors, settings).fit(
        cohort, np.arange(len(cohort.time)), np.array([6.0])
    )
    np.testing.assert_allclose(refit.coef, model.coef_, rtol=1e-12)  # type: ignore[attr-defined]
    np.testing.assert_allclose(refit.hazard, model.sums_.hazard, rtol=1e-12)  # type: ignore[attr-defined]


def test_the_same_seed_gives_the_same_answer_whatever_the_workers(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes, a thread pool or none: each replicate follows from the seed and its number."""
    from joblib import parallel_config

    from training.validation import resampling

    alone = optimism(cohort, Settings(seed=7, n_jobs=1), 12)
    monkeypatch.setattr(resampling, "SPREAD_FROM", 0.0)
    with parallel_config(backend="threading"):
        spread = optimism(cohort, Settings(seed=7, n_jobs=2), 12)
    np.testing.assert_array_equal(alone.loss("overall"), spread.loss("overall"))
    np.testing.assert_array_equal(alone.predictions, spread.predictions)


def test_patients_are_resampled_and_dealt_out_whole() -> None:
    """All rows of a patient are drawn as often as each other, and share a fold."""
    frame = simulate(60, 4).loc[np.repeat(np.arange(60), 2)].reset_index(drop=True)
    study = load_study("deb-tace-hcc")
    object.__setattr__(study, "cluster", "patient")
    c = check_cohort(frame, study, "os", CORE)
    assert c.groups is not None
    counts = np.bincount(resample(c, 0, 3), minlength=120).reshape(60, 2)
    np.testing.assert_array_equal(counts[:, 0], counts[:, 1])
    fold = folds(c, 5, 0, 0).reshape(60, 2)
    np.testing.assert_array_equal(fold[:, 0], fold[:, 1])
    died = np.bincount(fold[:, 0], c.event.reshape(60, 2)[:, 0])
    assert np.ptp(died) <= 1


def test_failed_resamples_are_counted_with_their_reason() -> None:
    """A rare level is missing from some resamples: they are told, not dropped in silence."""
    frame = simulate(60, 5)
    frame["extrahepatic_metastasis"] = "no"
    died = frame.index[frame["death"] == 1]
    frame.loc[[died[0], died[1]], "extrahepatic_metastasis"] = "yes"
    found = optimism(cohort_of(frame), Settings(), 40).replicates.to_dict()
    # Nobody of two among sixty is drawn in about one resample of seven.
    assert 0 < found["failed"] < 40
    assert found["done"] + found["failed"] == 40
    assert any("constant" in reason for reason in found["reasons"])


def test_stopping_keeps_what_is_done(cohort: Cohort) -> None:
    """Ctrl-C ends the work; the replicates that are done give the answer, and it says so."""
    from training.validation.resampling import replicate

    def one(number: int) -> int:
        if number == 3:
            raise KeyboardInterrupt
        return number

    found = replicate(one, 10, 1)
    assert (found.results, found.stopped) == ([0, 1, 2], True)
    assert found.to_dict()["stopped_early"] is True


@pytest.mark.parametrize(
    ("change", "method", "message"),
    [
        (lambda f: f.head(15), "bootstrap", "15 patients are too few"),
        (lambda f: f.assign(death=[1] + [0] * (len(f) - 1)), "bootstrap", "nearly all are"),
        (
            lambda f: f.assign(os_months=40 + f["os_months"]), "bootstrap",
            "no horizon can be judged: each needs an event",
        ),
        (
            lambda f: f.assign(death=[1] * 4 + [0] * (len(f) - 4)), "cv",
            "4 patients with an event leave a fold of 10 without one",
        ),
        (lambda f: f, "oob", "only a forest"),
        (lambda f: f, "iecv", "give --by COLUMN"),
        (lambda f: f, "nosuch", "method must be one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_validated_is_refused(change: Any, method: str, message: str) -> None:
    """Too few patients, nearly no event, none by a horizon, a fold without: each its message."""
    frame = change(simulate(80, 6))
    predictors = ["age"]
    with pytest.raises(ModelError, match=message):
        validate(cohort_of(frame, predictors), "cox", Settings(), method)


def test_a_centre_without_events_is_told(cohort: Cohort) -> None:
    """The others are judged and pooled; the centre stands among those that could not be."""
    frame = simulate(160, 8)
    frame["centre"] = np.repeat(["a", "b", "c", "d"], 40)
    frame.loc[frame["centre"] == "d", "death"] = 0
    c = cohort_of(frame, keep=["centre"])
    found = validate(c, "cox", Settings(), "iecv", column=c.kept["centre"])
    assert [one["value"] for one in found["centres"]] == ["a", "b", "c"]
    assert any("none of the 40 rows judged has an event" in r for r in found["not_judged"])
    pooled = found["pooled"]["concordance"]
    assert pooled["centres"] == 3
    assert pooled["new_lower"] <= pooled["lower"] < pooled["value"] < pooled["upper"]


def test_a_temporal_split_fits_before_and_judges_from_it_on() -> None:
    """The later patients alone are judged, by a model of the earlier ones alone."""
    frame = simulate(200, 9)
    frame["year"] = np.arange(200) // 20 + 2000
    c = cohort_of(frame, keep=["year"])
    found = validate(c, "cox", Settings(), "temporal", column=c.kept["year"], split=2007)
    assert (found["split"]["fitted_rows"], found["split"]["value"]) == (140, 2007)
    earlier, later = c.subset(np.arange(140)), c.subset(np.arange(140, 200))
    model = fit(earlier, "cox").pipeline
    expected = evaluate(
        later.time, later.event, np.full((60, 1), 0.5), model.predict(later.X), 12, n_bootstrap=0
    )
    assert expected.harrell is not None
    assert found["concordance"]["value"] == pytest.approx(expected.harrell.value, abs=1e-12)
    with pytest.raises(ModelError, match="all rows are before it"):
        validate(c, "cox", Settings(), "temporal", column=c.kept["year"], split=3000)


def test_no_bin_of_the_instability_is_one_patient(cohort: Cohort) -> None:
    """Bins hold ten rows or more, ascend, and the refits' quantiles are in order."""
    found = validate(cohort, "cox", Settings(), replicates=20)["instability"]
    for at in found["horizons"]:
        assert min(b["n"] for b in at["bins"]) >= 10
        assert sum(b["n"] for b in at["bins"]) == 120
        assert (np.diff([b["risk"] for b in at["bins"]]) > 0).all()
        assert all((np.diff(b["refits"]) >= 0).all() for b in at["bins"])
        assert 0 < at["mape"] <= at["mape_90"] * 2


def test_632_plus_by_hand() -> None:
    """Efron and Tibshirani's weights: .632 without overfitting, 1 with nothing but it."""
    assert mixed(0.1, 0.1, 0.5) == (pytest.approx(0.1), 0.0)
    assert mixed(0.0, 0.5, 0.5) == (pytest.approx(0.5), 1.0)
    # rate (0.3 - 0.1) / (0.5 - 0.1) = 0.5; weight 0.632 / (1 - 0.184) = 0.7745.
    value, rate = mixed(0.1, 0.3, 0.5)
    assert (value, rate) == (pytest.approx(0.1 + 0.7745098 * 0.2, abs=1e-7), pytest.approx(0.5))
    assert mixed(0.8, 0.4, 0.5)[0] == pytest.approx(0.5)  # worse than nothing counts as nothing


@pytest.mark.parametrize(
    ("r2", "parameters", "rate", "expected"),
    [
        (0.051, 25, 0.065, (4286, 866)), (0.065, 25, 0.065, (3335, 859)),
        (0.051, 50, 0.065, (8572, 1731)), (0.051, 25, 0.1, (4286, 731)),
        (0.051, 30, 0.065, (5143, 1039)),
    ],
)  # fmt: skip
def test_the_sample_sizes_are_pmsampsizes(
    r2: float, parameters: int, rate: float, expected: tuple[int, int]
) -> None:
    """The recurrence of venous thromboembolism in Riley et al. (2019), as R's package tests it."""
    found = sample_size(r2, parameters, rate, 2.07, 2, patients=4500, events=600)
    # The package rounds the greatest R2 before the second criterion.
    assert [c.patients for c in found.criteria[:2]] == pytest.approx(expected, abs=1)
    assert found.needed_patients == expected[0]
    assert found.enough == (expected[0] <= 4500)


def test_the_overall_risk_is_known_to_within_its_margin() -> None:
    """At the third criterion's size the interval is 0.05 wide to a side, and not at one fewer."""
    found = sample_size(0.3, 1, 0.065, 2.07, 2, patients=100, events=10)
    n = found.criteria[2].patients
    halves = []
    for patients in (n, n - 1):
        rate = 0.065 + 1.96 * np.sqrt(0.065 / (patients * 2.07)) * np.array([-1, 0, 1])
        halves.append(np.abs(np.diff(1 - np.exp(-rate * 2))).max())
    assert halves[0] <= 0.05 < halves[1]
    with pytest.raises(ModelError, match="must be above 0"):
        sample_size(-0.1, 3, 0.065, 2.07, 2, patients=100, events=10)
    # LR 20 on 100 patients, 5 terms: (1 - exp(-0.2)) * (1 - 5 / 20).
    assert adjusted_r2(20, 100, 5) == pytest.approx(0.18126925 * 0.75, abs=1e-8)


def test_shrinking_multiplies_by_the_corrected_slope(tmp_path: Path) -> None:
    """The bundle's coefficients are the factor times the fit's, with a baseline of their own."""
    c = cohort_of(simulate(90, 1))
    plain = fit(c, "cox").pipeline["model"]
    fitted = fit(c, "cox", Settings(shrink=True, replicates=60))
    model, said = fitted.pipeline["model"], fitted.inference["penalty"]
    assert 0.5 < said["value"] < 1
    np.testing.assert_allclose(model.coef_, said["value"] * plain.coef_, rtol=1e-12)
    slope = fitted.evaluation["validation"]["slope"]["value"]
    assert slope == pytest.approx(said["value"], rel=1e-12)  # one figure
    # The card prints `how` beside the figures, which are not of the model that is shipped.
    how = fitted.evaluation["validation"]["how"]
    assert "of the model before its coefficients were multiplied" in how
    # Efron's baseline keeps the expected events at those observed, whatever the coefficients.
    assert model.sums_.expected.sum() == pytest.approx(c.event.sum(), rel=1e-12)
    manifest = fitted.write(tmp_path / "b")
    assert manifest.intervals["available"] is False
    assert "shrinkage" in manifest.intervals["reason"]
    assert manifest.training["settings"]["shrinkage"] == said["value"]
    assert all(row["se"] is None for row in fitted.inference["coefficients"])
    with pytest.raises(ModelError, match="same work twice"):
        Settings(shrink=True, replicates=60, penalty=1.0)
    with pytest.raises(ModelError, match="replicates must be at least 50"):
        Settings(shrink=True)


def test_the_command_prints_and_writes(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures on standard output are those of the file; nothing goes to standard error."""
    out = tmp_path / "v.json"
    common = ["--study", "deb-tace-hcc", "--cohort", str(cohort_csv), "--outcome", "os"]
    arguments = ["validate", *common, "--predictors", ",".join(CORE), "--model", "cox"]
    assert main([*arguments, "--replicates", "30", "--out", str(out)]) == 0
    text, err = capsys.readouterr()
    found = json.loads(out.read_text())
    c = found["concordance"]
    assert f"{c['apparent']:.3f}      {c['value']:.3f}   {c['lower']:.3f} to" in text
    assert "Sample size (Riley et al.)" in text
    assert err == ""
    assert found["replicates"]["asked"] == 30
    assert main([*arguments, "--split", "nosuch", "5"]) == 2
    assert "nosuch column is missing" in capsys.readouterr().err
    assert main([*arguments, "--split", "age", "old"]) == 2
    assert "split must be a number" in capsys.readouterr().err
    assert main([*arguments, "--method", "iecv", "--by", "age"]) == 2
    assert "choose one with few" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["cox", "forest"])
def test_fit_stores_its_validation(
    cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """The bundle's evaluation holds every index with its interval, and every curve's points."""
    arguments = [
        "fit", "--study", "deb-tace-hcc", "--cohort", str(cohort_csv), "--outcome", "os",
        "--predictors", ",".join(CORE), "--model", kind, "--out",
        str(tmp_path / "b"), *(["--trees", "30"] if kind == "forest" else []),
    ]  # fmt: skip
    assert main([*arguments, "--replicates", "25"]) == 0
    found = open_bundle(tmp_path / "b").read("evaluation.json")["validation"]
    assert found["method"] == {"cox": "bootstrap", "forest": "oob"}[kind]
    assert found["concordance"]["lower"] < found["concordance"]["value"]
    for at in found["horizons"]:
        for name in AT:
            assert at[name]["lower"] <= at[name]["upper"], name
        curve = at["calibration_curve"]
        assert len(curve["predicted"]) == len(curve["observed"]) == len(curve["lower"]) == 50
        decision = at["decision_curve"]
        assert len(decision["thresholds"]) == len(decision["treat_all"])
    words = {"cox": "Corrected for optimism", "forest": "Out-of-bag"}[kind]
    assert f"{words}: concordance {found['concordance']['value']:.3f}" in capsys.readouterr().out
    assert main([*arguments, "--replicates", "0"]) == 0
    assert "validation" not in open_bundle(tmp_path / "b").read("evaluation.json")


def test_a_kept_column_must_be_whole() -> None:
    """A missing centre is named with its row."""
    frame = simulate(30, 2)
    frame["centre"] = ["a"] * 29 + [None]
    with pytest.raises(InputError, match="row 30: centre must not be missing"):
        cohort_of(frame, keep=["centre"])


def test_only_what_has_apparent_figures_has_a_column_for_them(cohort: Cohort) -> None:
    """Out-of-bag and cross-validated figures are estimates; only a correction starts elsewhere."""
    corrected = validate(cohort, "cox", Settings(n_jobs=1), replicates=3)
    folded = validate(cohort, "cox", Settings(n_jobs=1), "cv", folds=3, repeats=1)
    lines, others = validation_lines(corrected, "month"), validation_lines(folded, "month")
    assert any("apparent  corrected   95 % interval" in line for line in lines)
    assert not any("apparent" in line for line in others if "interval" in line)
    [head] = [line for line in others if "estimate   95 % interval" in line]
    [first] = [line for line in others if "Concordance" in line]
    value = f"{folded['concordance']['value']:.3f}"
    assert first.index(value) + len(value) == head.index("estimate") + len("estimate")


def test_a_summary_says_of_which_follow_up_a_slope_is(cohort: Cohort) -> None:
    """Over all of it and at the last horizon; a slope that could not be had is left out."""
    judged = validate(cohort, "cox", Settings(n_jobs=1), replicates=3)
    told = "\n".join(summary_lines(judged))
    whole, last = judged["slope"]["value"], judged["horizons"][-1]["slope"]["value"]
    assert f"calibration slope over the whole follow-up {whole:.3f}" in told
    assert f"calibration slope at horizon 24 {last:.3f}" in told
    judged["horizons"][-1]["slope"]["value"] = None
    assert "at horizon" not in "\n".join(summary_lines(judged))


@pytest.mark.parametrize(
    ("kind", "method", "more", "names"),
    [
        ("cox", "bootstrap", {"penalty": "auto"}, {"penalty"}),
        ("cox", "cv", {"penalty": "auto"}, {"penalty"}),
        ("cox", "632plus", {"penalty": "auto"}, {"penalty"}),
        ("cox", "iecv", {"penalty": "auto"}, {"penalty"}),
        ("forest", "oob", {"tune": True, "trees": 10}, {"min_leaf", "max_features"}),
        ("forest", "temporal", {"tune": True, "trees": 10}, {"min_leaf", "max_features"}),
    ],
)
def test_what_the_fits_chose_is_told(
    kind: str, method: str, more: dict[str, Any], names: set[str]
) -> None:
    """The evaluation and its report hold what each fit of the procedure chose."""
    c, year = cohort_of(simulate(90, 8), ["tumor_number", "age"]), np.arange(90) % 3
    judged = validate(
        c, kind, Settings(n_jobs=1, **more), method,
        replicates=3, folds=3, repeats=1, column=year, split=2.0,
    )  # fmt: skip
    chosen = judged["chosen"]
    assert set(chosen) == {"fits"} | names
    assert chosen["fits"] == (1 if kind == "forest" else 3)
    for name in names:
        assert 0 < chosen[name]["least"] <= chosen[name]["median"] <= chosen[name]["most"]
    assert any(line.startswith("Chosen by ") for line in validation_lines(judged, "month"))
    given = validate(c, "cox", Settings(n_jobs=1, penalty=2.0), replicates=2)
    assert "chosen" not in given


def weak(n: int, seed: int) -> Cohort:
    """Return patients whose times say little of their predictors, as a tuned ridge finds."""
    frame, random = simulate(n, seed), np.random.default_rng([seed, 2])
    times = frame["os_months"] * np.exp(random.normal(0, 1.0, n))
    return cohort_of(frame.assign(os_months=np.maximum(times, 0.1).round(2)))


@pytest.mark.parametrize("seed", [1, 7])
def test_a_tuned_ridge_s_slope_is_near_that_on_new_patients(seed: int) -> None:
    """Refits whose penalty is at the end of the grid have slopes of 100 and more: none decides.

    As a mean of plain losses the corrected slopes were -4.27 and -17.98, with the wrong sign.
    """
    c, new, settings = weak(90, seed), weak(4000, 99), Settings(penalty="auto", seed=seed, n_jobs=1)
    judged = optimism(c, settings, 12)
    assert max(figures.overall[3] for figures in judged.own) > 100
    refit = procedure("cox", c.predictors, settings).fit(c, np.arange(90), judged.plan.times)
    sample = Sample(new.time, new.event, judged.plan)
    _, truth = sample.r2_and_slope(refit.score(new.X))
    # Twelve resamples of 90 patients: over eight cohorts the ratio was 0.53 to 1.35.
    assert judged.slope / truth == pytest.approx(1, abs=0.5)
    assert 0 < judged.to_dict(c)["horizons"][-1]["slope"]["value"] < 5  # plain: below -4 in both


def test_without_a_penalty_a_slope_s_loss_is_harrell_s(cohort: Cohort) -> None:
    """A refit's own slope is 1 then, and nothing is changed by taking the loss relative to it."""
    judged = optimism(cohort, Settings(n_jobs=1), 5)
    for part, place in (("overall", OVERALL.index("slope")), ("at", AT.index("slope"))):
        pairs = zip(judged.own, judged.whole, strict=True)
        plain = np.array([getattr(a, part) - getattr(b, part) for a, b in pairs])
        # Each refit's slope is 1 to the tolerance of its fit.
        np.testing.assert_allclose(judged.loss(part)[..., place], plain[..., place], rtol=1e-6)

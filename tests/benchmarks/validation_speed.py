"""Internal validation: speed against `rms::validate` in the same run, noise, and coverage."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from riskscore.study import Predictor, Study, load_study
from tests.conftest import simulate
from training.cohort import Cohort, check_cohort
from training.settings import Settings
from training.validation.figures import OVERALL, Plan, Sample
from training.validation.held_out import cross_validation, out_of_bag
from training.validation.optimism import optimism
from training.validation.point632 import point632
from training.validation.procedure import CoxProcedure
from training.validation.resampling import resample

__all__ = ["measure"]

REPEATS = 3

IN_R = """
suppressMessages(library(rms)); d <- read.csv(commandArgs(TRUE)[1])
dd <- datadist(d); options(datadist = "dd")
f <- cph(reformulate(setdiff(names(d), c("time", "event")), "Surv(time, event)"), d, x = TRUE,
         y = TRUE)
cat(median(sapply(1:3, function(i) system.time(validate(f, B = 200))[["elapsed"]])))
"""


def measure() -> Iterator[str]:
    """Yield a line a figure."""
    yield from _speed()
    yield from _noise()
    yield from _coverage()


def _study(p: int) -> Study:
    """Return the study of the core four with `p` predictors: numbers are added."""
    study = load_study("deb-tace-hcc").reduced("os", None)
    numbers = {
        f"x{k}": Predictor(f"x{k}", f"x{k}", unit="1", range=(-10, 10)) for k in range(p - 5)
    }
    core = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
    predictors = {name: study.predictors[name] for name in core} | numbers
    object.__setattr__(study, "predictors", predictors)
    return study


def _cohort(n: int, p: int) -> Cohort:
    frame = simulate(n, 1, decimals=4)
    random = np.random.default_rng(2)
    for k in range(p - 5):
        frame[f"x{k}"] = random.normal(size=n).round(2)
    return check_cohort(frame, _study(p), "os")


def _speed() -> Iterator[str]:
    cohort = _cohort(1000, 7)
    settings = Settings(n_jobs=1)
    ours = _seconds(lambda: _as_rms(cohort, settings))
    yield f"1,000 patients, 7 predictors, 200 resamples, one core; load {os.getloadavg()[0]:.1f}"
    yield f"  Dxy, R2 and slope, as rms::validate    {ours:.2f} s"
    theirs = _in_r(cohort)
    if theirs is not None:
        yield f"  rms::validate                         {theirs:.2f} s, ratio {ours / theirs:.2f}"
    whole = _seconds(lambda: optimism(cohort, settings, 200))
    yield f"  every index at four horizons, curves  {whole:.2f} s"


def _as_rms(cohort: Cohort, settings: Settings) -> None:
    """Correct what `rms::validate` corrects, and nothing else."""
    plan = Plan.of(cohort)
    procedure = CoxProcedure(cohort.predictors, settings)
    everybody = procedure.fit(cohort, np.arange(len(cohort.time)), plan.times)
    procedure = replace(procedure, start=everybody.coef)
    whole = Sample(cohort.time, cohort.event, plan)
    for number in range(200):
        rows = resample(cohort, 0, number)
        refit = procedure.fit(cohort, rows, plan.times)
        score = refit.score(cohort.X)
        own = Sample(cohort.time[rows], cohort.event[rows], plan)
        own.concordance(score[rows])
        whole.concordance(score)
        whole.r2_and_slope(score)


def _in_r(cohort: Cohort) -> float | None:
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "d.csv", Path(folder) / "speed.R"
        columns = {p.name: cohort.X[:, j] for j, p in enumerate(cohort.predictors)}
        frame = pd.DataFrame({"time": cohort.time, "event": cohort.event.astype(int)} | columns)
        frame.to_csv(table, index=False)
        script.write_text(IN_R)
        done = subprocess.run(
            ["Rscript", script, table], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def _noise(cohorts: int = 10) -> Iterator[str]:
    """Yield the mean concordance of every estimator where the truth is 0.50."""
    found: dict[str, list[float]] = {}
    for seed in range(cohorts):
        frame = simulate(300, seed)
        shuffled = np.random.default_rng([seed, 1]).permutation(300)
        frame[["os_months", "death"]] = frame[["os_months", "death"]].to_numpy()[shuffled]
        c = check_cohort(
            frame, load_study("deb-tace-hcc"), "os",
            ["tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age"],
        )  # fmt: skip
        s = Settings(seed=seed, trees=100, min_leaf=5, n_jobs=1)
        corrected = optimism(c, s, 100)
        plus = point632(c, "forest", s, 20, 0)
        for name, value in (
            ("Cox, apparent", corrected.apparent.overall[0]),
            (
                "Cox, optimism",
                corrected.apparent.overall[0] - corrected.loss("overall")[:, 0].mean(),
            ),
            ("Cox, .632+", point632(c, "cox", s, 100, 0)["concordance"]["value"]),
            (
                "Cox, cross-validation",
                cross_validation(c, "cox", s, 10, 5, 0)["concordance"]["value"],
            ),
            ("forest, apparent", plus["concordance"]["apparent"]),
            ("forest, out-of-bag", out_of_bag(c, s, 0)["concordance"]["value"]),
            ("forest, .632+", plus["concordance"]["value"]),
            (
                "forest, cross-validation",
                cross_validation(c, "forest", s, 10, 1, 0)["concordance"]["value"],
            ),
        ):
            found.setdefault(name, []).append(float(value))
    yield f"pure noise, 300 patients, {cohorts} cohorts: mean concordance (standard error)"
    for name, values in found.items():
        error = statistics.stdev(values) / len(values) ** 0.5
        yield f"  {name:<28}{statistics.mean(values):.3f} ({error:.3f})"


def _coverage(cohorts: int = 200, n: int = 100) -> Iterator[str]:
    """Yield how often the interval holds the model's own figure among 5,000 new patients."""
    core = ["tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age"]
    study, names = load_study("deb-tace-hcc"), ("concordance", "slope")
    new = check_cohort(simulate(5000, 99_999, decimals=4), study, "os", core)
    held: dict[str, list[bool]] = {name: [] for name in names}
    off: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(cohorts):
        c = check_cohort(simulate(n, seed, decimals=4), study, "os", core)
        found = optimism(c, Settings(n_jobs=1), 100)
        rule = CoxProcedure(c.predictors, Settings())
        refit = rule.fit(c, np.arange(n), found.plan.times)
        sample, score = Sample(new.time, new.event, found.plan), refit.score(new.X)
        truth = (sample.concordance(score), sample.r2_and_slope(score)[1])
        apparent, mean, lower, upper = found.corrected("overall")
        for name, true in zip(names, truth, strict=True):
            k = OVERALL.index(name)
            held[name].append(bool(lower[k] <= true <= upper[k]))
            off[name].append(float(apparent[k] - mean[k] - true))
    yield f"{cohorts} cohorts of {n} patients: the corrected figure against that on new patients"
    for name in names:
        yield (
            f"  {name:<14}mean error {statistics.mean(off[name]):+.3f}, "
            f"held by the 95 % interval {statistics.mean(held[name]):.0%}"
        )


def _seconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)

"""Metrics at up to a million patients, against scikit-survival and R in the same run."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc
from sksurv.util import Surv

from riskscore.metrics import (
    brier_score,
    calibration,
    concordance,
    evaluate,
    net_benefit,
    time_dependent_auc,
)

__all__ = ["measure"]

REPEATS = 3

IN_R = """
suppressMessages({library(survival); library(riskRegression)})
n <- as.integer(commandArgs(TRUE)[1]); con <- file(commandArgs(TRUE)[2], "rb")
time <- readBin(con, "double", n); event <- readBin(con, "double", n)
score <- readBin(con, "double", n); risk <- readBin(con, "double", n); close(con)
report <- function(name, code, times = 3) {
  cat(name, median(sapply(seq_len(times), function(i) system.time(code())[["elapsed"]])), "\n")
}
y <- Surv(time, event)
report("harrell", function() concordance(y ~ score, reverse = TRUE))
report("uno", function() concordance(y ~ score, reverse = TRUE, timewt = "n/G2"))
if (n <= 20000) report("score", function() Score(list(m = matrix(risk)), Surv(time, event) ~ 1,
  data.frame(time, event), times = 1, metrics = c("auc", "brier"), summary = "ipa",
  cens.model = "km", contrasts = FALSE))
"""


def measure() -> Iterator[str]:
    """Yield a line a figure: medians of three."""
    for n in (20_000, 1_000_000):
        yield from _compare(n)
    found, event, score, _ = _cohort(1000)
    grid = np.array([0.5, 1.0])
    curves = np.exp(-grid * np.exp(score)[:, None])
    seconds = _seconds(lambda: evaluate(found, event, curves, score, grid))
    yield f"everything for 1,000 patients at two horizons, 200 resamples {seconds:.3f} s"


def _cohort(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return times, events, scores and survival at 1; times and scores with ties."""
    random = np.random.default_rng(n)
    score = random.normal(0, 1, n).round(3)
    death = random.exponential(np.exp(-score))
    censored = random.uniform(0, 3, n)
    return (
        np.minimum(death, censored).round(4) + 1e-4, death <= censored, score,
        np.exp(-np.exp(score)),
    )  # fmt: skip


def _compare(n: int) -> Iterator[str]:
    found, event, score, survival = _cohort(n)
    yield f"{n:,} patients, {event.mean():.0%} with the event"
    ours = {
        "harrell": _seconds(lambda: concordance(found, event, score)),
        "uno": _seconds(lambda: concordance(found, event, score, weighting="uno")),
        "auc": _seconds(lambda: time_dependent_auc(found, event, score, 1)),
        "brier": _seconds(lambda: brier_score(found, event, survival, 1, n_bootstrap=0)),
        "calibration": _seconds(lambda: calibration(found, event, survival, 1, n_bootstrap=0)),
        "net benefit, 99 thresholds": _seconds(lambda: net_benefit(found, event, survival, 1)),
    }
    for name, seconds in ours.items():
        yield f"  {name:<28}{seconds:9.3f} s"
    ours["score"] = ours["auc"] + ours["brier"]
    theirs = _in_r(np.stack([found, event, score, 1 - survival]))
    if n <= 20_000:  # scikit-survival visits every pair: a million patients would take an hour
        y = Surv.from_arrays(event, found)
        theirs["harrell, scikit-survival"] = _seconds(
            lambda: concordance_index_censored(event, found, score)
        )
        theirs["auc, scikit-survival"] = _seconds(
            lambda: cumulative_dynamic_auc(y, y, score, [1.0])
        )
    for name, seconds in theirs.items():
        label = name if "," in name else f"{name}, R"
        ratio = seconds / ours[name.split(",")[0]]
        yield f"  {label:<28}{seconds:9.3f} s, riskscore {ratio:.1f} times as fast"


def _seconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _in_r(columns: np.ndarray) -> dict[str, float]:
    """Return R's own times, by name; none where R is absent."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder) / "speed.R", Path(folder) / "data.bin"
        script.write_text(IN_R)
        data.write_bytes(columns.astype("<f8").tobytes())
        arguments = ["Rscript", script, str(columns.shape[1]), data]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if line]
    return {line[0]: float(line[1]) for line in lines}

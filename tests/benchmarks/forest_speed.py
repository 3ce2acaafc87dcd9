"""Fitting a forest of 10,000 patients and 500 trees: time against other software, in one run.

Each side fits the same table on two threads, in a process of its own; leaves of 15, two columns a
split. `python -m tests.benchmarks.forest_speed million` fits 1,000,000 patients with 100 trees.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.forest_size import cohort

__all__ = ["main", "measure", "million"]

RANGER = """
suppressMessages({library(ranger); library(survival)})
data <- read.csv(commandArgs(TRUE)[1])
start <- proc.time()[["elapsed"]]
forest <- ranger(Surv(time, event) ~ ., data, num.trees = 500, mtry = 2, min.node.size = 30,
                 min.bucket = 15, num.threads = 2, seed = 1,
                 verbose = FALSE)
cat(proc.time()[["elapsed"]] - start)
"""
"""ranger splits nodes of 30 or more into leaves of 15 or more, as the other sides do."""

PATIENTS, TREES = 1_000_000, 100


def measure() -> Iterator[str]:
    """Yield each side's median time, and ratios."""
    ours = _medians("relative_risk", 3)
    sides = {
        "riskscore, logrank": lambda: _medians("logrank", 1),
        "scikit-survival": lambda: _medians("scikit-survival", 1),
        "ranger": _ranger,
    }
    whole, growing = ours
    yield (
        f"riskscore, relative_risk: {whole:.2f} s, of which growing {growing:.2f} s and the "
        f"leaves' curves {whole - growing:.2f} s"
    )
    for name, side in sides.items():
        seconds, _ = side()
        yield f"{name}: {seconds:.1f} s, {seconds / whole:.0f} times as long"


def million() -> Iterator[str]:
    """Yield time and peak memory of a forest of 1,000,000 patients."""
    from training.forest import CompactForest

    X, y = cohort(PATIENTS)
    base = _peak()
    start = time.perf_counter()
    forest = CompactForest(n_estimators=TREES, n_jobs=2).fit(X, y)
    seconds = time.perf_counter() - start
    yield (
        f"{PATIENTS:,} patients, {TREES} trees: {seconds:.0f} s, peak {_peak() / 2**30:.1f} GB "
        f"(before the fit {base / 2**30:.1f}); {len(forest.table_):,} leaves, a table of "
        f"{forest.table_.nbytes / 2**30:.1f} GB"
    )


def _one(side: str) -> tuple[float, float]:
    """Fit once; return seconds in all, and of growing the trees alone."""
    X, y = cohort()
    if side == "scikit-survival":
        from sksurv.ensemble import RandomSurvivalForest

        start = time.perf_counter()
        RandomSurvivalForest(
            500, min_samples_leaf=15, min_samples_split=30, random_state=0, n_jobs=2
        ).fit(X, y)
        return time.perf_counter() - start, float("nan")
    from training.forest import CompactForest

    class Watched(CompactForest):
        grown = 0.0

        def _fill(self, *data: Any) -> None:
            self.grown = time.perf_counter()
            super()._fill(*data)

    start = time.perf_counter()
    forest = Watched(splitting=side, n_jobs=2).fit(X, y)
    return time.perf_counter() - start, forest.grown - start


def _medians(side: str, times: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.benchmarks.forest_speed", side]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(times)
    ]
    whole, growing = zip(*found, strict=True)
    return statistics.median(whole), statistics.median(growing)


def _ranger() -> tuple[float, float]:
    X, y = cohort()
    names = [f"x{j}" for j in range(X.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "cohort.csv", Path(folder) / "ranger.R"
        np.savetxt(
            table,
            np.column_stack([X, y["time"], y["event"]]),
            delimiter=",",
            header=",".join([*names, "time", "event"]),
            comments="",
        )
        script.write_text(RANGER)
        command = ["Rscript", str(script), str(table)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout), float("nan")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Print the report, or one side's seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("side", nargs="?")
    side = parser.parse_args().side
    if side not in (None, "million"):
        print(json.dumps(_one(side)))
        return 0
    for line in million() if side else measure():
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

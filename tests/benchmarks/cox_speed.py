"""Fitting a Cox model beside R's coxph, scikit-survival and lifelines; one million rows.

Each fit gives coefficients and standard errors; ours also the baseline and the score residuals,
R's the martingale residuals, scikit-survival's neither errors nor residuals.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sksurv.util import Surv

__all__ = ["measure"]

ROWS = 10_000
MANY = 1_000_000
REPEATS = 15
NAMES = tuple("abcdefg")

R_SIDE = """
options(width = 10000)
suppressMessages(library(survival))
d <- read.csv("{file}")
fit <- function() coxph(Surv(time, event) ~ a + b + c + d + e + f + g, d)
invisible(fit())
cat(replicate({repeats}, {{ s <- proc.time()[3]; fit(); proc.time()[3] - s }}), "\\n")
cat(coef(fit()), "\\n")
"""


def cohort(rows: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return seven predictors, four of them yes or no, and times in whole days."""
    random = np.random.default_rng(0)
    Z = random.normal(size=(rows, len(NAMES)))
    Z[:, :4] = Z[:, :4] > 0
    rate = np.exp(Z @ [0.7, 0.7, 0.8, -0.6, 0.2, 0.1, 0.0])
    died, left = random.exponential(300 / rate), random.uniform(0, 900, rows)
    return Z, Surv.from_arrays(died <= left, np.ceil(np.minimum(died, left)))


def measure() -> Iterator[str]:
    """Yield lines of times, medians of repeats taken in turns, and the ratio to R's."""
    Z, y = cohort(ROWS)
    r_times, r_coef = _in_r(Z, y)
    sides = {
        "riskscore": _ours(Z, y),
        "scikit-survival": _sksurv(Z, y),
        "lifelines": _lifelines(Z, y),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(REPEATS + 1):
        for name, fit in sides.items():
            start = time.perf_counter()
            coef = fit()
            taken = time.perf_counter() - start
            if repeat:  # the first warms up
                times[name].append(taken)
            assert np.allclose(coef, r_coef, atol=1e-4), name
    again, _ = _in_r(Z, y)
    times = {"R coxph": [*r_times, *again], **times}
    base = float(np.median(times["R coxph"]))
    yield f"{ROWS:,} rows x {len(NAMES)}, {int(y['event'].sum()):,} events, times in days"
    for name, taken_all in times.items():
        middle = float(np.median(taken_all))
        yield f"{name:<16} {1000 * middle:9.1f} ms   {middle / base:6.2f} times R's"
    code = "from tests.benchmarks.cox_speed import million; million()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    yield done.stdout.strip()


def million() -> None:
    """Fit a million rows, and print the time and the memory of this process."""
    import resource

    from training.cox import CoxModel

    Z, y = cohort(MANY)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    CoxModel().fit(Z, y)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{MANY:,} rows x {len(NAMES)}: {taken:.1f} s, peak memory {peak:,.0f} MB "
        f"({before:,.0f} MB of it libraries and data)"
    )


def _ours(Z: NDArray[np.float64], y: NDArray[Any]) -> Callable[[], Any]:
    from training.cox import CoxModel

    return lambda: CoxModel().fit(Z, y).coef_


def _sksurv(Z: NDArray[np.float64], y: NDArray[Any]) -> Callable[[], Any]:
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    return lambda: CoxPHSurvivalAnalysis(ties="efron").fit(Z, y).coef_


def _lifelines(Z: NDArray[np.float64], y: NDArray[Any]) -> Callable[[], Any]:
    from lifelines import CoxPHFitter

    frame = pd.DataFrame(Z, columns=list(NAMES)).assign(time=y["time"], event=y["event"])

    def fit() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CoxPHFitter().fit(frame, "time", "event").params_.to_numpy()

    return fit


def _in_r(Z: NDArray[np.float64], y: NDArray[Any]) -> tuple[list[float], NDArray[np.float64]]:
    """Return the seconds of each fit inside one R process, and the coefficients."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cohort.csv"
        frame = pd.DataFrame(Z, columns=list(NAMES))
        frame.assign(time=y["time"], event=y["event"].astype(int)).to_csv(file, index=False)
        script = R_SIDE.format(file=file, repeats=REPEATS)
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    taken, coef = done.stdout.strip().splitlines()[-2:]
    return [float(v) for v in taken.split()], np.array([float(v) for v in coef.split()])

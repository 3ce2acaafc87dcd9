"""A forest of 10,000 patients and 500 trees: memory, file and time against scikit-survival.

Each side runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["measure"]

PATIENTS, TREES, LEAF = 10_000, 500, 15


def measure() -> Iterator[str]:
    """Yield a line a figure, and the ratios."""
    found = {}
    for side in ("riskscore", "scikit-survival"):
        command = [sys.executable, "-m", "tests.benchmarks.forest_size", side]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[side] = f = json.loads(done.stdout)
        yield (
            f"{side:<16} fit {f['fit']:6.1f} s, export {f['export']:5.1f} s, "
            f"peak {f['peak_fit'] / 2**20:8.0f} MB fitted, {f['peak'] / 2**20:8.0f} MB written "
            f"(base {f['base'] / 2**20:.0f}), "
            f"file {f['file'] / 2**20:8.1f} MB"
        )
    ours, theirs = found["riskscore"], found["scikit-survival"]
    yield f"event times {ours['event_times']}, leaves {ours['leaves']}"
    yield (
        f"ratios: peak memory fitted 1/{theirs['peak_fit'] / ours['peak_fit']:.1f}, "
        f"written 1/{theirs['peak'] / ours['peak']:.1f}, "
        f"file 1/{theirs['file'] / ours['file']:.1f}, "
        f"time {(ours['fit']) / theirs['fit']:.2f} (with export "
        f"{(ours['fit'] + ours['export']) / theirs['fit']:.2f})"
    )


def cohort(n: int = PATIENTS) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return seven predictors like those of the two real cohorts, with times in whole days."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            *(rng.random((4, n)) < [[0.7], [0.1], [0.1], [0.2]]),
            rng.gamma(2, 3, n).round(1) + 0.3,
            np.exp(rng.normal(4, 3, n)).round(1) + 0.5,
            rng.normal(60, 11, n).round(),
        ]
    )
    hazard = np.exp(X[:, :4] @ [0.5, 0.7, 0.7, 0.4] + 0.1 * X[:, 4] + 0.05 * np.log(X[:, 5]))
    death = rng.exponential(60 / hazard)
    censored = rng.uniform(2, 120, n)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"] = death <= censored
    y["time"] = np.ceil(np.minimum(death, censored) * 30.4375) / 30.4375
    return X.astype(float), y


class _Counter:
    """A file that counts what is written to it and keeps nothing."""

    size = 0

    def write(self, data: bytes) -> int:
        self.size += memoryview(data).nbytes
        return memoryview(data).nbytes


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _riskscore() -> dict[str, float]:
    from sklearn.pipeline import Pipeline

    from riskscore.study import Predictor
    from training.encoding import StudyEncoder
    from training.export import to_onnx
    from training.forest import CompactForest

    X, y = cohort()
    predictors = tuple(
        Predictor(f"x{j}", f"x{j}", unit="1", range=(-1e9, 1e9)) for j in range(X.shape[1])
    )
    forest = CompactForest(n_estimators=TREES, min_samples_leaf=LEAF, n_jobs=2)
    pipeline = Pipeline([("encode", StudyEncoder(predictors, forms=False)), ("model", forest)])
    base, start = _peak(), time.perf_counter()
    pipeline.fit(X, y)
    fitted, peak_fit = time.perf_counter(), _peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(to_onnx(pipeline, X.shape[1], "benchmark", {}))
        size = path.stat().st_size
    return {
        "fit": fitted - start, "export": time.perf_counter() - fitted, "peak": _peak(),
        "peak_fit": peak_fit, "base": base, "file": size, "leaves": len(forest.mortality_),
        "event_times": forest.n_event_times_,
    }  # fmt: skip


def _scikit_survival() -> dict[str, float]:
    import pickle

    from sksurv.ensemble import RandomSurvivalForest

    X, y = cohort()
    base, start = _peak(), time.perf_counter()
    forest = RandomSurvivalForest(
        TREES, min_samples_leaf=LEAF, min_samples_split=2 * LEAF, n_jobs=2, random_state=0
    ).fit(X, y)
    fitted = time.perf_counter()
    peak_fit = _peak()
    counter = _Counter()
    pickle.dump(forest, counter, protocol=5)
    return {
        "fit": fitted - start, "export": time.perf_counter() - fitted, "peak": _peak(),
        "peak_fit": peak_fit, "base": base, "file": counter.size,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps({"riskscore": _riskscore, "scikit-survival": _scikit_survival}[sys.argv[1]]()))

"""Resident memory of a loaded forest of 10,000 patients and 500 trees, against its file.

Each load runs in a process of its own, so that nothing else counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["main", "measure"]

PATIENTS = 10_000


def measure() -> Iterator[str]:
    """Yield the ratios for forests with long and with short curves."""
    from riskscore.study import load_study
    from tests.conftest import PATIENT, simulate
    from training.cohort import check_cohort
    from training.fit import Settings, fit

    cohort = check_cohort(
        simulate(PATIENTS, 1, 2), load_study("deb-tace-hcc"), "os", [*PATIENT, "age"]
    )
    for max_times in (150, 10):
        with tempfile.TemporaryDirectory() as folder:
            fit(cohort, "forest", Settings(max_times=max_times)).write(f"{folder}/b")
            size = (Path(folder) / "b" / "model.onnx").stat().st_size
            command = [sys.executable, "-m", "tests.benchmarks.forest_load", f"{folder}/b"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        loaded, answered = json.loads(done.stdout)
        yield (
            f"curves of at most {max_times} times: file {size / 2**20:.1f} MB; resident after "
            f"load_model {loaded / size:.2f} times the file, after 1,000 patients "
            f"{answered / size:.2f}"
        )


def _load(path: str) -> tuple[int, int]:
    import numpy as np

    import riskscore

    process = psutil.Process()
    # What onnxruntime itself needs for any model is not the forest's.
    riskscore.load_model("deb-tace-hcc/os/cox").curves(np.zeros((1, 4)))
    before = process.memory_info().rss
    model = riskscore.load_model(path)
    loaded = process.memory_info().rss - before
    X = np.tile([0.0, 1.0, 0.0, 1.0, 60.0], (1000, 1))
    model.answer_encoded(X)
    return loaded, process.memory_info().rss - before


def main() -> int:
    """Print the report, or the bytes of one load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", nargs="?")
    path = parser.parse_args().bundle
    if path:
        print(json.dumps(_load(path)))
        return 0
    for line in measure():
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

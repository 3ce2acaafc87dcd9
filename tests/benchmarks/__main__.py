"""`python -m tests.benchmarks`: print every measurement, with machine and versions."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version

from tests.benchmarks import (
    audit_false_alarms,
    bundle_corruption,
    calibration_coverage,
    converters,
    cox_speed,
    difference_coverage,
    firth_coverage,
    forest_load,
    forest_size,
    forest_speed,
    forest_stability,
    metrics_speed,
    one_patient,
    validation_speed,
)

__all__ = ["main"]

BENCHMARKS = {
    "one-patient": one_patient.measure,
    "forest-size": forest_size.measure,
    "forest-load": forest_load.measure,
    "forest-speed": forest_speed.measure,
    "forest-stability": forest_stability.measure,
    "converters": converters.measure,
    "cox-speed": cox_speed.measure,
    "difference-coverage": difference_coverage.measure,
    "bundle-corruption": bundle_corruption.measure,
    "firth-coverage": firth_coverage.measure,
    "audit-false-alarms": audit_false_alarms.measure,
    "calibration-coverage": calibration_coverage.measure,
    "metrics-speed": metrics_speed.measure,
    "validation-speed": validation_speed.measure,
}


def main() -> int:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    chosen = parser.parse_args().names or list(BENCHMARKS)
    libraries = ("numpy", "onnxruntime", "scikit-learn", "scikit-survival")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in libraries))
    for name in chosen:
        print(f"\n{name}")
        for line in BENCHMARKS[name]():
            print(f"  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

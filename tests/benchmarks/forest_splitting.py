"""Log-rank or relative-risk splits: which predicts better on the two real cohorts, and how fast.

`python -m tests.benchmarks.forest_splitting FOLDER` (of the real cohorts): repeated 5-fold
cross-validation, whole patients. Every patient is predicted once in a repeat; the Brier score is
integrated from 0 to the last horizon over all of them; the concordance is the mean over folds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import ModelError
from riskscore.metrics import concordance, integrated_brier
from riskscore.study import load_study
from training.cohort import Cohort, read_cohort
from training.encoding import StudyEncoder
from training.forest import CompactForest
from training.published import DEB_TACE_COHORT

__all__ = ["COHORTS", "cross_validated", "main", "measure"]

FOLDS = 5
GRID = 60

COHORTS: dict[str, tuple[str, str | None, str, tuple[str, ...] | None, int]] = {
    "HCC-TACE-Seg": (
        "hcc-tace-seg.csv",
        "hcc-tace-seg",
        "hcc-tace",
        ("tumor_number", "vascular_invasion", "metastasis", "child_class", "afp", "age"),
        6,
    ),
    "SurvivalPath, first visits": (
        "survivalpath-hcc-visits.csv",
        "survivalpath-first",
        "hcc-tace",
        None,
        2,
    ),
    "SurvivalPath, all visits": (
        "survivalpath-hcc-visits.csv",
        "survivalpath-all",
        "hcc-tace",
        None,
        1,
    ),
    "reconstructed": (
        "",
        None,
        "deb-tace-hcc",
        ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment"),
        6,
    ),
}
"""File, adapter, study, predictors, and repeats of each cohort."""

VARIANTS: dict[str, dict[str, Any]] = {
    "logrank": {"splitting": "logrank"},
    "relative_risk": {"splitting": "relative_risk"},
    "logrank, bands": {"splitting": "logrank", "stability": True, "n_estimators": 2000},
    "relative_risk, bands": {
        "splitting": "relative_risk",
        "stability": True,
        "n_estimators": 2000,
    },
}

FloatArray = NDArray[np.float64]


def read(name: str, folder: Path) -> Cohort:
    """Return one of `COHORTS`."""
    file, adapter, study, predictors, _ = COHORTS[name]
    path = folder / file if file else DEB_TACE_COHORT
    return read_cohort(path, load_study(study), "os", predictors, adapter)


def cross_validated(
    cohort: Cohort, seed: int, **parameters: Any
) -> tuple[FloatArray, float, float, float]:
    """Return every patient's curve on the grid, concordance, seconds a fit and mean depth."""
    Z = StudyEncoder(cohort.predictors, forms=False).fit(cohort.X).transform(cohort.X)
    groups = np.arange(len(Z)) if cohort.groups is None else cohort.groups
    patients, patient = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(patients)) % FOLDS)[patient]
    grid = grid_of(cohort)
    curves = np.empty((len(Z), len(grid)))
    ordered, seconds, depth = [], [], []
    for k in range(FOLDS):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        forest = CompactForest(n_jobs=2, random_state=seed, max_times=100_000, **parameters)
        start = time.perf_counter()
        of = None if cohort.groups is None else cohort.groups[train]
        forest.fit(Z[train], cohort.y[train], of)
        seconds.append(time.perf_counter() - start)
        depth.append(np.mean([tree.max_depth for tree in forest.trees_]))
        at = np.searchsorted(forest.times_, grid, side="right")
        for rows in np.array_split(test, max(len(test) // 500, 1)):
            found = np.column_stack([np.ones(len(rows)), forest.predict_curves(Z[rows])])
            curves[rows] = found[:, at]
        try:
            score = forest.predict(Z[test])
            ordered.append(concordance(cohort.time[test], cohort.event[test], score).value)
        except ModelError:
            continue
    means = (float(np.mean(found)) for found in (ordered, seconds, depth))
    return (curves, *means)  # type: ignore[return-value]


def grid_of(cohort: Cohort) -> FloatArray:
    """Return regular times up to the last horizon, from the first event on."""
    regular = np.linspace(0, cohort.outcome.horizons[-1], GRID + 1)
    return regular[regular >= cohort.time[cohort.event].min()]


def measure(folder: Path, names: list[str], leaf: int = 15, repeats: int = 0) -> Iterator[str]:
    """Yield a line for each cohort and way to split."""
    for name in names:
        cohort = read(name, folder)
        yield (
            f"{name}: {cohort.n_patients} patients, {len(cohort.time)} rows, "
            f"{int(cohort.event.sum())} events; integrated to {cohort.outcome.horizons[-1]:g} "
            f"{cohort.study.time_unit}s; leaves of {leaf}"
        )
        base: list[float] = []
        for variant, parameters in VARIANTS.items():
            found = []
            for seed in range(repeats or COHORTS[name][-1]):
                # Trees that grow on half of the patients have half as many in a leaf.
                least = -(-leaf // 2) if "stability" in parameters else leaf
                curves, *figures = cross_validated(
                    cohort, seed, min_samples_leaf=least, **parameters
                )
                grid = grid_of(cohort)
                brier = integrated_brier(
                    cohort.time, cohort.event, curves, grid, n_bootstrap=0
                ).brier.value
                found.append([brier, *figures])
            table = np.array(found)
            base = base or table[:, 0].tolist()
            change = table[:, 0] - np.array(base)
            ibs, c, seconds, depth = table.mean(axis=0)
            yield (
                f"  {variant:<22}integrated Brier {ibs:.4f} (change {change.mean():+.4f}, SD over "
                f"repeats {change.std():.4f}), concordance {c:.3f}, {seconds:.2f} s a fit, "
                f"depth {depth:.1f}"
            )


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cohort", action="append", choices=COHORTS)
    parser.add_argument("--leaf", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=0)
    chosen = parser.parse_args()
    names = chosen.cohort or list(COHORTS)
    for line in measure(chosen.folder, names, chosen.leaf, chosen.repeats):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

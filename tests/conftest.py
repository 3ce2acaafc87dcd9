"""Cohorts and bundles the tests share.

Cohorts here are simulated with a fixed seed: every number in them is known, none is a patient's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskscore.manifest import Manifest
from riskscore.study import load_study
from tests.agreement import PAGE, Agreement
from training.cohort import check_cohort
from training.fit import Settings, fit
from training.provenance import Provenance

COHORTS = Path(__file__).parents[2] / "shared" / "cohorts"
STANDARDS = Path(__file__).parents[2] / "shared" / "standards"

PATIENT = {
    "tumor_number": "<=3",
    "vascular_invasion": "yes",
    "extrahepatic_metastasis": "no",
    "treatment": "deb_tace",
}


def simulate(n: int, seed: int, decimals: int = 1) -> pd.DataFrame:
    """Return a cohort of the study deb-tace-hcc's core four and age, with true effects."""
    random = np.random.default_rng(seed)
    study = load_study("deb-tace-hcc")
    frame = pd.DataFrame({"patient": np.arange(1, n + 1)})
    log_hazard = np.zeros(n)
    for name, share, effect in (
        ("tumor_number", 0.3, 0.7),
        ("vascular_invasion", 0.35, 0.7),
        ("extrahepatic_metastasis", 0.2, 0.8),
        ("treatment", 0.45, -0.6),
    ):
        has = random.random(n) < share
        frame[name] = np.array(study.predictors[name].levels)[has.astype(int)]
        log_hazard += effect * has
    frame["age"] = random.integers(30, 80, n).astype(float)
    death = random.weibull(1.4, n) * 18 * np.exp(-(log_hazard + 0.01 * (frame["age"] - 60)) / 1.4)
    censored = random.uniform(8, 36, n)
    frame["os_months"] = np.maximum(np.minimum(death, censored).round(decimals), 0.1)
    frame["death"] = (death <= censored).astype(int)
    return frame


@pytest.fixture(scope="session")
def cohort_frame() -> pd.DataFrame:
    """90 simulated patients with times to 0.1 month."""
    return simulate(90, seed=1)


@pytest.fixture
def cohort_csv(cohort_frame: pd.DataFrame, tmp_path: Path) -> Path:
    """Return the simulated cohort as a CSV file."""
    path = tmp_path / "cohort.csv"
    cohort_frame.to_csv(path, index=False)
    return path


def _bundle(frame: pd.DataFrame, kind: str, path: Path, predictors: list[str]) -> Manifest:
    provenance = Provenance(
        "reconstructed", "a simulation", "none", "For method review, not for care.", ("Simulated.",)
    )
    digest = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    cohort = check_cohort(
        frame,
        load_study("deb-tace-hcc"),
        "os",
        predictors,
        provenance=provenance,
        name="sim.csv",
        sha256=digest,
    )
    return fit(cohort, kind, Settings(trees=50, n_jobs=1)).write(path)


@pytest.fixture(scope="session")
def cox_bundle(cohort_frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Cox bundle on the core four."""
    path = tmp_path_factory.mktemp("cox") / "bundle"
    _bundle(cohort_frame, "cox", path, list(PATIENT))
    return path


@pytest.fixture(scope="session")
def forest_bundle(cohort_frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a forest bundle on the core four and age."""
    path = tmp_path_factory.mktemp("forest") / "bundle"
    _bundle(cohort_frame, "forest", path, [*PATIENT, "age"])
    return path


@pytest.fixture
def cohorts() -> Path:
    """Return the folder of the real cohorts; skip the test where they are absent."""
    if not COHORTS.is_dir():
        pytest.skip(f"the real cohorts are not part of the project and not at {COHORTS.name}/")
    return COHORTS


@pytest.fixture(scope="session")
def agree() -> Iterator[Agreement]:
    """Return what compares with other software; AGREEMENT=write writes its page at the end."""
    writing = os.environ.get("AGREEMENT") == "write"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() and not writing else ""
    found = Agreement(None if writing else page)
    yield found
    if writing:
        found.write()


@pytest.fixture
def patient() -> dict[str, str]:
    """Return a patient the simulated models know."""
    return dict(PATIENT)

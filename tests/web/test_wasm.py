"""A browser's onnxruntime answers as Python's does: WASM, under Node, on every kind of graph."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sksurv.ensemble import RandomSurvivalForest

from riskscore.bundle import open_bundle, shipped_bundles
from riskscore.graph import OUTPUTS
from tests.training.exported import around, run
from tests.training.test_export_scikit_survival import BOOSTING, HAZARDS, TREES, cohort, converted

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / "onnxruntime-web" / "package.json"

DOUBLE = 1e-9  # double precision in both; exp and the order of sums are each build's own
SINGLE = 2e-6  # a forest's leaf curves are float32, and summed in another order

Rows = NDArray[np.float64]
Wasm = Callable[[list[tuple[Path, Rows, bool]]], list[dict[str, Rows]]]


@pytest.fixture(scope="module")
def wasm() -> Wasm:
    """Return what runs models under Node; skip where there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node and npm are not installed; .ci/run installs them where it may")
    _install(npm)

    def ask(requests: list[tuple[Path, Rows, bool]]) -> list[dict[str, Rows]]:
        asked = [
            {"model": str(model), "x": _nulls(x), "optimised": optimised}
            for model, x, optimised in requests
        ]
        done = subprocess.run(
            [node, str(HERE / "run_model.mjs")],
            input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return [{key: np.array(v, dtype=float) for key, v in answer.items()} for answer in found]

    return ask


def _install(npm: str) -> None:
    """Install the locked packages beside this file, unless they are there."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    if INSTALLED.is_file() and json.loads(INSTALLED.read_text())["version"] == wanted:
        return
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [npm, *arguments], cwd=HERE, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        reason = f"npm could not install onnxruntime-web: {done.stderr.strip()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _nulls(x: Rows) -> list[list[float | None]]:
    return [[None if np.isnan(v) else v for v in row] for row in x.tolist()]


def agree(found: dict[str, Rows], expected: list[Rows], tolerance: float) -> None:
    """Compare the outputs of both, NaN for NaN; the risk score, which may be large, relatively."""
    for name, wanted in zip(OUTPUTS, expected, strict=True):
        relative = tolerance if name == "risk_score" else 0.0
        np.testing.assert_allclose(
            found[name], wanted, rtol=relative, atol=tolerance, err_msg=name, equal_nan=True
        )


def patients(bundle: Path, n: int) -> Rows:
    """Return patients within a model's levels and ranges; the last has a missing value."""
    random = np.random.default_rng(7)
    columns = [
        random.integers(0, len(p.levels), n).astype(float)
        if p.range is None
        else random.uniform(*p.range, n)
        for p in open_bundle(bundle).manifest.predictors
    ]
    x = np.column_stack(columns)
    x[-1, 0] = np.nan
    return x


def test_our_bundles(wasm: Wasm, cox_bundle: Path, forest_bundle: Path) -> None:
    """Every shipped model, and a forest of trees, answer in the browser as they do here."""
    bundles = [*shipped_bundles().values(), cox_bundle, forest_bundle]
    rows = [patients(bundle, 60) for bundle in bundles]
    files = [bundle / "model.onnx" for bundle in bundles]
    asked = list(zip(files, rows, strict=True))
    answers = wasm([(f, x, optimised) for optimised in (True, False) for f, x in asked])
    for bundle, (file, x), found in zip(bundles * 2, asked * 2, answers, strict=True):
        expected = run(file.read_bytes(), x)
        assert np.isnan(expected[0][-1]).all()
        assert not np.isnan(expected[0][:-1]).any()
        is_cox = open_bundle(bundle).manifest.kind == "cox"
        agree(found, expected, DOUBLE if is_cox else SINGLE)


def test_every_converter(wasm: Wasm, tmp_path: Path) -> None:
    """Each model of scikit-survival, with values on its thresholds, beside them and missing."""
    requests, expected = [], []
    for name, model in {**HAZARDS, **BOOSTING, **TREES}.items():
        missing = 0.2 if name in TREES else 0.0
        X, y = cohort(missing=missing, near=name not in HAZARDS)
        fitted = copy.deepcopy(model).fit(X, y)
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(converted(fitted, X))
        x = X[:120]
        if name not in HAZARDS:
            stages = np.ravel(getattr(fitted, "estimators_", fitted))
            on = around(x, [stage.tree_ for stage in stages], 5)
            x = np.where(np.isnan(x), np.nan, on)
        for optimised in (True, False):
            requests.append((file, x, optimised))
            curves = fitted.predict_survival_function(x, return_array=True)
            none = np.full_like(curves, np.nan)
            expected.append(([curves, none, none, fitted.predict(x)], name in TREES))
    for found, (wanted, is_single) in zip(wasm(requests), expected, strict=True):
        agree(found, wanted, SINGLE if is_single else DOUBLE)


def test_a_patient_alone_and_among_others(wasm: Wasm, tmp_path: Path) -> None:
    """A forest's answer in the browser does not depend on who else is asked about, to the bit."""
    X, y = cohort()
    forest = RandomSurvivalForest(40, random_state=0).fit(X, y)
    file = tmp_path / "forest.onnx"
    file.write_bytes(converted(forest, X))
    together, *alone = wasm([(file, X[:40], True), *((file, X[i : i + 1], True) for i in range(8))])
    for i, found in enumerate(alone):
        for name in OUTPUTS:
            np.testing.assert_array_equal(found[name][0], together[name][i])

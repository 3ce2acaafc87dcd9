"""The prediction room needs numpy, pandas and onnxruntime, and nothing of training."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINING_SIDE = ("sklearn", "sksurv", "skl2onnx", "onnx", "bentoml", "lifelines", "training")
ROOMS = {
    "riskscore": {"training", "serving", "model_cards"},
    "training": {"serving", "model_cards"},
    "serving": {"training", "model_cards"},
    "model_cards": {"training", "serving"},
}


def loaded(code: str) -> set[str]:
    """Return the modules a fresh interpreter has after running the code."""
    tail = "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd="/"
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_predicting_loads_nothing_of_training(cox_bundle: Path, patient: dict[str, str]) -> None:
    """Importing, loading, predicting and the command line stay on this side."""
    code = (
        "import riskscore, riskscore.cli\n"
        f"riskscore.load_model({str(cox_bundle)!r}).predict({patient!r}).to_frame()"
    )
    assert not loaded(code) & set(TRAINING_SIDE)


@pytest.mark.slow
def test_predicting_works_with_the_base_dependencies_alone(
    cox_bundle: Path, patient: dict[str, str], tmp_path: Path
) -> None:
    """The wheel holds riskscore with its studies and bundles, and runs without the extras.

    The environment is made of the base dependencies that are already installed, by linking them
    into an empty site: what is not linked cannot be imported.
    """
    source = tmp_path / "source"  # a copy: building leaves files behind
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source],
        check=True,
        capture_output=True,
    )
    site = tmp_path / "site"
    (wheel,) = tmp_path.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([sys.executable, *install, site, wheel], check=True, capture_output=True)
    assert sorted(p.name for p in site.iterdir() if p.is_dir() and "." not in p.name) == [
        "bin",
        "riskscore",
    ]
    base = ("numpy", "numpy.libs", "pandas", "onnxruntime", "dateutil", "pytz", "six", "six.py",
            "google", "flatbuffers", "packaging", "sympy", "mpmath", "coloredlogs")  # fmt: skip
    installed = Path(sys.modules["pytest"].__file__ or "").parents[1]
    for name in base:
        if (installed / name).exists():
            (site / name).symlink_to(installed / name)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import riskscore\n"
        f"assert riskscore.__file__.startswith({str(site)!r})\n"
        "from riskscore.study import shipped_studies\n"
        "from riskscore.bundle import shipped_bundles\n"
        "from riskscore.metrics import concordance\n"
        "assert concordance([1, 2], [1, 0], [2, 1]).value == 1\n"
        "assert len(shipped_studies()) == 2 and 'deb-tace-hcc/os/cox' in shipped_bundles()\n"
        f"print(riskscore.load_model({str(cox_bundle)!r}).predict({patient!r}).to_frame().T)\n"
        "from riskscore.cli import main; main(['models'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "survival_24" in done.stdout


@pytest.mark.parametrize(("room", "forbidden"), ROOMS.items())
def test_arrows_point_to_riskscore(room: str, forbidden: set[str]) -> None:
    """No room imports a room it must not know, anywhere in its source."""
    for file in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found = {name.split(".")[0] for name in names} & forbidden
            assert not found, f"{file.relative_to(ROOT)} imports {found}"


def left_at_home(home: Path, code: str) -> list[str]:
    """Return the files that a program leaves in its empty home, where no CI keeps it from that."""
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    return [file.name for file in home.rglob("*") if file.is_file()]


@pytest.mark.skipif(sys.platform != "linux", reason="where the files are is known of Linux alone")
def test_onnxruntime_reports_to_nobody(tmp_path: Path) -> None:
    """It does by itself, from being imported on; after any import of ours it has not even begun."""
    assert "onnxruntime.db" in left_at_home(tmp_path / "plain", "import onnxruntime")
    predict = (
        "m = riskscore.load_model('deb-tace-hcc/os/cox'); m.answer([m.manifest.typical_patient])"
    )
    for room, code in {
        "riskscore": f"import riskscore; {predict}",
        "training": "import training.export",
        "serving": "import serving.service",
        "model_cards": "import model_cards",
    }.items():
        assert left_at_home(tmp_path / room, code) == [], room


def test_nothing_is_pickled() -> None:
    """No room imports a pickler, or joblib's way of writing one."""
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            found = re.findall(
                r"^\s*(?:import|from) (?:pickle|cloudpickle|dill|shelve)\b", text, re.M
            )
            assert not found, file
            assert "joblib.dump" not in text, file

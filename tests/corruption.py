"""Corrupting bundles at random, and what becomes of a model that is asked all the same.

A case is a number: the same number makes the same damage. Every second one is sealed afterwards,
which makes every hash right again, so that only its digest tells it from the bundle that it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from riskscore import BundleError, RiskModel, load_model
from riskscore.errors import AnswerError
from tests.conftest import simulate
from tests.sealing import seal

__all__ = ["ANSWERED", "NO_EFFECT", "REFUSED", "corrupt", "judge", "make_bundles", "patients"]

REFUSED, ANSWERED, NO_EFFECT = "refused by name", "valid under another digest", "no effect"
NAMED = ("manifest.json", ".onnx", "inference.json", "evaluation.json", "audit.json",
         "sensitivity.json", "the model's answer", "fails its test")  # fmt: skip

Random = np.random.Generator
FloatArray = NDArray[np.float64]

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 0.5, -0.5, 1e308, -1e308, 10**17, 10**30, "", " ", "x", "NaN",
    "<script>alert(1)</script>", "../../etc/passwd", "\u202e", [], [[]], {}, {"": None}, [None],
    [1, "a"],
)  # fmt: skip
OPERATORS = ("Add", "Sub", "Mul", "Div", "Exp", "Log", "Neg", "Identity", "Sqrt", "MatMul", "Max",
             "Gather", "Concat", "Loop", "Abs", "Where", "Cast", "Squeeze")  # fmt: skip


def make_bundles(folder: Path) -> dict[str, Path]:
    """Write one bundle of each kind, fitted on simulated patients; those shipped for the rest."""
    from sklearn.pipeline import make_pipeline
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    from riskscore.bundle import shipped_bundles
    from riskscore.study import load_study
    from training.cohort import check_cohort
    from training.encoding import StudyEncoder
    from training.export import export
    from training.fit import Settings, fit

    study = load_study("deb-tace-hcc")
    names = ["tumor_number", "vascular_invasion", "treatment", "age"]
    cohort = check_cohort(simulate(90, seed=1), study, "os", names, name="sim.csv")
    few = check_cohort(simulate(90, seed=1), study, "os", names[:3], name="sim.csv")
    fit(cohort, "cox").write(folder / "cox")
    fit(cohort, "cox", Settings(penalty=5.0)).write(folder / "ridge")
    fit(cohort, "forest", Settings(trees=20, n_jobs=1)).write(folder / "trees")
    band = Settings(trees=2000, stability=True, n_jobs=1, max_times=10)
    fit(cohort, "forest", band).write(folder / "band")
    fit(few, "forest", Settings(trees=50, n_jobs=1)).write(folder / "table")
    models = {
        "pipeline": CoxPHSurvivalAnalysis(alpha=0.1),
        "survival-forest": RandomSurvivalForest(5, min_samples_leaf=15, random_state=0),
    }
    for name, model in models.items():
        encoder = StudyEncoder(cohort.predictors, forms=False)
        pipeline = make_pipeline(encoder, model).fit(cohort.X, cohort.y)
        export(pipeline, study, cohort, folder / name, name=name, refits=2)
    for model_id in ("deb-tace-hcc/os/cox", "deb-tace-hcc/os/forest"):
        place = folder / f"shipped-{model_id.rsplit('/', 1)[1]}"
        shutil.copytree(shipped_bundles()[model_id], place)
    return {path.name: path for path in sorted(folder.iterdir())}


def corrupt(bundle: Path, other: Path, case: int) -> str:
    """Damage a copy of a bundle in place, and return what was done to which file."""
    random = np.random.default_rng(case)
    damage = DAMAGES[case // 2 % len(DAMAGES)]
    what = damage(bundle, other, random)
    # A pipe would be waited for, and a device read without end, by us.
    if case % 2 and all(f.is_file() and f.stat().st_size < 2**24 for f in _hashed(bundle)):
        with suppress(Exception):  # what cannot be read cannot be sealed
            _hash_again(bundle)
            if random.random() < 0.7:
                seal(bundle)
    return f"{damage.__name__.strip('_')}: {what}"


def judge(bundle: Path, original: RiskModel, X: FloatArray) -> tuple[str, str]:
    """Ask a corrupted bundle about patients, and return the outcome and the error's text.

    Raises
    ------
    AssertionError
        If it answers what is no survival, or something else under the digest of the original.
    """
    refused = ""
    try:
        model = load_model(bundle)
        answer = model.answer_encoded(X)
        arrays = [answer.survival, answer.lower, answer.upper, answer.risk_score]
        if model.manifest.study.treatment is not None and not model.is_unstable:
            records = [_record(model, row) for row in X[:4]]
            contrast = model.contrast(records)
            arrays += [contrast.survival, contrast.difference, contrast.difference_lower]
            model.shares(records[:1])
        answer.to_records()
    except (BundleError, AnswerError) as error:
        refused = str(error)
    if refused:
        assert any(name in refused for name in NAMED), refused
        return REFUSED, refused
    survival, lower, upper = arrays[:3]
    assert np.isfinite(survival).all()
    assert (survival >= 0).all()
    assert (survival <= 1).all()
    assert (np.diff(survival, axis=1) <= 1e-6).all(), "single precision"
    assert not (lower > survival + 1e-6).any(), "single precision"
    assert not (upper < survival - 1e-6).any(), "single precision"
    if model.digest != original.digest:
        return ANSWERED, ""
    assert np.array_equal(survival, original.answer_encoded(X).survival), "same digest"
    return NO_EFFECT, ""


def patients(model: RiskModel, n: int = 40) -> FloatArray:
    """Return random patients within the declared ranges."""
    random = np.random.default_rng(0)
    columns = [
        random.integers(0, len(p.levels), n).astype(float)
        if p.range is None
        else random.uniform(*p.range, n)
        for p in model.manifest.predictors
    ]
    return np.column_stack(columns)


def _record(model: RiskModel, row: FloatArray) -> dict[str, Any]:
    return {
        p.name: p.levels[int(value)] if p.is_category else float(value)
        for p, value in zip(model.manifest.predictors, row, strict=True)
    }


def _hash_again(bundle: Path) -> None:
    file = bundle / "manifest.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["files"] = {
        name: sha256((bundle / name).read_bytes()).hexdigest() for name in content["files"]
    }
    file.write_text(json.dumps(content), encoding="utf-8")


def _hashed(bundle: Path) -> list[Path]:
    names = ("manifest", "inference", "evaluation", "sensitivity", "audit")
    files = [bundle / "model.onnx", *(bundle / f"{name}.json" for name in names)]
    return [file for file in files if os.path.lexists(file)]


def _a_file(bundle: Path, random: Random) -> Path:
    return Path(random.choice(sorted(str(f) for f in bundle.iterdir() if f.is_file())))


def _bytes(bundle: Path, other: Path, random: Random) -> str:
    """Change, cut, repeat or insert bytes of any file."""
    file = _a_file(bundle, random)
    data = bytearray(file.read_bytes())
    at = int(random.integers(len(data)))
    length = int(random.integers(1, 64))
    how = int(random.integers(7))
    if how == 0:
        data[at] ^= 1 << int(random.integers(8))
    elif how == 1:
        for k in random.integers(0, len(data), length):
            data[k] = int(random.integers(256))
    elif how == 2:
        del data[at:]
    elif how == 3:
        del data[at : at + length]
    elif how == 4:
        data[at:at] = random.bytes(length)
    elif how == 5:
        data[at:at] = data[at : at + length]
    else:
        data[at : at + length] = bytes(len(data[at : at + length]))
    file.write_bytes(data)
    return f"{file.name}, way {how} at {at}"


def _field(bundle: Path, other: Path, random: Random) -> str:
    """Change one value of a JSON file, take it out, or say it twice."""
    names = [n for n in ("manifest", "manifest", "inference", "evaluation", "sensitivity", "audit")
             if (bundle / f"{n}.json").exists()]  # fmt: skip
    file = bundle / f"{random.choice(names)}.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    table, path = content, []
    while True:
        keys = list(table) if isinstance(table, dict) else range(len(table))
        key = keys[int(random.integers(len(keys)))]
        path.append(str(key))
        inner = table[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.2:
            break
        table = inner
    value, how = table[key], int(random.integers(6))
    if how == 0:
        del table[key]
    elif how == 1 and isinstance(value, int | float):
        table[key] = value * float(random.choice([10, -1, 0.1, 1.5]))
    elif how == 2 and isinstance(value, list):
        value.reverse()
    elif how == 3 and isinstance(table, dict):
        table[f"{key}_"] = table.pop(key)
    else:
        table[key] = VALUES[int(random.integers(len(VALUES)))]
    text = json.dumps(content)
    if random.random() < 0.1:
        text = text.replace('": ', '": NaN, "again": ', 1)
    file.write_text(text, encoding="utf-8")
    return f"{file.name} at {'.'.join(path)[:80]}, way {how}"


def _graph(bundle: Path, other: Path, random: Random) -> str:
    """Change the graph as a valid ONNX file: an operator, a constant, a tree, a name."""
    file = bundle / "model.onnx"
    model = onnx.ModelProto.FromString(file.read_bytes())
    node = model.graph.node[int(random.integers(len(model.graph.node)))]
    tensor = model.graph.initializer[int(random.integers(len(model.graph.initializer)))]
    how = int(random.integers(8))
    if how == 0:
        node.op_type = str(random.choice(OPERATORS))
    elif how == 1:
        names = [name for other_node in model.graph.node for name in other_node.output]
        if node.input:
            node.input[int(random.integers(len(node.input)))] = str(random.choice(names))
    elif how in (2, 3) and len(tensor.raw_data):
        data = bytearray(tensor.raw_data)
        if how == 2:
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        else:
            values = onnx.numpy_helper.to_array(tensor).astype(float) * random.choice([-1, 2, 1e6])
            kind = onnx.numpy_helper.to_array(tensor).dtype
            data = bytearray(np.ascontiguousarray(values.astype(kind)).tobytes())
        tensor.raw_data = bytes(data)
    elif how == 4:
        trees = [n for n in model.graph.node if n.op_type == "TreeEnsembleRegressor"] or [node]
        attributes = [a for a in trees[0].attribute if len(a.ints) or len(a.floats)]
        if attributes:
            attribute = attributes[int(random.integers(len(attributes)))]
            numbers: Any = attribute.ints if len(attribute.ints) else attribute.floats
            numbers[int(random.integers(len(numbers)))] = int(random.integers(-1, 9))
    elif how == 5:
        tensor.dims[:] = [int(d) for d in random.integers(0, 9, max(len(tensor.dims), 1))]
    elif how == 6:
        model.graph.node.remove(node)
    else:
        entry = model.metadata_props[int(random.integers(len(model.metadata_props)))]
        entry.value = str(random.choice(["", "x", "[]", entry.value + " "]))
    file.write_bytes(model.SerializeToString())
    return f"way {how}, {node.op_type}"


def _file(bundle: Path, other: Path, random: Random) -> str:
    """Put something else where a file was."""
    file = _a_file(bundle, random)
    how = int(random.integers(9))
    data = file.read_bytes()
    file.unlink()
    if how == 0:
        file.write_bytes(b"")
    elif how == 1:
        file.mkdir()
    elif how == 2:
        os.mkfifo(file)
    elif how == 3:
        file.symlink_to("/dev/zero")
    elif how == 4:
        file.symlink_to(file.name)
    elif how == 5:
        with file.open("wb") as sparse:
            sparse.truncate(2**30)
    elif how == 6 and (other / file.name).is_file():
        shutil.copy(other / file.name, file)
    elif how == 7:
        file.write_bytes(random.bytes(len(data)))
    return f"{file.name}, way {how}"


DAMAGES: tuple[Callable[[Path, Path, Random], str], ...] = (_bytes, _field, _graph, _field, _file)

"""What is no survival is not answered: at loading, and whenever a model is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from riskscore import load_model
from riskscore.answer_check import check_bounds, check_curves, check_differences
from riskscore.errors import AnswerError, BundleError
from riskscore.self_test import probes
from tests.sealing import seal

NAN = float("nan")


@pytest.mark.parametrize(
    "curve",
    [[1.1, 0.5], [0.5, -0.1], [0.5, 0.6], [0.9, NAN], [NAN, 0.5], [0.9, NAN, 0.5], [7.0], [-3.0],
     [NAN], [float("inf"), 0.5]],
)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 5])
def test_a_curve_that_is_no_survival_is_refused(curve: list[float], rows: int) -> None:
    """Of one patient, and of one among others."""
    good = np.linspace(0.9, 0.1, len(curve))
    survival = np.array([good] * (rows - 1) + [curve])
    with pytest.raises(AnswerError, match="must be from 0 to 1 and never rise"):
        check_curves(survival, np.zeros(rows))
    check_curves(np.array([good] * rows), np.zeros(rows))
    with pytest.raises(AnswerError, match="finite risk score"):
        check_curves(np.array([good] * rows), np.full(rows, NAN))


@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.parametrize(("low", "high"), [(0.6, 0.7), (0.3, 0.4), (-0.1, 0.7), (0.3, 1.1)])
def test_bounds_that_hold_no_survival_are_refused(size: int, low: float, high: float) -> None:
    """Bounds of NaN are none, and pass."""
    survival = np.full((1, size), 0.5)
    lower, upper = np.full((1, size), 0.4), np.full((1, size), 0.6)
    check_bounds(survival, lower, upper)
    check_bounds(survival, np.full_like(survival, NAN), np.full_like(survival, NAN))
    lower[0, -1], upper[0, -1] = low, high
    with pytest.raises(AnswerError, match="bounds are none"):
        check_bounds(survival, lower, upper)


@pytest.mark.parametrize(("value", "low", "high"), [(NAN, 0, 1), (2, 0, 1), (0.1, 0.2, 0.3)])
def test_a_difference_outside_its_bounds_is_refused(value: float, low: float, high: float) -> None:
    """And one beyond -1 to 1."""
    one = np.ones((1, 1, 1))
    check_differences(0.1 * one, NAN * one, NAN * one)
    with pytest.raises(AnswerError, match="difference between treatments is none"):
        check_differences(value * one, low * one, high * one)


@pytest.fixture
def copy(cox_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may damage."""
    return Path(shutil.copytree(cox_bundle, tmp_path / "bundle"))


def rewire(bundle: Path, op: str, constant: float, output: str = "survival") -> None:
    """Let an output of the graph be another, and make every hash right again."""
    model = onnx.ModelProto.FromString((bundle / "model.onnx").read_bytes())
    for node in model.graph.node:
        node.output[:] = [f"{output}_was" if name == output else name for name in node.output]
        node.input[:] = [f"{output}_was" if name == output else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.array([constant]), "forged"))
    model.graph.node.append(helper.make_node(op, [f"{output}_was", "forged"], [output]))
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    seal(bundle)


@pytest.mark.parametrize(
    ("op", "constant", "output"),
    [("Mul", 7.0, "survival"), ("Sub", 3.0, "survival"), ("Mul", NAN, "survival"),
     ("Mul", 0.0, "survival_upper"), ("Mul", NAN, "risk_score"), ("Add", 1.0, "risk_score")],
)  # fmt: skip
def test_a_graph_that_answers_no_survival_does_not_load(
    copy: Path, op: str, constant: float, output: str
) -> None:
    """Seven, minus three and NaN were answered with every hash in order."""
    rewire(copy, op, constant, output)
    with pytest.raises(BundleError, match="the model fails its test"):
        load_model(copy)


def edit(copy: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change inference.json, and make every hash right again."""
    content = json.loads((copy / "inference.json").read_text())
    change(content)
    (copy / "inference.json").write_text(json.dumps(content))
    seal(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["coefficients"][0].update(coef=9.0), "model.onnx and inference.json"),
        (lambda c: c["baseline"].update(times=[10 * t for t in c["baseline"]["times"]]),
         "model.onnx and inference.json"),
        (lambda c: c["covariance"].pop(), "inference.json lacks|covariance of inference.json"),
        (lambda c: c["covariance"][0].__setitem__(0, -1.0), "covariance of inference.json"),
        (lambda c: c["baseline"].update(hazard_variance=3), "bundle: "),
        (lambda c: c.update(coefficients=5), "inference.json lacks what a comparison needs"),
    ],
)  # fmt: skip
def test_an_inference_that_contradicts_the_graph_does_not_load(
    copy: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    """Comparisons are made from it."""
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        load_model(copy)


def test_what_a_patient_is_answered_is_checked_too(
    cox_bundle: Path, monkeypatch: pytest.MonkeyPatch, patient: dict[str, str]
) -> None:
    """A graph may pass its test and fail for a patient; or the runtime fails."""
    model = load_model(cox_bundle)
    answer = model._run

    def wrong(X: Any) -> Any:
        survival, lower, upper, score = answer(X)
        return survival + 1.0, lower, upper, score

    monkeypatch.setattr(model, "_run", wrong)
    for ask in (model.predict, model.compare, model.explain):
        with pytest.raises(AnswerError, match="the model's answer is no survival"):
            ask(patient)
    monkeypatch.setattr(model, "_run", answer)
    with pytest.raises(AnswerError, match="the model's graph fails"):
        model.answer_encoded(np.zeros((1, 9)))


def test_the_probes_are_every_level_and_every_end(forest_bundle: Path) -> None:
    """Two levels of four categories, and four ends of the age, beside the typical patient."""
    model = load_model(forest_bundle)
    rows = probes(model.manifest)
    assert rows.shape == (1 + 4 * 2 + 4, 5)
    low, high = model.manifest.predictors[-1].range or (0.0, 0.0)
    assert {low, high} <= set(rows[:, -1].tolist())
    assert all(set(rows[:, j].tolist()) == {0.0, 1.0} for j in range(4))

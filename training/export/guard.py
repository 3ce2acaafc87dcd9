"""A gate before a pipeline's graph: a row that is no patient gets NaN, whatever the steps do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.helper import make_node

from riskscore.graph import OUTPUTS
from riskscore.study import Predictor

__all__ = ["guard"]


def guard(model: onnx.ModelProto, predictors: Sequence[Predictor]) -> None:
    """Let only patients into the graph: known numbers, and indices that are levels.

    Steps that others wrote raise on a missing value, take 2.5 for 2, or send a missing value down a
    tree. Another row is answered in silence for a made-up patient (reference levels, and the middle
    of each number's range), and the answer is replaced by NaN.
    """
    graph = model.graph
    inner = {"x": "x_known", **{name: f"{name}_known" for name in OUTPUTS}}
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = inner.get(name, name)
    nodes: list[onnx.NodeProto] = []

    def const(name: str, values: Any) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), f"guard_{name}"))
        return f"guard_{name}"

    def add(op: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        name = out or f"guard_{op.lower()}_{len(nodes)}"
        nodes.append(make_node(op, list(inputs), [name], **attributes))
        return name

    def all_of(truth: str, count: int) -> str:
        number = add("ReduceSum", add("Cast", truth, to=11), axis, keepdims=1)
        return add("Equal", number, const(f"count_{len(nodes)}", np.array([float(count)])))

    axis = const("axis", np.array([1], np.int64))
    nought = const("nought", np.array([0.0]))
    # A number less itself is 0; infinity or NaN less itself is not.
    patient = all_of(add("Equal", add("Sub", "x", "x"), nought), len(predictors))
    columns = [j for j, p in enumerate(predictors) if p.is_category]
    if columns:
        level = add("Gather", "x", const("columns", np.array(columns, np.int64)), axis=1)
        last = const("last", np.array([len(predictors[j].levels) - 1.0 for j in columns]))
        whole = add("Equal", level, add("Floor", level))
        above = add("And", whole, add("GreaterOrEqual", level, nought))
        inside = add("And", above, add("LessOrEqual", level, last))
        patient = add("And", patient, all_of(inside, len(columns)))
    made_up = const("made_up", np.array([[_anyones(p) for p in predictors]]))
    add("Where", patient, "x", made_up, out="x_known")
    existing = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *existing])

    nodes.clear()
    nan = const("nan", np.array([np.nan]))
    for name in OUTPUTS[:-1]:
        add("Where", patient, inner[name], nan, out=name)
    add("Where", add("Squeeze", patient, axis), inner[OUTPUTS[-1]], nan, out=OUTPUTS[-1])
    graph.node.extend(nodes)


def _anyones(predictor: Predictor) -> float:
    """Return a value that any patient might have; no training patient's in particular."""
    if predictor.range is None:
        return 0.0
    low, high = predictor.range
    return (low + high) / 2

"""Forests as graphs: trees with a table of leaf curves, or a table of profiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.export.graph import NAN, Graph
from training.export.trees import tree_ensemble
from training.forest import CompactForest
from training.tabulate import ProfileTable

__all__ = ["convert_forest", "convert_table"]


def convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """Each tree gives its leaf's number; the leaves' curves are gathered and averaged."""
    model: CompactForest = operator.raw_operator
    g = Graph(scope, container)
    x = operator.inputs[0].full_name
    # scikit-learn compares float32(x) with its threshold, and so does the graph.
    x32 = g.add("Cast", x, to=1)
    trees = tree_ensemble(model.trees_)
    numbers = g.add("TreeEnsembleRegressor", x32, op_domain="ai.onnx.ml", **trees)
    leaf = g.add("Add", g.add("Cast", numbers, to=7), g.const(model.offsets_[None, :]))
    # The risk score travels as a last column beside the curve.
    curves = g.add("Gather", g.const(model.table_), leaf, axis=0)
    # A product with ones sums each patient's trees in one order, whoever else is in the batch;
    # ReduceMean takes another order for one patient than for several.
    ones = g.const(np.ones((1, len(model.trees_)), np.float32))
    total = g.add("Squeeze", g.add("MatMul", ones, curves), g.const(np.array([1], np.int64)))
    n_trees = g.const(np.array([float(len(model.trees_))]))
    mean = g.add("Div", g.add("Cast", total, to=11), n_trees)
    # A tree sends a missing value somewhere; a patient with one gets no answer instead.
    known = g.add("ReduceSum", x, g.const(np.array([1], np.int64)), keepdims=1)
    answer = g.add("Where", g.add("IsNaN", known), g.const(NAN), mean)
    _unbounded(g, answer, operator)


def convert_table(scope: Any, operator: Any, container: Any) -> None:
    """Look the patient's combination of levels up; a last row of NaN is for those that are none."""
    model: ProfileTable = operator.raw_operator
    g = Graph(scope, container)
    x = operator.inputs[0].full_name
    table = np.column_stack([model.survival, model.score])
    none = np.array([len(table)], dtype=np.float64)
    table = np.vstack([table, np.full(table.shape[1], np.nan)])
    number = g.add("MatMul", x, g.const(model.weights))
    number = g.add("Where", g.add("IsNaN", number), g.const(none), number)
    answer = g.add("Gather", g.const(table), g.add("Cast", number, to=7), axis=0)
    _unbounded(g, answer, operator)


def _unbounded(g: Graph, answer: str, operator: Any) -> None:
    """Split curves from the risk score beside them, and give bounds of NaN."""
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    last = g.const(np.array([-1], np.int64))
    axis = g.const(np.array([1], np.int64))
    g.add("Slice", answer, g.const(np.array([0], np.int64)), last, axis, out=survival)
    g.add("Gather", answer, g.const(np.array(-1, np.int64)), axis=1, out=score)
    for bound in (lower, upper):
        g.add("Mul", survival, g.const(NAN), out=bound)

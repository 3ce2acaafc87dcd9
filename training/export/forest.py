"""Forests as graphs: trees with a table of leaf curves, or a table of profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.export.graph import NAN, Graph
from training.forest import CompactForest, leaf_numbers
from training.tabulate import ProfileTable

__all__ = ["convert_forest", "convert_table"]


def convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """Each tree gives its leaf's number; the leaves' curves are gathered and averaged."""
    model: CompactForest = operator.raw_operator
    g = Graph(scope, container)
    x = operator.inputs[0].full_name
    # scikit-learn compares float32(x) with its threshold, and so does the graph.
    x32 = g.add("Cast", x, to=1)
    numbers = g.add("TreeEnsembleRegressor", x32, op_domain="ai.onnx.ml", **_ensemble(model.trees_))
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


def _ensemble(trees: list[Any]) -> dict[str, Any]:
    """Return the attributes of one TreeEnsembleRegressor with a target a tree."""
    sizes = [tree.node_count for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    is_leaf = left == -1
    threshold = np.concatenate([tree.threshold for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    number = np.concatenate([leaf_numbers(tree) for tree in trees])
    return {
        "n_targets": len(trees),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, feature).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf.tolist()],
        "nodes_values": np.where(is_leaf, 0.0, _float32_below(threshold)).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "nodes_missing_value_tracks_true": [0] * len(left),
        "target_treeids": tree_ids[is_leaf].tolist(),
        "target_nodeids": node_ids[is_leaf].tolist(),
        "target_ids": tree_ids[is_leaf].tolist(),
        "target_weights": number[is_leaf].astype(float).tolist(),
    }


def _float32_below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold.

    scikit-learn compares a float32 value with a double threshold. Rounded to the nearest float32,
    the threshold could come to lie above a value that was above it; rounded down, `<=` decides the
    same way for every float32.
    """
    rounded = threshold.astype(np.float32)
    above = rounded.astype(np.float64) > threshold
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)

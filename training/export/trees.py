"""scikit-learn's trees in a graph: one TreeEnsembleRegressor that gives leaf numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.export.graph import Graph
from training.forest import leaf_numbers, n_leaves

__all__ = ["float32_below", "leaves_of", "summed_over_trees", "tree_ensemble", "trees_of"]


def trees_of(model: Any) -> list[Any]:
    """Return the trees of a forest or of boosting, or the one of a tree."""
    return [estimator.tree_ for estimator in np.ravel(getattr(model, "estimators_", model))]


def tree_ensemble(trees: Sequence[Any], *, missing: bool = False) -> dict[str, Any]:
    """Return the attributes of a TreeEnsembleRegressor whose targets are leaf numbers.

    One target a tree. The operator gives float32 whatever goes in, so leaves are numbered tree by
    tree: a float32 counts to 16 million.

    Parameters
    ----------
    trees : sequence of sklearn.tree._tree.Tree
    missing : bool
        Whether a missing value goes where the tree sends it; else to the right.
    """
    sizes = [tree.node_count for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    is_leaf = left == -1
    threshold = np.concatenate([tree.threshold for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    number = np.concatenate([leaf_numbers(tree) for tree in trees])
    tracks = np.zeros(len(left), dtype=np.int64)
    if missing:
        tracks = np.concatenate([tree.missing_go_to_left for tree in trees]).astype(np.int64)
    return {
        "n_targets": len(trees),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, feature).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf.tolist()],
        "nodes_values": np.where(is_leaf, 0.0, float32_below(threshold)).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "nodes_missing_value_tracks_true": np.where(is_leaf, 0, tracks).tolist(),
        "target_treeids": tree_ids[is_leaf].tolist(),
        "target_nodeids": node_ids[is_leaf].tolist(),
        "target_ids": tree_ids[is_leaf].tolist(),
        "target_weights": number[is_leaf].astype(float).tolist(),
    }


def leaves_of(g: Graph, x: str, trees: list[Any], *, missing: bool) -> tuple[str, str]:
    """Return each patient's row in a table of all trees' leaves, [N, trees], and x as float32."""
    # scikit-learn compares float32(x) with its threshold, and so does the graph.
    x32 = g.add("Cast", x, to=1)
    ensemble = tree_ensemble(trees, missing=missing)
    numbers = g.add("TreeEnsembleRegressor", x32, op_domain="ai.onnx.ml", **ensemble)
    sizes = [n_leaves(tree) for tree in trees]
    offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    return g.add("Add", g.add("Cast", numbers, to=7), g.const(offsets[None, :])), x32


def summed_over_trees(g: Graph, gathered: str, weights: Any) -> str:
    """Return the weighted sum over trees: [N, trees, T] to [N, T].

    A product sums each patient's trees in one order, whoever else is in the batch; a reduction
    takes another order for one patient than for several.
    """
    total = g.add("MatMul", g.const(weights), gathered)
    return g.add("Squeeze", total, g.const(np.array([1], np.int64)))


def float32_below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold.

    scikit-learn compares a float32 value with a double threshold. Rounded to the nearest float32,
    the threshold could come to lie above a value that was above it; rounded down, `<=` decides the
    same way for every float32.
    """
    rounded = threshold.astype(np.float32)
    above = rounded.astype(np.float64) > threshold
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)

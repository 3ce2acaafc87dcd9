"""scikit-survival's trees and forests as graphs: leaf numbers, and a table of leaf curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.export.graph import Graph, without_bounds
from training.export.grid import positions_of
from training.export.trees import leaves_of, summed_over_trees, trees_of
from training.forest import n_leaves

__all__ = ["convert_survival_trees"]


def convert_survival_trees(scope: Any, operator: Any, container: Any) -> None:
    """Answer with the leaf's curve of a tree, with the mean of a forest's trees.

    Missing values go where each split sends them. The graph holds rows x trees x times numbers
    while it runs: feed it many patients a hundred at a time.
    """
    model = operator.raw_operator
    trees = trees_of(model)
    takes_missing = bool(getattr(model, "splitter", "best") in ("best", "random"))
    g = Graph(scope, container)
    leaf, x32 = leaves_of(g, operator.inputs[0].full_name, trees, missing=takes_missing)
    table = _table(model, trees, positions_of(model))
    # What scikit-survival refuses gets the last row, of NaN: infinity, more than float32 can hold,
    # and NaN where the model takes none.
    refused = g.add("IsInf", x32) if takes_missing else g.add("IsNaN", g.add("Sub", x32, x32))
    axis = g.const(np.array([1], np.int64))
    count = g.add("ReduceSum", g.add("Cast", refused, to=7), axis, keepdims=1)
    wrong = g.add("Greater", count, g.const(np.array([0], np.int64)))
    leaf = g.add("Where", wrong, g.const(np.array([len(table) - 1], np.int64)), leaf)
    curves = g.add("Gather", g.const(table), leaf, axis=0)
    if len(trees) == 1:
        mean = g.add("Cast", g.add("Squeeze", curves, axis), to=11)
    else:
        total = summed_over_trees(g, curves, np.ones((1, len(trees)), np.float32))
        mean = g.add("Div", g.add("Cast", total, to=11), g.const(np.array([float(len(trees))])))
    _split(g, operator, mean)


def _table(model: Any, trees: list[Any], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return all leaves' curves, with a last column of their expected events, a last row of NaN."""
    is_event = np.asarray(model.is_event_time_, dtype=bool)
    shape = (sum(n_leaves(tree) for tree in trees) + 1, len(at) + 1)
    table = np.full(shape, np.nan, dtype=np.float32)
    start = 0
    for tree in trees:
        hazard, survival = np.moveaxis(tree.value[tree.children_left == -1], 2, 0)
        rows = slice(start, start + len(survival))
        table[rows, :-1] = survival[:, at]
        table[rows, -1] = hazard[:, is_event].sum(axis=1)
        start += len(survival)
    return table


def _split(g: Graph, operator: Any, answer: str) -> None:
    """Part the curves from the risk score beside them."""
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    first, last = g.const(np.array([0], np.int64)), g.const(np.array([-1], np.int64))
    g.add("Slice", answer, first, last, g.const(np.array([1], np.int64)), out=survival)
    g.add("Gather", answer, g.const(np.array(-1, np.int64)), axis=1, out=score)
    without_bounds(g, survival, lower, upper)

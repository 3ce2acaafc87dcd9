"""Forests as graphs: trees with a table of leaf curves, or a table of profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from training.export.body import Body
from training.export.graph import NAN, Graph, without_bounds
from training.export.trees import tree_ensemble
from training.forest import BAG, CompactForest
from training.forest.little_bags import LEAST_RATIO, Z
from training.tabulate import ProfileTable

__all__ = ["convert_forest", "convert_table"]

FIRST, SECOND = (np.array([axis], np.int64) for axis in (0, 1))


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
    table = g.const(model.table_)
    # A tree sends a missing value somewhere; a patient with one gets no answer instead.
    known = g.add("IsNaN", g.add("ReduceSum", x, g.const(SECOND), keepdims=1))
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    if not model.stability:
        mean = _mean(g, table, leaf, len(model.trees_))
        _split(g, g.add("Where", known, g.const(NAN), mean), survival, score)
        without_bounds(g, survival, lower, upper)
        return
    body = _of_one_patient(table, len(model.trees_) // BAG, model.table_.shape[1])
    found = [scope.get_unique_variable_name(o.name) for o in body.output]
    container.add_node(
        "Scan",
        [leaf],
        found,
        op_domain="",
        op_version=16,
        name=scope.get_unique_operator_name("Scan"),
        body=body,
        num_scan_inputs=1,
    )
    mean, *bounds = (g.add("Where", known, g.const(NAN), part) for part in found)
    _split(g, mean, survival, score)
    for part, out in zip(bounds, (lower, upper), strict=True):
        g.add("Identity", part, out=out)


def convert_table(scope: Any, operator: Any, container: Any) -> None:
    """Look the patient's combination of levels up; a last row of NaN is for those that are none."""
    model: ProfileTable = operator.raw_operator
    g = Graph(scope, container)
    x = operator.inputs[0].full_name
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    parts = [model.survival] if model.lower is None else [model.lower, model.upper, model.survival]
    table = np.column_stack([*parts, model.score])
    none = np.array([len(table)], dtype=np.float64)
    table = np.vstack([table, np.full(table.shape[1], np.nan)])
    number = g.add("MatMul", x, g.const(model.weights))
    number = g.add("Where", g.add("IsNaN", number), g.const(none), number)
    answer = g.add("Gather", g.const(table), g.add("Cast", number, to=7), axis=0)
    if model.lower is None:
        _split(g, answer, survival, score)
        without_bounds(g, survival, lower, upper)
        return
    width = model.survival.shape[1]
    for k, out in enumerate((lower, upper, survival)):
        start, end = (g.const(np.array([width * i], np.int64)) for i in (k, k + 1))
        g.add("Slice", answer, start, end, g.const(SECOND), out=out)
    g.add("Gather", answer, g.const(np.array(-1, np.int64)), axis=1, out=score)


def _mean(g: Graph, table: str, leaf: str, n_trees: int) -> str:
    """Average the trees' rows of the table, (n, n_times + 1)."""
    curves = g.add("Gather", table, leaf, axis=0)
    # A product with ones sums each patient's trees in one order, whoever else is in the batch;
    # ReduceMean takes another order for one patient than for several.
    ones = g.const(np.ones((1, n_trees), np.float32))
    total = g.add("Squeeze", g.add("MatMul", ones, curves), g.const(SECOND))
    return g.add("Div", g.add("Cast", total, to=11), g.const(np.array([float(n_trees)])))


def _split(g: Graph, answer: str, survival: str, score: str) -> None:
    """Split curves from the risk score beside them."""
    last = g.const(np.array([-1], np.int64))
    g.add("Slice", answer, g.const(np.array([0], np.int64)), last, g.const(SECOND), out=survival)
    g.add("Gather", answer, g.const(np.array(-1, np.int64)), axis=1, out=score)


def _of_one_patient(table: str, n_bags: int, width: int) -> onnx.GraphProto:
    """Return the graph for one patient: curve with risk score, and the bounds of the curve.

    Patients are taken one at a time because all trees' curves of many would fill the memory; so
    nobody's answer depends on who else is in the batch.
    """
    g = Body()
    curves = g.add("Gather", table, "leaf", axis=0)
    by_bag = g.add("Reshape", curves, g.const(np.array([n_bags, BAG, width], np.int64)))
    total = g.add("ReduceSum", by_bag, g.const(SECOND), keepdims=1)
    bag_mean = g.add("Div", total, g.const(np.array([BAG], np.float32)))
    apart = g.add("Sub", by_bag, bag_mean)
    both = g.const(np.array([0, 1], np.int64))
    squares = g.add("ReduceSum", g.add("Mul", apart, apart), both, keepdims=0)
    n_trees = g.const(np.array([float(n_bags * BAG)]))
    within = g.add("Div", g.add("Cast", squares, to=11), n_trees)
    # Bags' means differ in few digits: their variance is taken in double precision.
    means = g.add("Cast", g.add("Squeeze", bag_mean, g.const(SECOND)), to=11)
    centre = g.add("ReduceMean", means, g.const(FIRST), keepdims=1)
    off = g.add("Sub", means, centre)
    between = g.add("ReduceMean", g.add("Mul", off, off), g.const(FIRST), keepdims=0)
    mean = g.add("Squeeze", centre, g.const(FIRST), out="mean")
    start, end = g.const(np.array([0], np.int64)), g.const(np.array([width - 1], np.int64))
    survival, between, within = (g.add("Slice", v, start, end) for v in (mean, between, within))
    _band(g, survival, _debiased(g, between, within, n_bags), "lower", "upper")
    shapes = {"mean": [width], "lower": [width - 1], "upper": [width - 1]}
    return g.graph({"leaf": n_bags * BAG}, shapes)


def _debiased(g: Body, between: str, within: str, n_bags: int) -> str:
    """Return the variance, as `training.forest.little_bags.debiased`."""
    noise = g.add("Div", within, g.const(np.array([BAG - 1.0])))
    scale = g.const(np.array([np.sqrt(2 / n_bags)]))
    error = g.add("Mul", g.add("Max", between, noise), scale)
    zero = g.const(np.array([0.0]))
    some = g.add("Greater", error, zero)
    divisor = g.add("Where", some, error, g.const(np.array([1.0])))
    ratio = g.add("Div", g.add("Sub", between, noise), divisor)
    ratio = g.add("Max", ratio, g.const(np.array([LEAST_RATIO])))
    square = g.add("Mul", ratio, ratio)
    density = g.add("Exp", g.add("Mul", square, g.const(np.array([-0.5]))))
    density = g.add("Div", density, g.const(np.array([np.sqrt(2 * np.pi)])))
    # The error function exists in single precision only.
    x = g.add("Cast", g.add("Mul", ratio, g.const(np.array([np.sqrt(0.5)]))), to=1)
    below = g.add("Cast", g.add("Erf", x), to=11)
    half = g.const(np.array([0.5]))
    chance = g.add("Add", g.add("Mul", below, half), half)
    return g.add("Mul", error, g.add("Add", ratio, g.add("Div", density, chance)))


def _band(g: Body, survival: str, variance: str, lower: str, upper: str) -> None:
    """Write the bounds, as `training.forest.little_bags.band`."""
    zero, one, half = (g.const(np.array([v])) for v in (0.0, 1.0, 0.5))
    above, below = g.add("Greater", survival, zero), g.add("Less", survival, one)
    inside = g.add("And", above, below)
    s = g.add("Where", inside, survival, half)
    hazard = g.add("Neg", g.add("Log", s))
    spread = g.add("Mul", g.add("Sqrt", variance), g.const(np.array([Z])))
    width = g.add("Exp", g.add("Div", spread, g.add("Mul", s, hazard)))
    g.add("Where", inside, g.add("Pow", s, width), survival, out=lower)
    inverse = g.add("Div", one, width)
    g.add("Where", inside, g.add("Pow", s, inverse), survival, out=upper)

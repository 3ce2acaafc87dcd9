"""The study's encoding as a graph: comparison with each level's index, forms, splines."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType

from riskscore.design import Term
from training.export.graph import NAN, Graph, row_products, same_everywhere

__all__ = ["convert_encoder", "encoder_shape"]


def encoder_shape(operator: Any) -> None:
    """Declare one column a term."""
    rows = operator.inputs[0].type.shape[0]
    operator.outputs[0].type = DoubleTensorType([rows, len(operator.raw_operator.terms_)])


def convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """Compare with each level's index; a row with any other index becomes NaN."""
    encoder = operator.raw_operator
    g = Graph(scope, container)
    x, out = operator.inputs[0].full_name, operator.outputs[0].full_name
    categories = [(j, p) for j, p in enumerate(encoder.predictors) if p.is_category]
    parts: list[str] = []
    order: list[int] = []
    if categories:
        columns = [j for j, p in categories for _ in p.levels]
        levels = [float(i) for _, p in categories for i in range(len(p.levels))]
        chosen = g.add("Gather", x, g.const(np.array(columns, np.int64)), axis=1)
        hit = g.add("Cast", g.add("Equal", chosen, g.const(np.array(levels))), to=11)
        hits = g.add("ReduceSum", hit, g.const(np.array([1], np.int64)), keepdims=1)
        valid = g.add("Equal", hits, g.const(np.array([float(len(categories))])))
        hit = g.add("Where", valid, hit, g.const(NAN))
        place = {(j, lv): k for k, (j, lv) in enumerate(zip(columns, levels, strict=True))}
        indicators = [k for k, t in enumerate(encoder.terms_) if t.level is not None]
        wanted = [place[encoder.terms_[k].column, encoder.terms_[k].level] for k in indicators]
        parts.append(g.add("Gather", hit, g.const(np.array(wanted, np.int64)), axis=1))
        order += indicators
    for k, term in enumerate(encoder.terms_):
        if term.level is None and term.form in ("linear", "log"):
            value = g.add("Gather", x, g.const(np.array([term.column], np.int64)), axis=1)
            parts.append(same_everywhere(g, "Log", value) if term.form == "log" else value)
            order.append(k)
    splines = {t.column: t for t in encoder.terms_ if t.form == "spline"}
    for column, term in splines.items():
        parts.append(_spline(g, x, term))
        order += [k for k, t in enumerate(encoder.terms_) if t.column == column]
    if categories and len(parts) > 1:  # a bad level spoils the whole row, numbers too
        parts[1:] = [g.add("Where", valid, part, g.const(NAN)) for part in parts[1:]]
    joined = g.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if order == list(range(len(order))):
        g.add("Identity", joined, out=out)
    else:
        g.add("Gather", joined, g.const(np.argsort(order).astype(np.int64)), axis=1, out=out)


def _spline(g: Graph, x: str, term: Term) -> str:
    """Add the columns of `riskscore.design.spline_basis`: the number, and its cubic parts.

    A missing number may pass Relu as 0; its linear part stays NaN, and so does the answer.
    """
    t = np.array(term.knots)
    last, before = t[-1], t[-2]
    weights = np.vstack(
        [
            np.eye(len(t) - 2),
            -(last - t[:-2]) / (last - before),
            (before - t[:-2]) / (last - before),
        ]
    )
    value = g.add("Gather", x, g.const(np.array([term.column], np.int64)), axis=1)
    above = g.add("Relu", g.add("Sub", value, g.const(t[None, :])))
    cubes = g.add("Mul", g.add("Mul", above, above), above)
    parts = row_products(g, cubes, weights / (last - t[0]) ** 2)
    return g.add("Concat", value, parts, axis=1)

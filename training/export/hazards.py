"""scikit-survival's proportional-hazards models as graphs: one score a patient, one baseline.

Cox, Coxnet and component-wise boosting score by a sum of coefficient times value; gradient boosting
by a sum of leaf values. All of it is double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sksurv.ensemble import ComponentwiseGradientBoostingSurvivalAnalysis
from sksurv.linear_model import CoxnetSurvivalAnalysis

from training.export.graph import (
    Graph,
    exp_of_rows,
    filled,
    row_products,
    same_everywhere,
    without_bounds,
)
from training.export.grid import baseline_hazard, wanted
from training.export.trees import leaves_of, summed_over_trees, trees_of

__all__ = ["convert_boosting", "convert_linear", "linear_score"]

LARGEST_EXPONENT = 709.0
"""exp of it is still finite; of more, infinity, which times a hazard of 0 would not be 0."""


def convert_linear(scope: Any, operator: Any, container: Any) -> None:
    """Cox, Coxnet and component-wise boosting: survival is exp(-H0 exp(x'b - offset))."""
    model = operator.raw_operator
    coef, offset = linear_score(model, wanted().alpha)
    g = Graph(scope, container)
    x = g.add("Cast", operator.inputs[0].full_name, to=11)
    score = row_products(g, x, coef[:, None])
    if offset:
        score = g.add("Sub", score, g.const(np.array([offset])))
    _curves(g, operator, g.add("Add", score, _nan_unless_finite(g, x)))


def linear_score(model: Any, alpha: float | None = None) -> tuple[Any, float]:
    """Return coefficients (n_features,) and the offset that is taken from their sum of products."""
    if isinstance(model, CoxnetSurvivalAnalysis):
        coef, offset = model._get_coef(alpha)
        return np.asarray(coef, dtype=np.float64), float(offset)
    if isinstance(model, ComponentwiseGradientBoostingSurvivalAnalysis):
        coef = model.coef_
        return coef[1:], -float(coef[0])
    return np.asarray(model.coef_, dtype=np.float64), 0.0


def convert_boosting(scope: Any, operator: Any, container: Any) -> None:
    """Gradient boosting: each tree gives its leaf's number; the leaves' values are summed.

    The operator's own sum is float32; gathered from a table the values stay double.
    """
    model = operator.raw_operator
    trees = trees_of(model)
    # Dropout scales each tree anew after it was grown.
    scale = getattr(model, "_scale", np.ones(len(trees)))
    values = [
        model.learning_rate * s * tree.value[tree.children_left == -1, 0, 0]
        for s, tree in zip(scale, trees, strict=True)
    ]
    g = Graph(scope, container)
    leaf, x32 = leaves_of(g, operator.inputs[0].full_name, trees, missing=False)
    gathered = g.add("Gather", g.const(np.concatenate(values)[:, None]), leaf, axis=0)
    score = summed_over_trees(g, gathered, np.ones((1, len(trees))))
    finite = g.add("Cast", _nan_unless_finite(g, x32), to=11)
    _curves(g, operator, g.add("Add", score, finite))


def _nan_unless_finite(g: Graph, x: str) -> str:
    """Return 0 for a row of finite numbers, [N, 1], and NaN for one scikit-survival refuses."""
    axis = g.const(np.array([1], np.int64))
    return g.add("ReduceSum", g.add("Sub", x, x), axis, keepdims=1)


def _curves(g: Graph, operator: Any, score: str) -> None:
    """Write the outputs from the score, [N, 1]."""
    survival, lower, upper, risk = (v.full_name for v in operator.outputs)
    hazard = baseline_hazard(operator.raw_operator)
    g.add("Squeeze", score, g.const(np.array([1], np.int64)), out=risk)
    largest = g.const(np.array([LARGEST_EXPONENT]))
    capped = g.add("Where", g.add("Greater", score, largest), largest, score)
    relative = same_everywhere(g, "Exp", capped)
    exponent = g.add("Mul", relative, g.const(filled(-hazard)))
    exp_of_rows(g, exponent, len(hazard), survival)
    without_bounds(g, survival, lower, upper)

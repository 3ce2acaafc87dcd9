"""The Cox model as a graph: curves with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from training.cox import CoxModel
from training.export.graph import NAN, Graph

__all__ = ["convert_cox"]


def convert_cox(scope: Any, operator: Any, container: Any) -> None:
    """Curves and log-log intervals; the formulas of `CoxModel.predict_curves`, rearranged.

    The half-width of the interval for log(-log S) is 1.96 sqrt(q), with
    q = z'Vz - 2 z'V a/A + (a'Va + w)/A^2: A the baseline hazard, a the integral of the risk sets'
    means, w the baseline's variance, V the coefficients', z the patient's deviation from the mean.
    """
    model: CoxModel = operator.raw_operator
    sums, V = model.sums_, model.variance_
    g = Graph(scope, container)
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    x = operator.inputs[0].full_name
    lp = g.add("MatMul", x, g.const(model.coef_[:, None]))
    g.add("Squeeze", lp, g.const(np.array([1], np.int64)), out=score)
    offset = g.const(np.array([model.center_ @ model.coef_]))
    hazard = g.add("Mul", g.add("Exp", g.add("Sub", lp, offset)), g.const(-sums.hazard[None, :]))
    g.add("Exp", hazard, out=survival)
    if model.is_shrunken:  # no variance that means anything
        for bound in (lower, upper):
            g.add("Mul", hazard, g.const(NAN), out=bound)
        return
    mean = sums.hazard_mean / sums.hazard[:, None]
    own = np.einsum("tq,qr,tr->t", mean, V, mean) + sums.hazard_variance / sums.hazard**2
    z = g.add("Sub", x, g.const(model.center_[None, :]))
    quadratic = g.add(
        "ReduceSum",
        g.add("Mul", g.add("MatMul", z, g.const(V)), z),
        g.const(np.array([1], np.int64)),
        keepdims=1,
    )
    cross = g.add("MatMul", z, g.const(2 * V @ mean.T))
    q = g.add("Sub", g.add("Add", quadratic, g.const(own[None, :])), cross)
    # Rounding can leave a tiny negative where the variance is nil.
    q = g.add("Max", q, g.const(np.array([0.0])))
    half = g.add("Mul", g.add("Sqrt", q), g.const(np.array([stats.norm.ppf(0.975)])))
    widen = g.add("Exp", half)
    g.add("Exp", g.add("Mul", hazard, widen), out=lower)
    g.add("Exp", g.add("Div", hazard, widen), out=upper)

"""The Cox model as a graph: curves with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from training.cox import CoxModel
from training.export.graph import (
    NAN,
    Graph,
    exp_of_rows,
    filled,
    row_products,
    same_everywhere,
)

__all__ = ["convert_cox"]


def convert_cox(scope: Any, operator: Any, container: Any) -> None:
    """Add curves and log-log intervals; the formulas of `CoxModel.predict_curves`, rearranged.

    The half-width of the interval for log(-log S) is 1.96 sqrt(q), with q = z'Vz + 2 z'c + v: z the
    patient's deviation from the mean, V the coefficients' variance, v that of the log baseline
    hazard and c its covariance with the coefficients.
    Each patient's curve is filled up to whole `LANES` while it is computed.
    """
    model: CoxModel = operator.raw_operator
    sums, V = model.sums_, model.variance_
    g = Graph(scope, container)
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    x = operator.inputs[0].full_name
    lp = row_products(g, x, model.coef_[:, None])
    g.add("Squeeze", lp, g.const(np.array([1], np.int64)), out=score)
    n_times = len(sums.times)
    relative = g.add("Sub", lp, g.const(np.array([model.center_score_])))
    hazard = g.add("Mul", same_everywhere(g, "Exp", relative), g.const(filled(-sums.hazard)))
    exp_of_rows(g, hazard, n_times, survival)
    if np.isnan(V).any():  # no variance that means anything
        for bound in (lower, upper):
            g.add("Mul", survival, g.const(NAN), out=bound)
        return
    joint = model.baseline_variance_
    z = g.add("Sub", x, g.const(model.center_[None, :]))
    squares = g.add("Mul", row_products(g, z, V), z)
    quadratic = row_products(g, squares, np.ones((len(V), 1)))
    cross = row_products(g, z, np.vstack([filled(row) for row in 2 * joint.covariance.T]))
    q = g.add("Add", g.add("Add", quadratic, g.const(filled(joint.variance))), cross)
    # Rounding can leave a tiny negative where the variance is nil.
    q = g.add("Max", q, g.const(np.array([0.0])))
    half = g.add("Mul", g.add("Sqrt", q), g.const(np.array([stats.norm.ppf(0.975)])))
    widen = g.add("Exp", half)
    exp_of_rows(g, g.add("Mul", hazard, widen), n_times, lower)
    exp_of_rows(g, g.add("Div", hazard, widen), n_times, upper)

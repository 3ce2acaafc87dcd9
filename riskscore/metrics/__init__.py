"""How good is a model? Discrimination, accuracy, calibration and net benefit, from plain arrays.

numpy only, so that a clinic can validate without scikit-survival. Words: `survival` is the
predicted probability of being event-free, `risk` is 1 - survival, a `risk_score` is higher for
worse. `evaluate` gathers everything.
"""

from riskscore.metrics._aalen_johansen import cumulative_incidence
from riskscore.metrics._auc import time_dependent_auc
from riskscore.metrics._brier import brier_score, integrated_brier
from riskscore.metrics._calibration import calibration
from riskscore.metrics._concordance import concordance
from riskscore.metrics._distribution import d_calibration, royston_d
from riskscore.metrics._evaluate import evaluate
from riskscore.metrics._kaplan_meier import kaplan_meier
from riskscore.metrics._net_benefit import net_benefit

__all__ = [
    "brier_score",
    "calibration",
    "concordance",
    "cumulative_incidence",
    "d_calibration",
    "evaluate",
    "integrated_brier",
    "kaplan_meier",
    "net_benefit",
    "royston_d",
    "time_dependent_auc",
]

"""Cox's proportional hazards, with the inference R's survival package gives.

`CoxModel` is the estimator; `risk_sets` holds the sums all else is made of; `hypotheses`,
`residuals` and `proportional_hazards` are what a statistician asks of the fit; `penalty` and
`checks` are for data that does not support it.
"""

from training.cox.hypotheses import Coefficient
from training.cox.model import CoxModel
from training.cox.risk_sets import RiskSets, RiskSetSums, efron_pass

__all__ = ["Coefficient", "CoxModel", "RiskSetSums", "RiskSets", "efron_pass"]

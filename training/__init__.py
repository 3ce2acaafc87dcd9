"""From a cohort to a bundle.

The room's question: which model does this cohort support, and how good is it?
"""

from training.cohort import Cohort, check_cohort, read_cohort
from training.fit import Fitted, fit
from training.provenance import Provenance

__all__ = ["Cohort", "Fitted", "Provenance", "check_cohort", "fit", "read_cohort"]

"""From a cohort to a bundle.

The room's question: which model does this cohort support, and how good is it?
"""

from training.cohort import Cohort, Provenance, check_cohort, read_cohort
from training.fit import Fitted, fit

__all__ = ["Cohort", "Fitted", "Provenance", "check_cohort", "fit", "read_cohort"]

"""Which model does this cohort support? From a checked cohort to a bundle.

`fit` returns a `Fitted`, which holds the pipeline (for those who want scikit-learn's interface) and
everything the bundle says; `Fitted.write` makes the directory.
"""

from training.fit.fitted import Fitted
from training.fit.fitting import KINDS, fit
from training.settings import Settings

__all__ = ["KINDS", "Fitted", "Settings", "fit"]

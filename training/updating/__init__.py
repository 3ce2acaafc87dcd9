"""Whether a model still holds on a new cohort, and the least of it that must change.

`update` takes a Cox bundle and a cohort, and returns the smallest update that a closed test finds
the data to support; `testing` holds the test, `recalibrate` the updates that keep coefficients.
"""

from training.updating.testing import Candidates, closed_test
from training.updating.updating import METHODS, Update, update

__all__ = ["METHODS", "Candidates", "Update", "closed_test", "update"]

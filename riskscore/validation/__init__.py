"""How good is a finished model here? Its predictions against what happened to other patients."""

from riskscore.validation.cohort import ValidationCohort, read_validation_cohort
from riskscore.validation.report import text
from riskscore.validation.validating import Validation, attach, validate

__all__ = [
    "Validation",
    "ValidationCohort",
    "attach",
    "read_validation_cohort",
    "text",
    "validate",
]

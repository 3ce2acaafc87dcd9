"""A cohort as a paper shows it, and published beside reproduced for the study it stands for."""

from training.description.describing import describe_cohort
from training.description.published import Description, describe
from training.description.sample import Sample, check_sample, read_sample

__all__ = ["Description", "Sample", "check_sample", "describe", "describe_cohort", "read_sample"]

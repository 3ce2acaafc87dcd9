"""A cohort of patients that reproduces what a study without patient-level data published."""

from training.reconstruction.compare import compare
from training.reconstruction.rows import Row
from training.reconstruction.search import (
    DEFAULT_SEED,
    Reconstruction,
    ReconstructionError,
    reconstruct,
)

__all__ = [
    "DEFAULT_SEED",
    "Reconstruction",
    "ReconstructionError",
    "Row",
    "compare",
    "reconstruct",
]

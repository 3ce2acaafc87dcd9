"""Random survival forests that fit in memory and in a file, with bands of their stability."""

from training.forest.estimator import CompactForest
from training.forest.growing import SPLITTINGS, Splitting
from training.forest.leaf_curves import (
    Follow,
    LeafCurves,
    grid_times,
    leaf_curves,
    leaf_numbers,
    n_leaves,
)
from training.forest.little_bags import BAG, LEAST_TREES

__all__ = [
    "BAG",
    "LEAST_TREES",
    "SPLITTINGS",
    "CompactForest",
    "Follow",
    "LeafCurves",
    "Splitting",
    "grid_times",
    "leaf_curves",
    "leaf_numbers",
    "n_leaves",
]

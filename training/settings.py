"""How to fit: what a modeller may choose, checked when it is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from riskscore.errors import ModelError
from training.cox.risk_sets import TIES, Ties
from training.forest import BAG, LEAST_TREES, SPLITTINGS, Splitting

__all__ = ["REPLICATES", "TREES", "Settings"]

TREES = 500
"""Trees of a forest without a stability band."""

REPLICATES = 200
"""Resamples of the internal validation that the command lines ask for."""

LEAST_TO_SHRINK = 50
"""Resamples from which their mean slope is known to about 0.02 in a small cohort."""

WITHOUT_VALIDATION = ", or fit without internal validation: --replicates 0"
"""Remedy of a fit whose cohort is too small to judge a model on."""

LEAST = {"seed": 0, "trees": 1, "min_leaf": 1, "max_times": 10, "replicates": 0}


@dataclass(frozen=True)
class Settings:
    """How to fit.

    `trees`, `min_leaf`, `max_times`, `splitting`, `max_features`, `stability` and `tune` are the
    forest's. `min_leaf` is the least rows in a leaf of a tree grown on all patients; one grown on
    half of them, for the stability band, takes half as many. `trees` are 500 where none is given,
    2,000 with the band. Tuning chooses `min_leaf` and `max_features`, whatever is given.

    `ties`, `penalty` and `shrink` are a Cox model's; a penalty is that of a ridge, "auto" one
    chosen by cross-validation, "firth" Firth's penalised likelihood; shrinking multiplies the
    coefficients by their corrected calibration slope.

    `replicates` are the resamples of the internal validation; 0 leaves it out. The command lines
    ask for `REPLICATES`.
    """

    seed: int = 0
    trees: int | None = None
    min_leaf: int = 15
    max_times: int = 150
    splitting: Splitting = "relative_risk"
    max_features: Literal["sqrt", "log2"] | int = "sqrt"
    stability: bool = False
    tune: bool = False
    n_jobs: int = -1
    ties: Ties = "efron"
    penalty: float | Literal["auto", "firth"] = 0.0
    shrink: bool = False
    replicates: int = 0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ModelError(f"{name} must be at least {least}, got {value}")
        if self.seed >= 2**32:
            raise ModelError(f"seed must be below 2^32, got {self.seed}")
        self._check_forest()
        if self.ties not in TIES:
            raise ModelError(f"ties must be one of {', '.join(TIES)}, got {self.ties!r}")
        if self.penalty not in ("auto", "firth") and not (
            isinstance(self.penalty, int | float) and 0 <= self.penalty < math.inf
        ):
            rule = 'penalty must be a number from 0, "auto" or "firth"'
            raise ModelError(f"{rule}, got {self.penalty!r}")
        if self.shrink and self.penalty:
            raise ModelError(
                f"shrink and a penalty, {self.penalty!r}, do the same work twice; choose one"
            )
        if self.shrink and self.replicates < LEAST_TO_SHRINK:
            raise ModelError(
                f"replicates must be at least {LEAST_TO_SHRINK} to shrink, got {self.replicates}: "
                "the factor is the corrected calibration slope"
            )

    def alone(self) -> Settings:
        """Return the same for one worker: what is fitted does not depend on how many there are."""
        return replace(self, n_jobs=1)

    @property
    def n_trees(self) -> int:
        """The forest's trees: those given, or what the forest needs."""
        return self.trees or (LEAST_TREES if self.stability else TREES)

    def _check_forest(self) -> None:
        if self.splitting not in SPLITTINGS:
            known = ", ".join(SPLITTINGS)
            raise ModelError(f"splitting must be one of {known}, got {self.splitting!r}")
        columns = self.max_features
        if columns not in ("sqrt", "log2") and not (isinstance(columns, int) and columns >= 1):
            rule = 'must be "sqrt", "log2" or a number of columns from 1'
            raise ModelError(f"max_features {rule}, got {columns!r}")
        if self.stability and (self.n_trees < LEAST_TREES or self.n_trees % BAG):
            raise ModelError(
                f"trees must be a multiple of {BAG}, and at least {LEAST_TREES}, for the stability "
                f"band, got {self.trees}; leave trees out, or the band"
            )

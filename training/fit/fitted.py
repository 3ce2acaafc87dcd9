"""What a fit is told, and what it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sklearn.pipeline import Pipeline

from riskscore.bundle import write_bundle
from riskscore.errors import ModelError
from riskscore.manifest import Manifest, json_bytes
from training.cohort import Cohort
from training.cox.risk_sets import TIES, Ties
from training.export import to_onnx
from training.forest import BAG, LEAST_TREES, SPLITTINGS, Splitting

__all__ = ["TREES", "Fitted", "Settings"]

TREES = 500
"""Trees of a forest without a stability band."""


@dataclass(frozen=True)
class Settings:
    """How to fit.

    `trees`, `min_leaf`, `max_times`, `splitting`, `max_features`, `stability` and `tune` are the
    forest's. `min_leaf` is the least rows in a leaf of a tree grown on all patients; one grown on
    half of them, for the stability band, takes half as many. `trees` are 500 where none is given,
    2,000 with the band. Tuning chooses `min_leaf` and `max_features`, whatever is given.

    `ties` and `penalty` are a Cox model's; a penalty of "auto" is chosen by cross-validation.
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
    penalty: float | Literal["auto"] = 0.0

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("trees", 1), ("min_leaf", 1), ("max_times", 10)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ModelError(f"{name} must be at least {least}, got {value}")
        if self.seed >= 2**32:
            raise ModelError(f"seed must be below 2^32, got {self.seed}")
        self._check_forest()
        if self.ties not in TIES:
            raise ModelError(f"ties must be one of {', '.join(TIES)}, got {self.ties!r}")
        if self.penalty != "auto" and not (
            isinstance(self.penalty, int | float) and 0 <= self.penalty < math.inf
        ):
            raise ModelError(f'penalty must be a number from 0, or "auto", got {self.penalty!r}')

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


@dataclass(frozen=True)
class Fitted:
    """A fitted model and everything its bundle says.

    `attachments` are further files of the bundle: what the published source of a reconstructed
    cohort leaves open, and what an audit found in it.
    """

    pipeline: Pipeline
    cohort: Cohort
    manifest: Manifest
    inference: dict[str, Any]
    evaluation: dict[str, Any]
    attachments: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: str | Path) -> Manifest:
        """Write the bundle, whole or not at all, and return its manifest."""
        m = self.manifest
        graph = to_onnx(self.pipeline, len(m.predictors), m.id, m.essentials())
        files = {
            "model.onnx": graph,
            "inference.json": json_bytes(self.inference),
            "evaluation.json": json_bytes(self.evaluation),
            **self.attachments,
        }
        return write_bundle(path, m, files)

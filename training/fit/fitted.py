"""What a fit returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from riskscore.bundle import write_bundle
from riskscore.manifest import Manifest, json_bytes
from training.cohort import Cohort
from training.export import to_onnx

__all__ = ["Fitted"]


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
        graph = to_onnx(self.pipeline, len(m.predictors), m.id, m.properties())
        files = {
            "model.onnx": graph,
            "inference.json": json_bytes(self.inference),
            "evaluation.json": json_bytes(self.evaluation),
            **self.attachments,
        }
        return write_bundle(path, m, files)

"""The manifest: what a bundle says of its model, and the model's identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from riskscore.errors import BundleError, StudyError
from riskscore.manifest_check import check_content
from riskscore.study import Outcome, Predictor, Study

__all__ = ["CONTENT_HASH", "FORMAT", "Manifest", "json_bytes"]

FORMAT = 1
"""Format of a bundle, in `manifest.json`. Raise it by one when a reader of the old format would
misread the new one: a key changes its meaning or unit, a required key or file is added, the ONNX
inputs or outputs change. A new optional key does not raise it. An older format stays readable, and
a bundle of each stays among the tests."""

CONTENT_HASH = "manifest_sha256"
"""Property of the graph that holds `Manifest.content_hash`. Bundles of format 1 may lack it."""


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says of a model. Times are in the study's unit.

    Attributes
    ----------
    id : str
        `study/outcome/name`.
    kind : str
        "cox", "forest", or "pipeline" for one that others wrote.
    study : Study
        The study, reduced to the model's predictors (in the order of its inputs) and outcome.
    times : tuple of float
        The grid the curves are given on, ascending.
    grid : str
        "every event time", or "thinned" when event times were left out.
    at_risk : tuple of int
        Training rows still followed just before each time of the grid.
    at_risk_at_horizons : tuple of int
        The same for each horizon of the outcome.
    follow_up_limit : float
        Longest follow-up; nothing is said beyond it.
    risk_groups : dict
        `labels`, lowest risk first, and `cut_points` on the risk score between them.
    intervals : dict
        `available`, and the `level` and `method` or the `reason` there is none; `kind` is what the
        bounds measure, where that is not confidence ("forest stability").
    training : dict
        Cohort, participant flow, counts (`predictors` by row; `in_levels`, `patients` and
        `events` by patient), follow-up, versions, seed, settings. Of a model that was
        updated on this cohort also `parent`, the `id` and `digest` of the model before, and
        `update`: the `method`, how it was `chosen`, the `tests` (chi-square, df, P) and the figures
        of every candidate.
    envelope : dict
        Ranges of numbers and combinations of levels among the training patients.
    statement : str
        What everyone who reads a prediction must be told; may be empty.
    """

    id: str
    kind: str
    study: Study
    times: tuple[float, ...]
    grid: str
    at_risk: tuple[int, ...]
    at_risk_at_horizons: tuple[int, ...]
    follow_up_limit: float
    risk_groups: dict[str, Any]
    intervals: dict[str, Any]
    training: dict[str, Any]
    envelope: dict[str, Any]
    statement: str
    created: str
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def outcome(self) -> Outcome:
        """The outcome the model predicts."""
        return next(iter(self.study.outcomes.values()))

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """The model's predictors, in the order of its inputs."""
        return tuple(self.study.predictors.values())

    @property
    def typical_patient(self) -> dict[str, str | float]:
        """The patient with each category's commonest training level and each number's median."""
        seen = self.training["predictors"]
        return {
            p.name: max(p.levels, key=lambda level: seen[p.name][level])
            if p.is_category
            else float(seen[p.name]["median"])
            for p in self.predictors
        }

    @property
    def interval_name(self) -> str:
        """What the bounds of survival are; empty where there are none.

        "95 % confidence interval", or of a forest "95 % forest stability band": the latter tells
        how far the answer depends on who was in the training data, not how far it is off.
        """
        if not self.intervals["available"]:
            return ""
        kind = self.intervals.get("kind", "confidence")
        noun = "interval" if kind == "confidence" else "band"
        return f"{100 * self.intervals['level']:g} % {kind} {noun}"

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the manifest without its timestamp: the model's identity."""
        content = {key: value for key, value in self.to_dict().items() if key != "created"}
        return "sha256:" + hashlib.sha256(_canonical(content)).hexdigest()

    @property
    def content_hash(self) -> str:
        """Hash of all the manifest says of the model: of all but `files` and `created`.

        The graph holds it, so that no other manifest can be put before it.
        """
        left_out = ("created", "files")
        content = {key: value for key, value in self.to_dict().items() if key not in left_out}
        return hashlib.sha256(_canonical(content)).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as `manifest.json` holds it."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content["study"] = self.study.to_dict()
        return {"format": content.pop("format"), **content}

    def essentials(self) -> dict[str, str]:
        """Return what the graph repeats in its own metadata, for a reader who has it alone."""
        return {
            "id": self.id,
            "kind": self.kind,
            "outcome": self.outcome.label,
            "time_unit": self.study.time_unit,
            "predictors": json.dumps(self.study.to_dict()["predictors"]),
            "statement": self.statement,
        }

    def properties(self) -> dict[str, str]:
        """Return what an export writes into the graph: the essentials, and the manifest's hash."""
        return {**self.essentials(), CONTENT_HASH: self.content_hash}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str) -> Manifest:
        """Read a manifest, or raise `BundleError` saying what is missing."""
        known = {f.name for f in fields(cls)}
        missing = sorted(known - set(content))
        if missing:
            raise BundleError(
                f"{where}: manifest.json lacks {', '.join(missing)}; write the bundle again"
            )
        values = {name: content[name] for name in known}
        try:
            values["study"] = Study.from_dict(content["study"], f"{where}/manifest.json")
            check_content(content, values["study"])
            values["times"] = tuple(float(t) for t in content["times"])
            for name in ("at_risk", "at_risk_at_horizons"):
                values[name] = tuple(int(n) for n in content[name])
        except (StudyError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise BundleError(f"{where}: manifest.json cannot be read: {reason}") from error
        return cls(**values)


def json_bytes(content: object, indent: int | None = 1) -> bytes:
    """Return JSON as a bundle holds it: keys in their given order, NaN and infinity as null."""
    text = json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _canonical(content: object) -> bytes:
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a number that is not finite
        text = json.dumps(_finite(content), sort_keys=True, separators=(",", ":"))
    return text.encode()


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content

"""The manifest: what a bundle says of its model, and the model's identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from riskscore.envelope import Envelope
from riskscore.errors import BundleError, StudyError
from riskscore.study import Outcome, Predictor, Study

__all__ = ["FORMAT", "Manifest", "json_bytes"]

FORMAT = 1
"""Format of a bundle, in `manifest.json`. Raise it by one when a reader of the old format would
misread the new one: a key changes its meaning or unit, a required key or file is added, the ONNX
inputs or outputs change. A new optional key does not raise it. An older format stays readable, and
a bundle of each stays among the tests."""


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
            values["times"] = tuple(float(t) for t in content["times"])
            for name in ("at_risk", "at_risk_at_horizons"):
                values[name] = tuple(int(n) for n in content[name])
            _check_shape(content, values["study"])
        except (StudyError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise BundleError(f"{where}: manifest.json cannot be read: {reason}") from error
        return cls(**values)


def json_bytes(content: object, indent: int | None = 1) -> bytes:
    """Return JSON as a bundle holds it: keys in their given order, NaN and infinity as null."""
    text = json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _check_shape(content: Mapping[str, Any], study: Study) -> None:
    """Use what prediction will use, so that a manifest without it is refused when it is read."""
    times = np.array(content["times"], dtype=float)
    if not len(times):
        raise ValueError("times is empty")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError("times must be finite and ascend")
    horizons = next(iter(study.outcomes.values())).horizons
    if horizons[-1] > content["follow_up_limit"]:
        raise ValueError("follow_up_limit must reach every horizon")
    if len(content["at_risk"]) != len(times):
        raise ValueError("at_risk must have one count for each of times")
    if len(content["at_risk_at_horizons"]) != len(horizons):
        raise ValueError("at_risk_at_horizons must have one count for each horizon")
    groups = content["risk_groups"]
    cuts = np.array(groups["cut_points"], dtype=float)
    if not isinstance(groups["labels"], list) or len(groups["labels"]) != len(cuts) + 1:
        raise ValueError("risk_groups must have one label more than cut_points")
    if (np.diff(cuts) <= 0).any():
        raise ValueError("risk_groups.cut_points must ascend")
    Envelope(content["envelope"], tuple(study.predictors.values()))
    for name in ("files", "training"):
        if not isinstance(content[name], dict):
            raise TypeError(f"{name} must be a table")
    bool(content["intervals"]["available"])


def _canonical(content: object) -> bytes:
    return json.dumps(_finite(content), sort_keys=True, separators=(",", ":")).encode()


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content

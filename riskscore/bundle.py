"""The bundle: one fitted model as a directory of plain files.

::

    model.onnx        the graph: patients in, curves out
    manifest.json     what the model is, what it was fitted on, and the hash of every other file
    inference.json    coefficients or importance
    evaluation.json   how good it is

Nothing in a bundle is pickled and nothing in it can run code. Attachments beside these files
(reviews, external validations, cards) are not hashed and may be added later.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from riskscore.envelope import Envelope
from riskscore.errors import BundleError, StudyError
from riskscore.study import Outcome, Predictor, Study

__all__ = [
    "FORMAT",
    "Bundle",
    "Manifest",
    "find_bundle",
    "open_bundle",
    "shipped_bundles",
    "write_bundle",
]

FORMAT = 1
"""Format of a bundle, in `manifest.json`. Raise it by one when a reader of the old format would
misread the new one: a key changes its meaning or unit, a required key or file is added, the ONNX
inputs or outputs change. A new optional key does not raise it. An older format stays readable, and
a bundle of each stays among the tests."""

BUNDLES = Path(__file__).parent / "bundles"
MODEL = "model.onnx"
MANIFEST = "manifest.json"
HASHED = (MODEL, "inference.json", "evaluation.json")


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says of a model. Times are in the study's unit.

    Attributes
    ----------
    id : str
        `study/outcome/name`.
    kind : str
        "cox" or "forest".
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
        `available`, and the `method` or the `reason` there is none.
    training : dict
        Cohort, participant flow, counts, follow-up, versions, seed, settings.
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


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its place, its manifest, and the verified bytes of its graph."""

    path: Path
    manifest: Manifest
    graph: bytes = field(repr=False)

    def read(self, name: str) -> dict[str, Any]:
        """Return one of the bundle's JSON files."""
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content


def shipped_bundles() -> dict[str, Path]:
    """Return the bundles inside the package, by model id."""
    found = sorted(BUNDLES.glob(f"*/*/*/{MANIFEST}"))
    return {file.parent.relative_to(BUNDLES).as_posix(): file.parent for file in found}


def find_bundle(model: str | Path) -> Path:
    """Return the directory of a model: a shipped id, or a path.

    A text that starts with "." or "/" is a path; so is a `Path`, and a directory that exists and is
    no shipped id.

    Raises
    ------
    BundleError
        If there is no such model; the message lists those shipped.
    """
    text = str(model)
    shipped = shipped_bundles()
    if not isinstance(model, Path) and text in shipped:
        return shipped[text]
    path = Path(model)
    if (path / MANIFEST).is_file():
        return path
    is_path = isinstance(model, Path) or text.startswith((".", "/")) or path.exists()
    what = f"no {MANIFEST} in {text}" if is_path else f"no shipped model is called {text}"
    listed = ", ".join(shipped) or "none"
    raise BundleError(f"{what}; shipped models: {listed}; or give the path of a bundle")


def open_bundle(model: str | Path) -> Bundle:
    """Verify a bundle's format and hashes, and return it.

    Raises
    ------
    BundleError
        If it is missing, of a format this version does not read, incomplete, or changed since it
        was written; the message names the file and what to do.
    """
    path = find_bundle(model)
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: manifest.json is not JSON; restore the bundle") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        remedy = "upgrade riskscore" if newer else "write the bundle again with this version"
        raise BundleError(f"{path}: bundle format {found!r}, this version reads {FORMAT}; {remedy}")
    manifest = Manifest.from_dict(content, str(path))
    missing = sorted(set(HASHED) - set(manifest.files))
    if missing:
        raise BundleError(f"{path}: manifest.json has no hash of {', '.join(missing)}")
    graph = b""
    for name, expected in manifest.files.items():
        data = _verified(path, name, expected)
        if name == MODEL:
            graph = data
    return Bundle(path, manifest, graph)


def write_bundle(path: str | Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write a bundle, whole or not at all, and return its manifest with the hashes.

    Parameters
    ----------
    path : str or Path
        Directory to make. An older bundle there is replaced; anything else there is refused.
    manifest : Manifest
        Its `files` is filled in here.
    files : mapping of str to bytes
        Content of every hashed file.

    Raises
    ------
    BundleError
        If a file is missing, or `path` exists and is not a bundle.
    """
    missing = sorted(set(HASHED) - set(files))
    if missing:
        raise BundleError(f"a bundle needs {', '.join(missing)}")
    target = Path(path)
    _refuse_to_replace(target)
    hashes = {name: _sha256(data) for name, data in sorted(files.items())}
    complete = Manifest(**{**_shallow(manifest), "files": hashes})
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        (partial / MANIFEST).write_bytes(json_bytes(complete.to_dict()))
        partial.chmod(0o755)
        _replace_directory(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return complete


def json_bytes(content: object) -> bytes:
    """Return JSON as a bundle holds it: keys in their given order, NaN and infinity as null."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
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


def _replace_directory(partial: Path, target: Path) -> None:
    """Put `partial` where `target` is; the old one is put back if that fails."""
    if not target.exists():
        partial.replace(target)
        return
    old = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
    target.replace(old / "bundle")
    try:
        partial.replace(target)
    except OSError:
        (old / "bundle").replace(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _verified(path: Path, name: str, expected: str) -> bytes:
    if Path(name).name != name:
        raise BundleError(f"{path}: manifest.json names {name!r}, not a plain file name")
    try:
        data = (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {name} is missing or unreadable; restore the bundle") from error
    if _sha256(data) != expected:
        raise BundleError(
            f"{path}: {name} does not match its hash in manifest.json; it was changed or damaged "
            "after the bundle was written: restore it, or fit the model again"
        )
    return data


def _shallow(manifest: Manifest) -> dict[str, Any]:
    return {f.name: getattr(manifest, f.name) for f in fields(manifest)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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


def _refuse_to_replace(target: Path) -> None:
    """Refuse a target that holds anything but a bundle and its cards, which can be remade."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        found = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        ours = isinstance(found["format"], int) and set(HASHED) <= set(found["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise BundleError(f"{target} exists and is not a bundle; choose another --out")
    known = {MANIFEST, *HASHED}
    others = sorted(p.name for p in target.iterdir() if p.name not in known and p.stem != "card")
    if others:
        raise BundleError(
            f"{target} holds {', '.join(others)}, which cannot be made again; move it away, or "
            "choose another --out"
        )

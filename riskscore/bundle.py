"""The bundle: one fitted model as a directory of plain files.

::

    model.onnx        the graph: patients in, curves out
    manifest.json     what the model is, what it was fitted on, and the hash of every other file
    inference.json    coefficients or importance
    evaluation.json   how good it is
    sensitivity.json  optional: how predictions vary over reconstructions that fit the same figures
    audit.json        optional: what an audit found in the published source

Nothing in a bundle is pickled and nothing in it can run code. Attachments beside these files
(reviews, external validations, cards) are not hashed and may be added later.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from riskscore.errors import BundleError
from riskscore.manifest import FORMAT, Manifest, json_bytes
from riskscore.sensitivity import SENSITIVITY

__all__ = ["AUDIT", "Bundle", "find_bundle", "open_bundle", "shipped_bundles", "write_bundle"]

EXTERNAL = "external"
"""Folder of validations on other patients; not hashed."""

BUNDLES = Path(__file__).parent / "bundles"
MODEL = "model.onnx"
MANIFEST = "manifest.json"
AUDIT = "audit.json"
HASHED = (MODEL, "inference.json", "evaluation.json")
OPTIONAL = (SENSITIVITY, AUDIT)
"""Files that a bundle may have; hashed like the others."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its place, its manifest, and the verified bytes of its graph."""

    path: Path
    manifest: Manifest
    graph: bytes = field(repr=False)

    def __contains__(self, name: str) -> bool:
        """Whether the bundle has a file of that name, with its hash."""
        return name in self.manifest.files

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
        Directory to make. An older bundle there is replaced, but for its external validations,
        which stay (each names the digest it was made with); anything else there is refused.
    manifest : Manifest
        Its `files` is filled in here.
    files : mapping of str to bytes
        Content of every hashed file; those of `OPTIONAL` may be absent.

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
        if (target / EXTERNAL).is_dir():
            shutil.copytree(target / EXTERNAL, partial / EXTERNAL)
        partial.chmod(0o755)
        _replace_directory(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return complete


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
    known = {MANIFEST, *HASHED, *OPTIONAL, EXTERNAL}
    others = sorted(p.name for p in target.iterdir() if p.name not in known and p.stem != "card")
    if others:
        raise BundleError(
            f"{target} holds {', '.join(others)}, which cannot be made again; move it away, or "
            "choose another --out"
        )

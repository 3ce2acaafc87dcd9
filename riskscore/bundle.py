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
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from riskscore.errors import BundleError
from riskscore.manifest import FORMAT, Manifest, json_bytes
from riskscore.sensitivity import SENSITIVITY

__all__ = [
    "AUDIT", "Bundle", "find_bundle", "open_bundle", "shipped_bundles", "write_bundle",
    "written_by_people",
]  # fmt: skip

EXTERNAL = "external"
"""Folder of validations on other patients; not hashed."""

BY_HAND = ("review.toml", "statements.toml")
"""What people write beside a bundle; not hashed."""

CARD = "card."
"""How the names of a card's files begin; not hashed, and made again by one command."""

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
        Directory to make. An older bundle there is replaced; what people wrote beside it (see
        `written_by_people`) stays, and its cards, which would be of the older one, go.
    manifest : Manifest
        Its `files` is filled in here.
    files : mapping of str to bytes
        Content of every hashed file; those of `OPTIONAL` may be absent.

    Raises
    ------
    BundleError
        If a file is missing, or `path` exists and is not a bundle or holds other files too.

    Notes
    -----
    The new directory is made beside the old one and takes its place by two renames. Killed between
    them, the next call puts the old one back first.
    """
    missing = sorted(set(HASHED) - set(files))
    if missing:
        raise BundleError(f"a bundle needs {', '.join(missing)}")
    target = Path(path)
    partial, old = (target.with_name(f".{word}-{target.name}") for word in ("partial", "old"))
    if old.exists() and not target.exists():
        old.replace(target)
    _refuse_to_replace(target)
    hashes = {name: _sha256(data) for name, data in sorted(files.items())}
    complete = Manifest(**{**_shallow(manifest), "files": hashes})
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        (partial / MANIFEST).write_bytes(json_bytes(complete.to_dict()))
        for name in written_by_people(target):
            (partial / name).parent.mkdir(exist_ok=True)
            shutil.copy2(target / name, partial / name)
        _replace_directory(partial, target, old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return complete


def written_by_people(path: Path) -> list[str]:
    """Return what lies beside a bundle that no command can make again, as paths within it.

    A committee's review, the statements of a card, validations on other patients. Each is of the
    bundle whose digest it names, or like the statements of any bundle there.
    """
    files = [path / name for name in BY_HAND] + sorted((path / EXTERNAL).glob("*.json"))
    return [file.relative_to(path).as_posix() for file in files if file.is_file()]


def _replace_directory(partial: Path, target: Path, old: Path) -> None:
    """Put `partial` where `target` is; the old one is put back if that fails."""
    if not target.exists():
        partial.replace(target)
        return
    target.replace(old)
    try:
        partial.replace(target)
    except OSError:
        old.replace(target)
        raise
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
    known = {MANIFEST, *HASHED, *OPTIONAL, *BY_HAND, EXTERNAL}
    others = sorted(
        p.name for p in target.iterdir() if p.name not in known and not p.name.startswith(CARD)
    )
    if others:
        raise BundleError(
            f"{target} holds {', '.join(others)}, which cannot be made again; move it away, or "
            "choose another --out"
        )

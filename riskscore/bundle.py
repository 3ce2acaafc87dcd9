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

A bundle is its digest: each hashed file is read once, checked against its hash, and kept; what
changes on disk afterwards changes no answer. Hashed files may be links (Kubernetes mounts, caches
of model hubs); attachments, of which nothing but their place is known, may not lead out of the
bundle.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from riskscore.errors import BundleError
from riskscore.files import (
    attachment_names,
    parse_json,
    read_attachment,
    read_regular,
    sha256_of,
)
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

MEGABYTE = 2**20
LIMITS = {
    MODEL: 1024 * MEGABYTE,  # a forest of 10,000 patients with a band has 554
    MANIFEST: 4 * MEGABYTE,  # of 2,345 patients and 2,300 event times: 0.07
    "inference.json": 16 * MEGABYTE,  # of the same model: 0.8
}
"""Largest size of a file, in bytes, about 20 times what the largest of our models has."""

OTHER_LIMIT = 8 * MEGABYTE
"""Largest size of any other file of a bundle, hashed or attached; the largest of ours is 0.25."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
MOST_FILES = 16


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its place, its manifest, and the verified bytes of its files.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    graph : bytes
        Of `model.onnx`.
    files : mapping of str to bytes
        The other hashed files.
    """

    path: Path
    manifest: Manifest
    graph: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def __contains__(self, name: str) -> bool:
        """Whether the bundle has a file of that name, with its hash."""
        return name in self.manifest.files

    def read(self, name: str) -> dict[str, Any]:
        """Return one of the bundle's JSON files, as it was when the bundle was opened.

        Raises
        ------
        BundleError
            If there is none of that name, or it is no table in JSON.
        """
        if name not in self.files:
            raise BundleError(f"{self.path}: the bundle has no {name}; fit the model again")
        content = parse_json(self.files[name], f"{self.path}: {name}")
        if not isinstance(content, dict):
            raise BundleError(f"{self.path}: {name} must be a table; restore the bundle")
        return content

    def attachment(self, name: str, limit: int = OTHER_LIMIT) -> bytes | None:
        """Return a file beside the hashed ones as it is now ("card.html"), or None without one.

        No hash covers it: whoever may write to the directory may have written it. What is shown of
        it must be shown as such; a card in HTML, for one, without its scripts.

        Raises
        ------
        BundleError
            If it leads out of the bundle's directory, is no regular file, has more than `limit`
            bytes, or cannot be read.
        """
        return read_attachment(self.path, name, limit)

    def attachments(self, folder: str, suffix: str) -> tuple[str, ...]:
        """Return the names of the attachments in a folder, sorted: "external/here.json".

        Raises
        ------
        BundleError
            If the folder leads out of the bundle's directory or holds too many.
        """
        return attachment_names(self.path, folder, suffix)


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
    if _is_file(path / MANIFEST):
        return path
    is_path = isinstance(model, Path) or text.startswith((".", "/")) or _exists(path)
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
    content = parse_json(read_regular(path, MANIFEST, LIMITS[MANIFEST]), f"{path}: {MANIFEST}")
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT or isinstance(found, bool):
        newer = isinstance(found, int) and found > FORMAT
        remedy = "upgrade riskscore" if newer else "write the bundle again with this version"
        raise BundleError(
            f"{path}: manifest.json has bundle format {found!r:.40}, this version reads {FORMAT}; "
            f"{remedy}"
        )
    manifest = Manifest.from_dict(content, str(path))
    missing = sorted(set(HASHED) - set(manifest.files))
    if missing:
        raise BundleError(f"{path}: manifest.json has no hash of {', '.join(missing)}")
    if len(manifest.files) > MOST_FILES:
        raise BundleError(f"{path}: manifest.json names more than {MOST_FILES} files")
    contents = {name: _verified(path, name, expected) for name, expected in manifest.files.items()}
    graph = contents.pop(MODEL)
    return Bundle(path, manifest, graph, contents)


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
    for name, data in files.items():
        if len(data) > LIMITS.get(name, OTHER_LIMIT):
            raise BundleError(
                f"{name} would have {len(data):,} bytes, more than a bundle may have; fit a "
                "smaller model (fewer trees or times)"
            )
    target = Path(path)
    partial, old = (target.with_name(f".{word}-{target.name}") for word in ("partial", "old"))
    if old.exists() and not target.exists():
        old.replace(target)
    _refuse_to_replace(target)
    hashes = {name: sha256_of(data) for name, data in sorted(files.items())}
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
    if not PLAIN_NAME.fullmatch(name):
        raise BundleError(f"{path}: manifest.json names {name!r}, not a plain file name")
    return read_regular(path, name, LIMITS.get(name, OTHER_LIMIT), expected)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long to be any file's
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _shallow(manifest: Manifest) -> dict[str, Any]:
    return {f.name: getattr(manifest, f.name) for f in fields(manifest)}


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

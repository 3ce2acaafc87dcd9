"""Reading the files of a bundle: regular files of bounded size, read once, and strict JSON.

A bundle may come from anybody. Nothing here follows a named pipe or a device, reads more than it
was told to, or lets a file say the same thing twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from riskscore.errors import BundleError

__all__ = [
    "attachment_names",
    "parse_json",
    "read_attachment",
    "read_regular",
    "sha256_of",
]

CHUNK = 2**20
"""Bytes read at once."""

DEEPEST = 32
"""Tables and lists within each other that JSON may have; ours have 8."""

MOST_ATTACHMENTS = 200
"""Files that a folder of attachments may hold."""

DIGITS = 18
"""Of a whole number in JSON; a double has 17."""

LONGEST_NUMBER = 400
"""Digits of any number in JSON."""

# A pipe must not be waited for, and a file descriptor is nobody's but ours.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
)
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def read_regular(folder: Path, name: str, limit: int, sha256: str | None = None) -> bytes:
    """Return the bytes of a regular file, or of one that a link leads to.

    Kubernetes mounts and model hubs' caches are made of links; what is behind one is told by its
    hash.

    Parameters
    ----------
    folder : Path
    name : str
    limit : int
        Largest size in bytes.
    sha256 : str, optional
        Hash that the bytes must have, in hexadecimal digits. A file of another hash is told before
        it is held in memory.

    Raises
    ------
    BundleError
        If it is missing, no regular file, larger than `limit`, or of another hash.
    """
    file = _File(folder, name, limit, "restore the bundle")
    try:
        # Asked before it is opened: opening a device can already do something.
        file.check_regular(os.stat(folder / name))
        descriptor = os.open(folder / name, _FLAGS)
    except BundleError:
        raise
    except (OSError, ValueError) as error:
        raise file.unreadable() from error
    return file.read(descriptor, sha256)


def read_attachment(folder: Path, name: str, limit: int) -> bytes | None:
    """Return the bytes of a file that no hash covers, or None where there is none of that name.

    Links may lead to it, as in a Kubernetes mount, but not out of the folder.

    Parameters
    ----------
    folder : Path
        Directory of the bundle.
    name : str
        Relative path with "/".
    limit : int
        Largest size in bytes.

    Raises
    ------
    BundleError
        If it is outside the folder, no regular file, larger than `limit`, or cannot be read.
    """
    file = _File(folder, name, limit, "mend or remove it")
    # A mount that is replaced while it is looked at leads nowhere for a moment.
    for _ in range(3):
        try:
            if not os.path.lexists(folder / name):
                return None
            descriptor = file.open_inside()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise file.unreadable() from error
        return file.read(descriptor)
    raise file.unreadable()


def attachment_names(folder: Path, subfolder: str, suffix: str) -> tuple[str, ...]:
    """Return the attachments in a folder of the bundle, sorted, as `read_attachment` takes them.

    Raises
    ------
    BundleError
        If the folder is outside the bundle, cannot be read, or holds more than 200.
    """
    place = folder / subfolder
    if not os.path.lexists(place):
        return ()
    file = _File(folder, subfolder, 0, "mend or remove it")
    file.inside()
    names = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.endswith(suffix) and not entry.name.startswith("."):
                    names.append(f"{subfolder}/{entry.name}")
                if len(names) > MOST_ATTACHMENTS:
                    rule = f"must hold at most {MOST_ATTACHMENTS} files"
                    raise BundleError(f"{folder}: {subfolder} {rule}; remove those not needed")
    except OSError as error:
        raise file.unreadable() from error
    return tuple(sorted(names))


def parse_json(data: bytes, where: str) -> Any:
    """Return what JSON says, if it can be read in one way only.

    Raises
    ------
    BundleError
        If it is no JSON in UTF-8, repeats a key, nests more than 32 deep, or has a number that is
        not finite or a character that is none.
    """
    long = _has_long_number(data)
    try:
        content = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_table,
            parse_constant=_no_number,
            parse_int=_int,
            # Looked at one by one, which takes ten times as long, only where one may be too large.
            parse_float=_float if long else None,
        )
        if _HALF_CHARACTER.search(data):  # a pair of halves is a character, one alone is not
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise _not_json(where, f"it nests more than {DEEPEST} deep") from None
    except ValueError as error:
        raise _not_json(where, str(error)[:200]) from error
    if _is_deep(content):
        raise _not_json(where, f"it nests more than {DEEPEST} deep")
    return content


def sha256_of(data: bytes) -> str:
    """Return the hash of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class _File:
    """A file that is about to be read: where, how large it may be, and the remedy if it is not."""

    folder: Path
    name: str
    limit: int
    remedy: str

    def read(self, descriptor: int, sha256: str | None = None) -> bytes:
        """Return the bytes of an open file and close it."""
        try:
            size = self.check_regular(os.fstat(descriptor))
            if sha256 is not None and size > CHUNK:
                passed = hashlib.sha256()
                for part in self.parts(descriptor):
                    passed.update(part)
                self.check_hash(passed.hexdigest(), sha256)
                os.lseek(descriptor, 0, os.SEEK_SET)
            data = b"".join(self.parts(descriptor))
        except OSError as error:
            raise self.unreadable() from error
        finally:
            os.close(descriptor)
        self.check_size(len(data))
        if sha256 is not None:
            self.check_hash(sha256_of(data), sha256)
        return data

    def parts(self, descriptor: int) -> Iterator[bytes]:
        """Read to the end of the file, but one byte beyond the limit at most."""
        left = self.limit + 1
        while left > 0 and (part := os.read(descriptor, min(CHUNK, left))):
            left -= len(part)
            yield part

    def check_regular(self, status: os.stat_result) -> int:
        """Return the size of a regular file; refuse any other."""
        if not stat.S_ISREG(status.st_mode):
            kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe"}
            kind = kinds.get(stat.S_IFMT(status.st_mode), "a device or socket")
            raise self.refused(f"must be a regular file, it is {kind}")
        self.check_size(status.st_size)
        return status.st_size

    def check_size(self, size: int) -> None:
        """Refuse a file that is too large."""
        if size > self.limit:
            raise self.refused(f"must have at most {self.limit:,} bytes, it has {size:,}")

    def check_hash(self, got: str, expected: str) -> None:
        """Refuse a file that is not the one that was written."""
        if got != expected:
            raise BundleError(
                f"{self.folder}: {self.name} does not match its hash in manifest.json; it was "
                "changed or damaged after the bundle was written: restore it, or fit the model "
                "again"
            )

    def inside(self) -> tuple[str, tuple[str, ...]]:
        """Return the folder's real path and, from there, the parts of the file's real path."""
        root = os.path.realpath(self.folder)
        target = Path(os.path.realpath(os.path.join(root, self.name)))
        given = PurePosixPath(self.name)
        if given.is_absolute() or ".." in given.parts or not target.is_relative_to(root):
            raise BundleError(
                f"{self.folder}: {self.name} must not lead out of the bundle's directory; put the "
                "file itself there, or remove it"
            )
        return root, target.relative_to(root).parts

    def open_inside(self) -> int:
        """Open the file without leaving the folder."""
        root, parts = self.inside()
        if not _BY_DESCRIPTOR:
            return os.open(os.path.join(root, *parts), _FLAGS)
        # Step by step from the folder, no link followed: one put there since would lead elsewhere.
        step = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        here = os.open(root, step)
        try:
            for part in parts[:-1]:
                there = os.open(part, step | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = there
            last = parts[-1] if parts else "."
            self.check_regular(os.stat(last, dir_fd=here, follow_symlinks=False))
            return os.open(last, _FLAGS | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)

    def refused(self, rule: str) -> BundleError:
        """Return the error for a broken rule."""
        return BundleError(f"{self.folder}: {self.name} {rule}; {self.remedy}")

    def unreadable(self) -> BundleError:
        """Return the error for a file that cannot be read."""
        return self.refused("is missing or unreadable")


def _not_json(where: str, reason: str) -> BundleError:
    return BundleError(f"{where} is not JSON: {reason}; restore the bundle")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise ValueError(f"it has {twice[:40]!r} twice in one table")
    return table


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _has_long_number(data: bytes) -> bool:
    digits = data.translate(_DIGITS)
    return b"0" * LONGEST_NUMBER in digits or b"e000" in digits or b"e+000" in digits


def _float(text: str) -> float:
    number = float(text) if len(text) <= LONGEST_NUMBER else float("inf")
    if number - number != 0:
        raise ValueError(f"the number {text[:20]}... is too large")
    return number


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"the number {text[:20]}... is too large")
    return int(text)


def _is_deep(content: object) -> bool:
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(DEEPEST):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)

"""Replicates that are done, kept in a file, so that work that was stopped goes on where it was.

The file holds what each replicate gave, the refits' predictions for the cohort's patients among
it: it belongs where the cohort belongs. It is removed when the work is done.
"""

from __future__ import annotations

import json
import sys
import time as clock
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from riskscore.errors import InputError, Problem
from riskscore.tables import write_atomically

__all__ = ["Keeping", "Kept", "current", "fingerprint", "keeping"]

SAVE_EVERY = 30.0
"""Seconds of work that a machine that fails may cost."""

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

Array = NDArray[Any]


@dataclass
class Keeping:
    """Where replicates are kept, and whether somebody stopped them.

    Attributes
    ----------
    path : Path
    used : bool
        Whether the file is that of the work in hand.
    stopped : str or None
        How many are kept, in words, once the work was stopped.
    """

    path: Path
    used: bool = False
    stopped: str | None = None


_current: ContextVar[Keeping | None] = ContextVar("keeping", default=None)


@contextmanager
def keeping(path: str | Path) -> Iterator[Keeping]:
    """Let the replicates of the block be kept in a file, and go on from it if it is there.

    The file is removed at the block's end. When the work was stopped it stays, and how to go on is
    said on standard error.
    """
    here = Keeping(Path(path))
    token = _current.set(here)
    try:
        yield here
        if here.used and not here.stopped:
            here.path.unlink(missing_ok=True)
    finally:
        _current.reset(token)
        if here.stopped:
            kept = f"{here.stopped} are kept in {here.path}"
            print(f"stopped: {kept}; the same command does the rest", file=sys.stderr)


def current() -> Keeping | None:
    """Return that of the `keeping` around, or None."""
    return _current.get()


def fingerprint(one: object) -> dict[str, str]:
    """Return what a replicate depends on, each part as a hash: what it holds, and the versions.

    How many replicates there are is no part of it: more may be asked for later.
    """
    parts = {name: joblib.hash(value) for name, value in vars(one).items()}
    packages = ("riskscore", "numpy", "scipy", "scikit-learn", "scikit-survival")
    return parts | {"versions": " ".join(f"{name} {version(name)}" for name in packages)}


@dataclass
class Kept:
    """What was given by each replicate that is done, by its number.

    Attributes
    ----------
    path : Path
    about : dict of str to str
        The `fingerprint` of the work.
    done : dict of int to tuple
        The result and None, or None and the reason why there is none.
    """

    path: Path
    about: dict[str, str]
    done: dict[int, tuple[Any, str | None]] = field(default_factory=dict)
    _opened: float = field(default_factory=clock.monotonic)
    _saved: float = 0.0

    @classmethod
    def open(cls, path: Path, about: dict[str, str], number: int, like: Any) -> Kept:
        """Read the file, or start with nothing where there is none.

        Parameters
        ----------
        path : Path
        about : dict of str to str
        number, like : int and object
            A replicate that was done again, and its result: all are put together in its shape.

        Raises
        ------
        InputError
            If the file cannot be read, is of other work, or has another result of that replicate.
        """
        kept = cls(path, about)
        if not path.exists():
            return kept
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as parts:
                before = json.loads(bytes(parts["about"]))
                reasons = json.loads(bytes(parts["reasons"]))
                numbers = parts["numbers"].tolist()
                leaves = {n: _leaves(parts, n) for n in numbers}
                kept.done = {int(n): (None, reason) for n, reason in reasons.items()}
                kept.done |= {n: (_unpack(like, iter(leaves[n])), None) for n in numbers}
        except (*UNREADABLE, StopIteration) as error:
            raise kept._refused("must be what a stopped run left", str(error)) from error
        other = sorted(n for n in about.keys() | before.keys() if about.get(n) != before.get(n))
        if other:
            words = ", ".join(name.strip("_") for name in other)
            raise kept._refused("must be of the same work", f"other {words}")
        if number in leaves and not _same(leaves[number], _pack(like)):
            raise kept._refused("must repeat to the last bit", f"another replicate {number}")
        return kept

    def add(self, number: int, outcome: tuple[Any, str | None]) -> None:
        """Take in a replicate's outcome, and save all of them now and then."""
        self.done[number] = outcome
        if clock.monotonic() - max(self._saved, self._opened) > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the file, readable by its owner alone."""
        given = {n: result for n, (result, reason) in sorted(self.done.items()) if reason is None}
        reasons = {n: reason for n, (_, reason) in self.done.items() if reason is not None}
        parts = {
            f"{number}/{place}": leaf
            for number, result in given.items()
            for place, leaf in enumerate(_pack(result))
        }
        parts["numbers"] = np.array(list(given), dtype=np.int64)
        parts["about"], parts["reasons"] = _text(self.about), _text(reasons)
        with write_atomically(self.path, mode=0o600) as partial, partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **parts)
        self._saved = clock.monotonic()

    def finish(self) -> None:
        """Save what long work gave, for what follows may fail or be stopped."""
        if clock.monotonic() - self._opened > SAVE_EVERY:
            self.save()

    def _refused(self, rule: str, found: str) -> InputError:
        remedy = "give the options, the cohort and the versions it was made with, or remove it"
        return InputError([Problem(None, str(self.path), rule, found, remedy)])


def _text(content: object) -> Array:
    return np.frombuffer(json.dumps(content, default=_plain).encode(), dtype=np.uint8)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    return value.item()


def _array(content: dict[str, Any]) -> Any:
    if content.keys() == {"array", "dtype"}:
        return np.array(content["array"], dtype=content["dtype"])
    return content


def _leaves(parts: Any, number: int) -> list[Array]:
    found: list[Array] = []
    while f"{number}/{len(found)}" in parts:
        found.append(parts[f"{number}/{len(found)}"])
    return found


def _pack(result: Any) -> list[Array]:
    """Return a result's arrays, in the order of `_unpack`; what is no array or tuple is JSON."""
    if isinstance(result, tuple):
        return [leaf for part in result for leaf in _pack(part)]
    return [result] if isinstance(result, np.ndarray) else [_text(result)]


def _unpack(like: Any, leaves: Iterator[Array]) -> Any:
    if isinstance(like, tuple):
        parts = [_unpack(part, leaves) for part in like]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    leaf = next(leaves)
    return leaf if isinstance(like, np.ndarray) else json.loads(bytes(leaf), object_hook=_array)


def _same(a: list[Array], b: list[Array]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True)
    )

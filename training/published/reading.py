"""Reading a file of published numbers, refusing everything in it that breaks the format.

The types in `training.published.records` are the format: a record's annotations say which keys it
has, which may be absent, and what each holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from riskscore._reader import Reader
from riskscore.errors import InputError, Problem
from training.published.printed import Printed
from training.published.records import Arm, Published, StudyHead

__all__ = ["FORMAT", "PublishedError", "load_published"]

FORMAT = 1
"""Format of the file. Raise it when a file that was valid changes its meaning."""

Record = TypeVar("Record")


class PublishedError(InputError):
    """A file of published numbers breaks a rule; `problems` lists every one."""


def load_published(path: str | Path) -> Published:
    """Read a file of published numbers.

    Parameters
    ----------
    path : str or Path
        A TOML file in the format that the head of `deb-tace-2021.toml` describes.

    Raises
    ------
    PublishedError
        If the file is missing, is not TOML, or breaks a rule of the format: each with the key (the
        records of a kind count from 1), the rule and the remedy. Whether the numbers agree with
        one another is not asked here.
    """
    path = Path(path)
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "give the path of a file of published numbers"
        problem = Problem(None, "file", "must be readable", error.strerror, remedy)
        raise PublishedError([problem], path.name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem(None, "file", "must be TOML in UTF-8", str(error), "correct the syntax")
        raise PublishedError([problem], path.name) from None
    reader = Reader(declared)
    published = _read(reader)
    if published is None or reader.problems:
        raise PublishedError(reader.problems, path.name)
    return published


def _read(reader: Reader) -> Published | None:
    kinds = get_type_hints(Published)
    reader.one_of("format", (FORMAT,), remedy=f"this version reads format {FORMAT}")
    reader.keys("format", *kinds)
    head = _record(StudyHead, reader.table("study"), ())
    arms = tuple(_record(Arm, inner, ()) for inner in _list(reader, "arms"))
    if not arms:
        reader.refuse("arms", "must declare at least one", None, "add [[arms]] with id and n")
        return None
    names = tuple(str(arm.id) for arm in arms if arm is not None)
    rest = {
        kind: tuple(_record(get_args(hint)[0], inner, names) for inner in _list(reader, kind))
        for kind, hint in kinds.items()
        if kind not in ("study", "arms")
    }
    if reader.problems:
        return None
    return Published(study=head, arms=arms, **rest)  # type: ignore[arg-type]


def _list(reader: Reader, kind: str) -> list[Reader]:
    found = reader.values.get(kind, [])
    if not isinstance(found, list):
        reader.refuse(kind, "must be a list of tables", None, f"write each as [[{kind}]]")
        return []
    return [Reader(item, f"{kind}[{i}]", reader.problems) for i, item in enumerate(found, 1)]


def _record(kind: type[Record], reader: Reader, arms: tuple[str, ...]) -> Record | None:
    """Return the record a table declares, or None once something in the file was refused."""
    hints = get_type_hints(kind)
    declared: tuple[Field[Any], ...] = fields(kind)  # type: ignore[arg-type]
    reader.keys(*hints)
    values: dict[str, Any] = {}
    for entry in declared:
        if entry.name in reader:
            free = "free_length" in entry.metadata
            values[entry.name] = _value(entry.name, hints[entry.name], reader, arms, free)
        elif entry.default is MISSING:
            reader.refuse(entry.name, "is required", None, "add it")
    return None if reader.problems else kind(**values)


def _value(key: str, hint: Any, reader: Reader, arms: tuple[str, ...], free: bool) -> Any:
    if isinstance(hint, UnionType):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if hint is str:
        text = reader.text(key)
        if key == "arm" and text not in arms:
            reader.refuse(key, f"must be one of {', '.join(arms)}", text, "name a declared arm")
        return text
    value = reader.values[key]
    if get_origin(hint) is dict:
        return _levels(key, value, reader, arms)
    if get_origin(hint) is tuple:
        items = _items(key, get_args(hint)[0], value, reader)
        texts = get_args(hint)[0] is str
        if not texts and not free and arms and len(items) != len(arms):
            remedy = f"write one a declared arm: {', '.join(arms)}"
            reader.refuse(key, f"must hold {len(arms)} values", len(items), remedy)
        return items
    return _items(key, hint, [value], reader)[0]


def _items(key: str, kind: Any, value: object, reader: Reader) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        reader.refuse(key, "must be a list", str(value), "write it in brackets")
        return ()
    return tuple(_item(key, kind, item, reader) for item in value)


def _item(key: str, kind: Any, item: object, reader: Reader) -> Any:
    if kind is int:
        if isinstance(item, bool) or not isinstance(item, int) or item < 0:
            reader.refuse(key, "must be a count", item, "write a whole number without quotes")
            return 0
        return item
    if kind is Printed:
        try:
            if not isinstance(item, str) or item != item.strip():
                raise ValueError
            return Printed(item)
        except ValueError:
            remedy = 'write the digits as printed, in quotes, like "0.450"'
            reader.refuse(key, "must be a printed number", item, remedy)
            return Printed("0")
    if not isinstance(item, str) or not item:
        reader.refuse(key, "must be a text", item, 'write it in quotes, "like this"')
    return item


def _levels(
    key: str, value: object, reader: Reader, arms: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    inner = Reader(value, f"{reader.path}.{key}", reader.problems)
    return {
        level: _value(level, tuple[int, ...], inner, arms, free=False) for level in inner.values
    }

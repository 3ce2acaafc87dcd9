"""Reading a bundle's JSON for a card: what is missing, empty or unusable is noted, never guessed.

A `Facts` never raises. It notes the problem, returns a blank of the right type and goes on, so that
one pass finds everything; the caller makes no card when anything was noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from riskscore.errors import Problem, json_safe

__all__ = ["FIT_AGAIN", "Facts"]

FIT_AGAIN = "fit the model again with this version"


class Facts:
    """One table of a bundle's JSON, and the problems found in it and below it.

    Parameters
    ----------
    table : object
        The table; anything that is not a dictionary is noted.
    path : str
        Dotted path of the table, beginning with the file ("manifest.training").
    problems : list of Problem
        Where to note problems; shared by all tables of a bundle.
    """

    def __init__(self, table: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self.values: dict[str, Any] = table if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self.refuse("", "must be a table", table, FIT_AGAIN)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def refuse(self, key: str, rule: str, value: object, remedy: str) -> None:
        """Note a problem of `key`, or of the table itself when `key` is empty."""
        where = f"{self.path}.{key}" if key else self.path
        self.problems.append(Problem(None, where, rule, json_safe(value), remedy))

    def text(self, key: str, remedy: str = FIT_AGAIN, *, may_be_empty: bool = False) -> str:
        """Return a text; an empty one is noted unless it may be empty."""
        if key not in self.values:
            return str(self._missing(key, "", remedy))
        value = self.values[key]
        if not isinstance(value, str):
            self.refuse(key, "must be a text", value, remedy)
            return ""
        if not value.strip() and not may_be_empty:
            self.refuse(key, "must not be empty", None, remedy)
        return value

    def texts(self, key: str, remedy: str = FIT_AGAIN) -> tuple[str, ...]:
        """Return a list of texts, which may be an empty list but holds no empty text."""
        found = self._list(key, remedy)
        good = [item for item in found if isinstance(item, str) and item.strip()]
        if len(good) < len(found):
            self.refuse(key, "must hold texts, none of them empty", str(found), remedy)
        return tuple(good)

    def number(self, key: str, remedy: str = FIT_AGAIN) -> float:
        """Return a finite number."""
        if key not in self.values:
            return float(self._missing(key, math.nan, remedy))
        value = self.values[key]
        if _is_number(value):
            return float(value)
        rule = "must not be empty" if value is None else "must be a finite number"
        self.refuse(key, rule, value, remedy)
        return math.nan

    def positive(self, key: str) -> float:
        """Return a finite number above 0."""
        value = self.number(key)
        if value <= 0:
            self.refuse(key, "must be above 0", value, FIT_AGAIN)
            return math.nan
        return value

    def number_or_none(self, key: str) -> float | None:
        """Return a finite number, or None where the key is there and says null."""
        if key in self.values and self.values[key] is None:
            return None
        return self.number(key)

    def count(self, key: str, remedy: str = FIT_AGAIN) -> int:
        """Return a whole number of at least 0."""
        if key not in self.values:
            return int(self._missing(key, 0, remedy))
        value = self.values[key]
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        rule = "must not be empty" if value is None else "must be a whole number, 0 or more"
        self.refuse(key, rule, value, remedy)
        return 0

    def numbers(self, key: str, remedy: str = FIT_AGAIN) -> tuple[float, ...]:
        """Return a list of finite numbers, which may be an empty list."""
        found = self._list(key, remedy)
        if not all(_is_number(item) for item in found):
            self.refuse(key, "must hold finite numbers only", str(found), remedy)
            return ()
        return tuple(float(item) for item in found)

    def flag(self, key: str, remedy: str = FIT_AGAIN) -> bool:
        """Return true or false."""
        if key not in self.values:
            return bool(self._missing(key, False, remedy))
        value = self.values[key]
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false", value, remedy)
        return bool(value)

    def table(self, key: str, remedy: str = FIT_AGAIN) -> Facts:
        """Return the table at `key`, which must hold something."""
        if key not in self.values:
            return Facts(self._missing(key, {}, remedy), f"{self.path}.{key}", self.problems)
        inner = Facts(self.values[key], f"{self.path}.{key}", self.problems)
        if self.values[key] == {}:
            self.refuse(key, "must not be empty", None, remedy)
        return inner

    def tables(self, key: str, *, may_be_empty: bool = False) -> Iterator[Facts]:
        """Yield the tables of the list at `key`."""
        found = self._list(key, FIT_AGAIN)
        if key in self.values and found == [] and not may_be_empty:
            self.refuse(key, "must not be empty", None, FIT_AGAIN)
        for i, item in enumerate(found):
            yield Facts(item, f"{self.path}.{key}[{i}]", self.problems)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return a table of plain values as pairs of text, in its order."""
        return self.table(key).plain()

    def plain(self) -> tuple[tuple[str, str], ...]:
        """Return this table's own values as pairs of text, in its order."""
        for name, value in self.values.items():
            if not isinstance(value, str | int | float) or not str(value).strip():
                self.refuse(name, "must be a plain value, not empty", value, FIT_AGAIN)
        return tuple((name, str(value)) for name, value in self.values.items())

    def _list(self, key: str, remedy: str) -> list[Any]:
        if key not in self.values:
            return list(self._missing(key, [], remedy))
        value = self.values[key]
        if isinstance(value, list | tuple):
            return list(value)
        self.refuse(key, "must be a list", value, remedy)
        return []

    def _missing(self, key: str, blank: Any, remedy: str) -> Any:
        # A table that is itself missing was noted once; its keys are listed too, since each of them
        # is a blank of the card.
        self.refuse(key, "is missing", None, remedy)
        return blank


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

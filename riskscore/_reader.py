"""Reading declared tables (TOML, JSON) value by value, keeping every broken rule.

A `Reader` never raises: it notes the problem, returns a harmless value of the right type, and lets
the reading go on, so that one pass finds everything that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from riskscore.errors import Problem, json_safe

__all__ = ["Reader", "nearest"]


def nearest(word: str, known: Sequence[str]) -> str:
    """Return 'did you mean "..."? ' for the known word most like `word`, or an empty text."""
    folded = {name.casefold(): name for name in known}
    match = get_close_matches(str(word).strip().casefold(), list(folded), n=1, cutoff=0.6)
    return f'did you mean "{folded[match[0]]}"? ' if match else ""


class Reader:
    """One table of a declared file, and the problems found in it and its sub-tables.

    Parameters
    ----------
    table : object
        The table; anything that is not a dictionary is noted as a problem.
    path : str
        Dotted key of the table in its file, empty for the whole.
    problems : list of Problem, optional
        Where to note problems; shared between a table and its sub-tables.
    """

    def __init__(self, table: object, path: str = "", problems: list[Problem] | None = None):
        self.path = path
        self.problems: list[Problem] = [] if problems is None else problems
        self.values: dict[str, Any] = table if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self.refuse("", "must be a table", table, "write it as [name] with keys below it")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def refuse(self, key: str, rule: str, value: object, remedy: str) -> None:
        """Note a broken rule of `key` in this table (of the table itself when empty)."""
        where = ".".join(part for part in (self.path, key) if part) or "file"
        self.problems.append(Problem(None, where, rule, json_safe(value), remedy))

    def keys(self, *known: str) -> None:
        """Refuse every key that is not `known`."""
        for key in self.values:
            if key not in known:
                remedy = f"{nearest(key, known)}known keys are {', '.join(known)}"
                self.refuse(key, "is not a key of this table", None, remedy)

    def table(self, key: str) -> Reader:
        """Return the sub-table `key`."""
        return Reader(self._required(key, {}), self._below(key), self.problems)

    def tables(self, key: str) -> Iterator[tuple[str, Reader]]:
        """Yield name and reader of each sub-table of `key`, of which there must be one."""
        inner = self.table(key)
        if key in self.values and isinstance(self.values[key], dict) and not inner.values:
            self.refuse(key, "must declare at least one", None, f"add [{self._below(key)}.NAME]")
        for name, value in inner.values.items():
            yield name, Reader(value, inner._below(name), self.problems)

    def text(self, key: str, *, optional: bool = False) -> str:
        """Return a non-empty text."""
        if optional and key not in self.values:
            return ""
        value = self._required(key, "text")
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, "must be a non-empty text", value, 'write it in quotes, "like this"')
            return "text"
        return value

    def slug(self, key: str) -> str:
        """Return a text of lower-case letters, digits and hyphens, fit for a path."""
        value = self.text(key)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
            rule = "must be lower-case letters and digits joined by hyphens"
            self.refuse(key, rule, value, 'write it like "deb-tace-hcc"')
        return value

    def identifier(self, name: str) -> str:
        """Check the table's own name, which becomes a column or an id, and return it."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            rule = "must be named in lower-case letters, digits and underscores"
            self.refuse("", rule, name, 'name it like "tumor_number"')
        return name

    def one_of(
        self, key: str, known: Sequence[Any], *, default: Any = None, remedy: str = ""
    ) -> Any:
        """Return a value that is one of `known`."""
        if default is not None and key not in self.values:
            return default
        value = self._required(key, known[0])
        if value not in known or isinstance(value, bool):
            options = ", ".join(map(str, known))
            hint = nearest(value, [str(k) for k in known]) if isinstance(value, str) else ""
            self.refuse(key, f"must be one of {options}", value, remedy or f"{hint}choose one")
            return known[0]
        return value

    def number(self, value: object, key: str) -> float:
        """Return a finite number."""
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            return float(value)
        self.refuse(key, "must be a finite number", value, "write it without quotes")
        return 1.0

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        value = self._required(key, [1.0])
        if not isinstance(value, list) or not value:
            self.refuse(key, "must be a list of numbers", value, "write it like [6, 12]")
            return (1.0,)
        return tuple(self.number(item, key) for item in value)

    def ascending(self, key: str) -> tuple[float, ...]:
        """Return numbers above 0, each above the one before."""
        values = self.numbers(key)
        if min(values) <= 0:
            self.refuse(key, "must be above 0", min(values), "drop it: survival is 1 at time 0")
        elif any(b <= a for a, b in pairwise(values)):
            self.refuse(key, "must ascend without repeats", str(list(values)), "sort them")
        return values

    def interval(self, key: str) -> tuple[float, float]:
        """Return a lower and a higher number."""
        values = self.numbers(key)
        if len(values) != 2:
            self.refuse(key, "must be two numbers", str(list(values)), "write it like [18, 80]")
        elif values[0] >= values[1]:
            remedy = (
                f"write [{values[1]:g}, {values[0]:g}]" if values[0] > values[1] else "widen it"
            )
            self.refuse(key, "must go from low to high", str(list(values)), remedy)
        else:
            return values[0], values[1]
        return 1.0, 2.0

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty when there is no such key."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.refuse(key, "must be a list of texts", value, 'write it like ["no", "yes"]')
            return ()
        return tuple(value)

    def levels(self, key: str) -> tuple[str, ...]:
        """Return two or more distinct texts."""
        known = len(self.problems)
        value = self.texts(key)
        if len(self.problems) > known:
            return ("a", "b")
        if any(not v or v != v.strip() for v in value):
            self.refuse(key, "must be texts without space around them", value, "trim them")
        repeated = sorted({v for v in value if value.count(v) > 1})
        if repeated:
            self.refuse(key, "must not repeat a level", ", ".join(repeated), "name each once")
        elif len(value) < 2:
            remedy = "name every level, the reference first"
            self.refuse(key, "must be at least two", ", ".join(value), remedy)
        return value

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return the texts of an optional table, with their names."""
        if key not in self.values:
            return ()
        inner = self.table(key)
        return tuple((name, inner.text(name)) for name in inner.values)

    def _required(self, key: str, harmless: Any) -> Any:
        if key not in self.values:
            self.refuse(key, "is required", None, "add it")
            return harmless
        return self.values[key]

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

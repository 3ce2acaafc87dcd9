"""Settings of the environment that are numbers or switches, read strictly."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from riskscore.errors import RiskscoreError

__all__ = ["MOST_WORKERS", "SettingError", "seconds", "switch", "workers"]

MOST_WORKERS = 256

LONGEST = 3600.0
"""Seconds."""


class SettingError(RiskscoreError):
    """A variable of the environment does not say what it must."""

    def __init__(self, name: str, rule: str, value: str, remedy: str) -> None:
        super().__init__(f"{name} must be {rule}, got {value!r}; {remedy}, or leave it out")


def workers(environment: Mapping[str, str] = os.environ) -> int:
    """Return `RISKSCORE_WORKERS`, the number of processes that answer; 1 by default.

    Raises
    ------
    SettingError
    """
    name = "RISKSCORE_WORKERS"
    text = environment.get(name, "").strip()
    if not text:
        return 1
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= number <= MOST_WORKERS:
        raise SettingError(name, f"a whole number of 1 to {MOST_WORKERS}", text, "set it to 2, say")
    return number


def seconds(environment: Mapping[str, str] = os.environ) -> float:
    """Return `RISKSCORE_TIMEOUT`, the seconds until an answer must begin; 30 by default.

    Raises
    ------
    SettingError
    """
    name = "RISKSCORE_TIMEOUT"
    text = environment.get(name, "").strip()
    if not text:
        return 30.0
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= LONGEST:
        rule = f"seconds, above 0 and at most {LONGEST:g}"
        raise SettingError(name, rule, text, "set it to 30, say")
    return number


def switch(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a variable is 1; 0 by default.

    Raises
    ------
    SettingError
    """
    text = environment.get(name, "").strip()
    if text not in ("", "0", "1"):
        raise SettingError(name, "0 or 1", text, "set it to 1")
    return text == "1"

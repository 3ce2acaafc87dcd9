"""Settings of the environment: their names, and those that are numbers or switches."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping

from riskscore.errors import RiskscoreError

__all__ = ["MOST_WORKERS", "NAMES", "SettingError", "check_names", "seconds", "switch", "workers"]

PREFIX = "RISKSCORE_"

NAMES = (
    "RISKSCORE_MODELS",
    "RISKSCORE_REQUIRE_APPROVED",
    "RISKSCORE_TIMEOUT",
    "RISKSCORE_TOKENS_FILE",
    "RISKSCORE_WITHDRAWN_FILE",
    "RISKSCORE_WORKERS",
)
"""Every variable that the service reads."""

KUBERNETES = re.compile(
    r"RISKSCORE_(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PORT|PROTO|ADDR))?)?)"
)
"""What Kubernetes adds to every container's environment for a service called riskscore, or
riskscore-NAME."""

MOST_WORKERS = 256

LONGEST = 3600.0
"""Seconds."""


class SettingError(RiskscoreError):
    """A variable of the environment does not say what it must, or is none that is read."""

    @classmethod
    def of(cls, name: str, rule: str, value: str, remedy: str) -> SettingError:
        """Return the error for a value that breaks a rule."""
        return cls(f"{name} must be {rule}, got {value!r}; {remedy}, or leave it out")


def check_names(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse variables that nothing reads: a misspelt one would be a setting that does not hold.

    Raises
    ------
    SettingError
        Naming every one.
    """
    unknown = sorted(
        name
        for name in environment
        if name.startswith(PREFIX) and name not in NAMES and not KUBERNETES.fullmatch(name)
    )
    if unknown:
        listed = ", ".join(ascii(name[:80])[1:-1] for name in unknown[:5])
        raise SettingError(
            f"{listed} {'is no setting' if len(unknown) == 1 else 'are no settings'} of this "
            f"service; it reads {', '.join(NAMES)}: mend the name, or leave it out"
        )


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
        rule = f"a whole number of 1 to {MOST_WORKERS}"
        raise SettingError.of(name, rule, text, "set it to 2, say")
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
        raise SettingError.of(name, rule, text, "set it to 30, say")
    return number


def switch(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a variable is 1; 0 by default.

    Raises
    ------
    SettingError
    """
    text = environment.get(name, "").strip()
    if text not in ("", "0", "1"):
        raise SettingError.of(name, "0 or 1", text, "set it to 1")
    return text == "1"

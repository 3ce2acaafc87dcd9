"""Models that are withdrawn: from then on they answer 410 with the reason.

``python -m serving.withdraw MODEL --reason TEXT`` writes a line to the file that
`RISKSCORE_WITHDRAWN_FILE` names, for one version of the model or for all::

    # model                             why
    deb-tace-hcc/os/cox                 Refitted after an error in the cohort was found.
    mine/os/cox@sha256:9f86d081884c...  Rejected by the tumour board.

Every process of every service that reads the file looks at it once a second. A line that is removed
lets the model answer again. While the file cannot be read no model answers: it may withdraw any.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from riskscore.errors import BundleError, RiskscoreError
from riskscore.files import read_regular

__all__ = ["WITHDRAWN_VARIABLE", "Withdrawal", "WithdrawalError", "main", "withdrawals"]

WITHDRAWN_VARIABLE = "RISKSCORE_WITHDRAWN_FILE"
"""Environment variable: the file of withdrawn models, which may be empty."""

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}(?:@sha256:[0-9a-f]{64})?")
LARGEST = 2**20
"""Bytes of the file."""

LONGEST = 500
"""Characters of a reason."""


class WithdrawalError(RiskscoreError):
    """The file of withdrawn models cannot be read, or breaks a rule; the message says which."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One line of the file: the id of a model, with or without its digest, and why."""

    model: str
    reason: str

    def is_of(self, name: str, digest: str) -> bool:
        """Whether the model of that id and digest is withdrawn."""
        return self.model in (name, f"{name}@{digest}")


def withdrawals(environment: Mapping[str, str] = os.environ) -> tuple[Withdrawal, ...]:
    """Return what the file that `RISKSCORE_WITHDRAWN_FILE` names withdraws; without it nothing.

    Raises
    ------
    WithdrawalError
        If it cannot be read, or a line is no model with a reason.
    """
    path = environment.get(WITHDRAWN_VARIABLE, "").strip()
    if not path:
        return ()
    try:
        data = read_regular(Path(path).parent, Path(path).name, LARGEST)
        lines = data.decode("utf-8").splitlines()
    except (BundleError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise WithdrawalError(
            f"{WITHDRAWN_VARIABLE}: {path} cannot be read ({reason.partition(';')[0]}); mend it, "
            "or make an empty file"
        ) from None
    stated = []
    for number, line in enumerate(lines, 1):
        model, _, reason = line.strip().partition(" ")
        if not model or model.startswith("#"):
            continue
        rule = _broken(model, reason.strip())
        if rule:
            remedy = "`python -m serving.withdraw MODEL --reason TEXT` writes a right line"
            raise WithdrawalError(f"{WITHDRAWN_VARIABLE}: {path}, line {number}: {rule}; {remedy}")
        stated.append(Withdrawal(model, reason.strip()))
    return tuple(stated)


def main(arguments: Sequence[str] | None = None) -> int:
    """Withdraw a model: it answers 410 with the reason, within seconds and without a restart."""
    parser = argparse.ArgumentParser(prog="python -m serving.withdraw", description=main.__doc__)
    parser.add_argument("model", metavar="MODEL", help="its id, or id@sha256:... for one version")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; callers are told")
    parser.add_argument("--file", metavar="FILE", help=f"else what {WITHDRAWN_VARIABLE} names")
    chosen = parser.parse_args(arguments)
    reason = " ".join(chosen.reason.split())
    path = chosen.file or os.environ.get(WITHDRAWN_VARIABLE, "").strip()
    if rule := _broken(chosen.model, reason):
        parser.error(rule)
    if not path:
        parser.error(
            f"there is no file to write to; give --file, the one that {WITHDRAWN_VARIABLE} names "
            "where the service runs"
        )
    try:
        _append(path, f"{chosen.model} {reason}\n")
    except OSError as error:
        parser.error(f"{path} cannot be written ({error.strerror}); write the line where it can")
    print(f"{chosen.model} is withdrawn in {path}; GET /v1/models shows it within 5 seconds")
    return 0


def _append(path: str, line: str) -> None:
    """Add a line in one go, after a line's end: who reads meanwhile sees all of it or nothing."""
    with open(path, "a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = f"\n{line}"
        os.write(file.fileno(), line.encode())
        os.fsync(file.fileno())


def _broken(model: str, reason: str) -> str:
    if not MODEL.fullmatch(model):
        return "first must stand the id of a model, with or without @sha256:..."
    if not reason or len(reason) > LONGEST or not reason.isprintable():
        return f"after the model must stand the reason, at most {LONGEST} printable characters"
    return ""


if __name__ == "__main__":
    sys.exit(main())

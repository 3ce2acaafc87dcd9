"""Who may ask: bearer tokens, of which the service keeps only hashes.

``python -m serving.tokens NAME`` makes a token. It prints the token once, for the client, and the
line for the file that `RISKSCORE_TOKENS_FILE` names, which holds one token a line::

    # name        sha256 of the token                        what for (optional)
    ward-3        9f86d081884c7d659a2feaa0c55ad015a3bf4f...
    prometheus    60303ae22b998861bce3b28f33eec1be758a2...   metrics

A token is 32 random bytes, so one round of SHA-256 keeps it as well as a slow hash would. The file
is read again whenever it changes: add a line to admit, remove it to shut out, and no restart. Write
the new file beside the old and rename it into place. Whatever cannot be read lets nobody in.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from riskscore.errors import RiskscoreError

__all__ = ["TOKENS_VARIABLE", "Token", "TokenFileError", "Tokens", "main"]

TOKENS_VARIABLE = "RISKSCORE_TOKENS_FILE"
"""Environment variable: the file of hashed tokens; unset, the service listens on loopback alone."""

METRICS = "metrics"
PURPOSES = ("predict", METRICS)
"""What a token may be for; one whose line names no purpose is for both."""

BEARER = b"bearer "
LONGEST = 4096
"""Bytes of the header Authorization that are looked at."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HASH = re.compile(r"[0-9a-f]{64}")


class TokenFileError(RiskscoreError):
    """The file of tokens cannot be read, or breaks a rule; the message says which."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file: a name for the log, the token's hash, what it is for."""

    name: str
    digest: bytes
    purposes: tuple[str, ...] = PURPOSES

    def allows(self, path: str) -> bool:
        """Whether the token may ask for `path`."""
        return (METRICS if path == "/metrics" else "predict") in self.purposes


class Tokens:
    """The tokens of a file, read when they are first asked for, and again when it changes.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._error = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Tokens | None:
        """Return the tokens that `RISKSCORE_TOKENS_FILE` names, None if it names none."""
        path = environment.get(TOKENS_VARIABLE, "")
        return cls(Path(path)) if path.strip() else None

    def check(self) -> None:
        """Read the file now, or raise `TokenFileError`: unreadable, a broken rule, no token."""
        self._current()

    def holder(self, authorization: bytes) -> Token | None:
        """Return the token that a header Authorization presents, None if it is none of ours.

        Every hash is compared, each in constant time: how long a refusal takes tells nothing.

        Raises
        ------
        TokenFileError
            If the file cannot be read: nobody is let in.
        """
        tokens = self._current()
        if len(authorization) > LONGEST or authorization[: len(BEARER)].lower() != BEARER:
            return None
        digest = hashlib.sha256(authorization[len(BEARER) :].strip(b" ")).digest()
        found = None
        for token in tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def _current(self) -> tuple[Token, ...]:
        try:
            status = self.path.stat()
        except OSError as error:
            self._stamp = None
            raise _unreadable(self.path, error) from None
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._tokens, self._error = (), ""
            try:
                self._tokens = read_tokens(self.path)
            except TokenFileError as error:
                self._error = str(error)
            self._stamp = stamp
        if self._error:
            raise TokenFileError(self._error)
        return self._tokens


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Read a file of tokens, or raise `TokenFileError` naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    tokens: list[Token] = []
    for number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        name, digest, *purposes = [*words, ""][: max(2, len(words))]
        # Neither the name nor the hash is quoted: a line may hold a token by mistake.
        rule = (
            "the name must be letters, digits, dot, dash or underscore"
            if not NAME.fullmatch(name)
            else "a name must not repeat"
            if any(token.name == name for token in tokens)
            else "after the name must stand 64 hexadecimal digits, the SHA-256 of the token"
            if not HASH.fullmatch(digest)
            else f"after the hash may stand {' or '.join(PURPOSES)}"
            if not set(purposes) <= set(PURPOSES)
            else ""
        )
        if rule:
            remedy = "`python -m serving.tokens NAME` prints a right line"
            raise TokenFileError(f"{TOKENS_VARIABLE}: {path}, line {number}: {rule}; {remedy}")
        tokens.append(Token(name, bytes.fromhex(digest), tuple(purposes) or PURPOSES))
    if not tokens:
        remedy = "make one with `python -m serving.tokens NAME`"
        raise TokenFileError(f"{TOKENS_VARIABLE}: {path} holds no token; {remedy}")
    return tuple(tokens)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a token: print it on standard error, and its line for the file on standard output."""
    parser = argparse.ArgumentParser(prog="python -m serving.tokens", description=main.__doc__)
    parser.add_argument("name", metavar="NAME", help="whose it is, as the audit log will say")
    parser.add_argument("purposes", nargs="*", metavar="FOR", help=f"{' or '.join(PURPOSES)}")
    chosen = parser.parse_args(arguments)
    if not NAME.fullmatch(chosen.name) or not set(chosen.purposes) <= set(PURPOSES):
        parser.error(f"NAME is letters, digits and ._-; FOR is {' or '.join(PURPOSES)}")
    token = secrets.token_urlsafe(32)
    line = " ".join([chosen.name, hashlib.sha256(token.encode()).hexdigest(), *chosen.purposes])
    print(f"Give this to the client, it is not kept:  {token}", file=sys.stderr)
    print(line)
    return 0


def _unreadable(path: Path, error: Exception) -> TokenFileError:
    reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
    return TokenFileError(
        f"{TOKENS_VARIABLE}: {path} cannot be read ({reason}); mend it, or name another file"
    )


if __name__ == "__main__":
    sys.exit(main())

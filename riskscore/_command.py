"""What the command lines of every room share: errors told on standard error, exit status 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from riskscore.errors import RiskscoreError

__all__ = ["BAD_INPUT", "INTERRUPTED", "count", "names", "run_command", "times"]

BAD_INPUT = 2
"""Exit status when what was given breaks a rule; argparse uses it too."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, call the chosen command's `run`, and return the exit status."""
    chosen = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    try:
        return run(chosen)
    except RiskscoreError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        print(
            f"{parser.prog}: {error.filename2 or error.filename}: {error.strerror}", file=sys.stderr
        )
        return BAD_INPUT


def names(text: str) -> tuple[str, ...]:
    """Read "a,b" as two names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def count(text: str) -> int:
    """Read a whole number of 0 or more, for argparse to report when it is none."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def times(text: str) -> list[float]:
    """Read "6,12" as two numbers, for argparse to report when they are not."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 6,12,24") from error

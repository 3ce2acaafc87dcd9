"""Showing that something goes on: on a terminal, and in silence when piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.status import Status

__all__ = ["doing", "working"]

_status: ContextVar[Status | None] = ContextVar("status", default=None)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show `what` with a spinner on standard error while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what) as status:
        token = _status.set(status)
        try:
            yield
        finally:
            _status.reset(token)


def doing(what: str) -> None:
    """Say which step of `working` goes on; nothing where nobody watches."""
    if status := _status.get():
        status.update(what)

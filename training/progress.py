"""Showing that something goes on: on a terminal, and in silence when piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["working"]


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show `what` with a spinner on standard error while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield

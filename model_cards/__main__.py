"""The command line: ``python -m model_cards render BUNDLE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_cards.filling import card_of
from model_cards.render import render_markdown
from riskscore._command import run_command
from riskscore.bundle import find_bundle
from riskscore.tables import write_atomically

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 with the reason on standard error."""
    return run_command(_parser(), arguments)


def _render(chosen: argparse.Namespace) -> int:
    text = render_markdown(card_of(chosen.bundle))
    if chosen.out == "-":
        sys.stdout.write(text)
        return 0
    target = find_bundle(chosen.bundle) / "card.md" if chosen.out is None else Path(chosen.out)
    with write_atomically(target) as partial:
        partial.write_text(text, encoding="utf-8")
    print(target)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_cards",
        description="Write the card of a model, complete or not at all.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    render = commands.add_parser(
        "render",
        help="write a bundle's card as Markdown",
        description="Write a bundle's card as Markdown. A missing or empty field is an error.",
    )
    render.add_argument(
        "bundle", metavar="BUNDLE", help="id of a shipped model, or a bundle's folder"
    )
    render.add_argument(
        "--out",
        metavar="FILE",
        help='file to write; "-" prints it (default: card.md in the bundle)',
    )
    render.set_defaults(run=_render)
    return parser


if __name__ == "__main__":
    sys.exit(main())

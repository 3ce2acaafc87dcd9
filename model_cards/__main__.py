"""The command line: ``python -m model_cards render BUNDLE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_cards.filling import card_of
from model_cards.render import render_markdown
from riskscore.bundle import find_bundle
from riskscore.errors import RiskscoreError
from riskscore.tables import write_atomically

__all__ = ["main"]

BAD_INPUT = 2
"""Exit status when no card can be made, as argparse has it for a wrong command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 with the reason on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        _render(parsed.bundle, parsed.out)
    except RiskscoreError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        # Its text names the file: a folder that may not be written to, a target that is a folder.
        print(f"error: the card cannot be written: {error}", file=sys.stderr)
    else:
        return 0
    return BAD_INPUT


def _render(bundle: str, out: str | None) -> None:
    text = render_markdown(card_of(bundle))
    if out == "-":
        sys.stdout.write(text)
        return
    target = find_bundle(bundle) / "card.md" if out is None else Path(out)
    with write_atomically(target) as partial:
        partial.write_text(text, encoding="utf-8")
    print(target)


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
    return parser


if __name__ == "__main__":
    sys.exit(main())

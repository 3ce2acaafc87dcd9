"""The command line: ``python -m model_cards new | render | check | all | review``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_cards.filling import card_of
from model_cards.index import INDEX, render_index
from model_cards.render import render_markdown
from model_cards.rendering import differences, render_all, write_all
from model_cards.reviewing import add_review_command
from model_cards.statements import HERE, STATEMENTS, folder_of, source_of, template
from riskscore._command import run_command
from riskscore.bundle import find_bundle, open_bundle, shipped_bundles
from riskscore.errors import RiskscoreError
from riskscore.tables import write_atomically

__all__ = ["main"]

DIFFERS = 1
"""Exit status when a committed card is not its bundle's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 with the reason, or 1 if a card differs."""
    return run_command(_parser(), arguments)


def _new(chosen: argparse.Namespace) -> int:
    bundle = open_bundle(chosen.bundle)
    target = bundle.path / STATEMENTS if chosen.out is None else Path(chosen.out)
    if target.exists():
        raise RiskscoreError(f"{target} exists; answer its questions, or remove it first")
    with write_atomically(target) as partial:
        partial.write_text(template(source_of(bundle)), encoding="utf-8")
    print(target)
    return 0


def _render(chosen: argparse.Namespace) -> int:
    if len(chosen.bundles) > 1 and (chosen.out or chosen.statements):
        option = "--out" if chosen.out else "--statements"
        raise RiskscoreError(f"{option} is for one bundle, got {len(chosen.bundles)}; leave it out")
    cards = [card_of(bundle, chosen.statements) for bundle in chosen.bundles]
    if chosen.out == "-":
        sys.stdout.write(render_markdown(cards[0]))
        return 0
    written: list[Path] = []
    for bundle, card in zip(chosen.bundles, cards, strict=True):
        written += write_all(card, find_bundle(bundle) if chosen.out is None else Path(chosen.out))
    for path in written:  # after all is written: a reader such as head may stop the program here
        print(path)
    return 0


def _check(chosen: argparse.Namespace) -> int:
    root = Path(chosen.cards)
    shipped = chosen.bundles == []
    cards = [card_of(bundle) for bundle in chosen.bundles or sorted(shipped_bundles())]
    found = [
        line
        for card in cards
        for line in differences(render_all(card), folder_of(card.identity.id, root))
    ]
    if shipped:  # the index is of all of them
        found += differences({INDEX: render_index(cards)}, root)
    for line in found:
        print(line)
    print(f"{len(cards)} cards, {len(found)} differences")
    return DIFFERS if found else 0


def _commit(chosen: argparse.Namespace) -> int:
    root = Path(chosen.cards)
    cards = [card_of(model) for model in sorted(shipped_bundles())]
    for card in cards:
        write_all(card, folder_of(card.identity.id, root))
    with write_atomically(root / INDEX) as partial:
        partial.write_text(render_index(cards), encoding="utf-8")
    print(f"{len(cards)} cards and {INDEX} in {root}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_cards",
        description="Write the card of a model, complete or not at all.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    which = "id of a shipped model, or a bundle's folder"

    new = commands.add_parser(
        "new",
        help="write the questions that only people can answer, for a bundle of yours",
        description="Write a file of statements to answer. A card is made once all are answered.",
    )
    new.add_argument("bundle", metavar="BUNDLE", help=which)
    new.add_argument("--out", metavar="FILE", help=f"default: {STATEMENTS} in the bundle")
    new.set_defaults(run=_new)

    render = commands.add_parser(
        "render",
        help="write a bundle's card in every format",
        description="Write the card of each bundle in every format. What is missing, empty, or "
        "still at its default is an error, and all of it is listed.",
    )
    render.add_argument("bundles", metavar="BUNDLE", nargs="+", help=which)
    render.add_argument(
        "--out",
        metavar="DIR",
        help='folder to write into; "-" prints the Markdown (default: the bundle)',
    )
    render.add_argument(
        "--statements",
        metavar="FILE",
        help=f"what is stated by hand (default: {STATEMENTS} in the bundle, else this project's)",
    )
    render.set_defaults(run=_render)

    check = commands.add_parser(
        "check",
        help="fail if a committed card differs from its bundle",
        description="Render the cards again and compare: exit status 1 names each file that "
        "differs and its first such line.",
    )
    check.add_argument(
        "bundles",
        metavar="BUNDLE",
        nargs="*",
        help=f"{which} (default: all shipped, and the index)",
    )
    commit = commands.add_parser(
        "all",
        help="write the cards of the shipped models and the index that compares them",
        description="Write the cards of the shipped models and the index that compares them.",
    )
    for command in (check, commit):
        command.add_argument(
            "--cards", metavar="DIR", default=str(HERE), help="folder of the committed cards"
        )
    add_review_command(commands, which)
    check.set_defaults(run=_check)
    commit.set_defaults(run=_commit)
    return parser


if __name__ == "__main__":
    sys.exit(main())

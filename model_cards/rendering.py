"""Every format of the card: the table of renderers, writing all, comparing with what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model_cards.as_json import render_json
from model_cards.card import Card
from model_cards.chai import render_chai
from model_cards.front_matter import front_matter
from model_cards.html import render_html
from model_cards.render import render_markdown
from riskscore.tables import write_atomically

__all__ = ["RENDERERS", "differences", "render_all", "write_all"]


def _markdown(card: Card) -> str:
    return front_matter(card) + render_markdown(card, anchors=True)


RENDERERS: dict[str, Callable[[Card], str]] = {
    "card.md": _markdown,
    "card.html": render_html,
    "card.chai.xml": render_chai,
    "card.json": render_json,
}
"""Each file of a card and what writes its text; nothing in it depends on when it is rendered."""


def render_all(card: Card) -> dict[str, str]:
    """Return the text of every file, or raise before any is written."""
    return {name: render(card) for name, render in RENDERERS.items()}


def write_all(card: Card, folder: Path) -> list[Path]:
    """Write every file into a folder, which is made if need be, and return their paths."""
    texts = render_all(card)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with write_atomically(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def differences(texts: dict[str, str], folder: Path) -> list[str]:
    """Return a line for every file that is not what it should be: its first differing line."""
    found = []
    for name, text in texts.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path} is missing")
            continue
        there, wanted = path.read_text(encoding="utf-8").split("\n"), text.split("\n")
        if there == wanted:
            continue
        pairs = zip(there, wanted, strict=False)
        line = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(there), len(wanted)))
        old = there[line] if line < len(there) else "(the end)"
        new = wanted[line] if line < len(wanted) else "(the end)"
        found.append(f"{path}, line {line + 1}: is {_cut(old)}, should be {_cut(new)}")
    return found


def _cut(line: str) -> str:
    return repr(line if len(line) <= 100 else line[:97] + "...")

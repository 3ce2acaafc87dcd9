"""The card as one HTML file: no script, nothing fetched, prints on A4.

The words are those of the Markdown, read by a CommonMark parser that lets no HTML through, so that
both say the same; here they get an order for paper, section ids and tables a screen reader can use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from model_cards.card import Card
from model_cards.limitations import main_warnings
from model_cards.render import render_markdown

__all__ = ["render_html"]

TEMPLATES = Path(__file__).parent / "templates"

ANCHOR = re.compile(r'^<a id="([a-z]+)"></a>\n+(?=## )', re.MULTILINE)
"""The only HTML of the Markdown card: an anchor before a section's heading."""

SECTION = re.compile(r"^(?=## )", re.MULTILINE)

FIRST_PAGE = ("summary",)
"""What who is in a hurry gets, with `WARNINGS`: what it predicts, for whom, how good, how sure."""

WARNINGS = 3
"""How many kinds of limitations stand on the first page, those of most weight."""


def render_html(card: Card) -> str:
    """Return the card as one self-contained HTML document.

    Raises
    ------
    CardError
        If a field of the card holds nothing; every one is listed.
    """
    text = render_markdown(card, anchors=True)
    ids = {text[found.end() :].split("\n", 1)[0]: found[1] for found in ANCHOR.finditer(text)}
    head, *sections = SECTION.split(ANCHOR.sub("", text))
    named = [(ids.get(section.split("\n", 1)[0], ""), _html(section)) for section in sections]
    first = [found for name in FIRST_PAGE for found in named if found[0] == name]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True
    )
    return environment.get_template("card.html.j2").render(
        title=f"{card.question.outcome}: {card.question.title}",
        head=_html(head),
        first=first,
        warnings=main_warnings(card)[:WARNINGS],
        limitations=len(card.limitations),
        not_for=card.statements.use.out_of_scope,
        plots=[(plot.title, Markup(plot.draw())) for plot in card.performance.plots],
        nomogram=card.nomogram and (card.nomogram.title, Markup(card.nomogram.draw())),
        rest=[section for section in named if section not in first],
    )


def _html(markdown: str) -> Markup:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _name_headers(tokens)
    # The parser escapes all text, and raw HTML is off.
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def _name_headers(tokens: Sequence[Token]) -> None:
    """Give each header cell its scope; what has no text is no header."""
    for i, token in enumerate(tokens):
        if token.type not in ("th_open", "th_close"):
            continue
        content = tokens[i + 1] if token.type == "th_open" else tokens[i - 1]
        if not content.content.strip():
            token.tag = "td"
        elif token.type == "th_open":
            token.attrSet("scope", "col")

"""Would a clinician sign this? The card of a model, written from its bundle alone.

`card_of` fills the card from the bundle and the statements made by hand, or lists every blank;
`render_all` writes every format. On the command line: ``python -m model_cards new BUNDLE`` for the
questions that only people can answer, then ``render BUNDLE``.
"""

from model_cards.card import Card
from model_cards.completeness import blanks
from model_cards.errors import CardError
from model_cards.filling import card_of
from model_cards.render import render_markdown
from model_cards.rendering import render_all, write_all

__all__ = ["Card", "CardError", "blanks", "card_of", "render_all", "render_markdown", "write_all"]

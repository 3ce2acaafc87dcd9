"""Would a clinician sign this? The card of a model, written from its bundle alone.

`card_of` fills the card or lists every blank, `render_markdown` writes it; on the command line,
``python -m model_cards render BUNDLE``.
"""

from model_cards.card import Card
from model_cards.completeness import blanks
from model_cards.errors import CardError
from model_cards.filling import card_of
from model_cards.render import render_markdown

__all__ = ["Card", "CardError", "blanks", "card_of", "render_markdown"]

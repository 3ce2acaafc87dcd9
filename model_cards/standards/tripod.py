"""The 27 items of TRIPOD+AI: where in the card each is answered, or why it does not apply.

Source: Collins et al., BMJ 385 (2024) e078378.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model_cards.card import Card, EmptyMeans

__all__ = ["Item", "items"]


@dataclass(frozen=True)
class Item:
    """One item: the sections that answer it, or the reason why it does not apply."""

    number: int
    title: str
    sections: Annotated[tuple[str, ...], EmptyMeans("the item does not apply")]
    not_applicable: Annotated[str, EmptyMeans("the item is answered in the sections")]


WHERE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Title", ("summary",)),
    ("Abstract", ("summary",)),
    ("Background", ("statements", "purpose")),
    ("Objectives", ("statements",)),
    ("Data", ("data",)),
    ("Participants", ("purpose", "statements")),
    ("Data preparation", ("data", "statements")),
    ("Outcome", ("purpose", "statements")),
    ("Predictors", ("predictors", "statements")),
    ("Sample size", ("statements", "limitations")),
    ("Missing data", ("data", "statements")),
    ("Analytical methods", ("model", "performance")),
    ("Class imbalance", ()),
    ("Fairness", ("statements",)),
    ("Model output", ("summary", "model")),
    ("Training versus evaluation", ("performance", "statements")),
    ("Ethical approval", ("statements",)),
    ("Open science", ("statements", "reproduce")),
    ("Patient and public involvement", ("statements",)),
    ("Participants: flow and characteristics", ("data", "predictors")),
    ("Model development: numbers in each analysis", ("data", "performance")),
    ("Model specification", ("model", "reproduce")),
    ("Model performance", ("performance",)),
    ("Model updating", ()),
    ("Interpretation", ("summary", "limitations")),
    ("Limitations", ("limitations",)),
    ("Usability", ("statements", "reproduce")),
)
"""Title and sections of every item, in order; no section where the item does not apply."""

NOT_APPLICABLE = {
    13: (
        "No method for imbalance was used: events are modelled at their times, with those who "
        "had none censored, so there are no classes to balance and no recalibration is needed."
    ),
    24: (
        "The model was developed, not updated from an earlier one. How it would be updated is "
        "told with its maintenance."
    ),
}
"""Why an item does not apply, by its number."""


def items(card: Card) -> tuple[Item, ...]:
    """Return the 27 items; where the knowledge comes from is a section of some cards only."""
    has_source = card.audit is not None or card.draws is not None
    return tuple(
        Item(
            number,
            title,
            (*sections, "source") if has_source and number in (5, 26) else sections,
            NOT_APPLICABLE.get(number, ""),
        )
        for number, (title, sections) in enumerate(WHERE, start=1)
    )

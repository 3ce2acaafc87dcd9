"""The card as JSON: all that it says, and how it answers HTI-1 and TRIPOD+AI."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from model_cards.card import Card
from model_cards.completeness import blanks
from model_cards.errors import CardError
from model_cards.standards import items, source_attributes

__all__ = ["DIGITS", "render_json", "rounded"]

DIGITS = 10
"""Significant digits of a number: the last bits may differ between machines, these do not."""


def render_json(card: Card) -> str:
    """Return the card as JSON: "card", "hti_1" (31 attributes) and "tripod_ai" (27 items).

    Raises
    ------
    CardError
        If a field of the card or an answer to a standard holds nothing; every one is listed.
    """
    attributes, tripod = source_attributes(card), items(card)
    found = [*blanks(card), *blanks(attributes, "hti_1"), *blanks(tripod, "tripod_ai")]
    if found:
        raise CardError(found, card.identity.id or "card")
    said = asdict(card)
    del said["performance"]["plots"], said["nomogram"]  # pictures of figures that are there
    content = {
        "format": 1,
        "card": said,
        "hti_1": [asdict(item) for item in attributes],
        "tripod_ai": [asdict(item) for item in tripod],
    }
    return json.dumps(rounded(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rounded(value: Any) -> Any:
    """Return the value with every number in it cut to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value

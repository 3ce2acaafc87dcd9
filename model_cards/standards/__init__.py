"""How a card answers the reporting standards: each a list of items, in the standard's order."""

from model_cards.standards.hti1 import SourceAttribute, source_attributes
from model_cards.standards.tripod import Item, items

__all__ = ["Item", "SourceAttribute", "items", "source_attributes"]

"""The figures of a card, drawn from a bundle's JSON alone: positions, and no computing."""

from model_cards.plots.hazard_ratios import draw_hazard_ratios
from model_cards.plots.schoenfeld import draw_schoenfeld
from model_cards.plots.style import save

__all__ = ["draw_hazard_ratios", "draw_schoenfeld", "save"]

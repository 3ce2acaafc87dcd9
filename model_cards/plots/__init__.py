"""The figures of a card, drawn from a bundle's JSON alone: positions, and no computing."""

from model_cards.plots.auc import draw_auc
from model_cards.plots.calibration import draw_calibration
from model_cards.plots.decision_curve import draw_decision_curve
from model_cards.plots.hazard_ratios import draw_hazard_ratios
from model_cards.plots.instability import draw_instability
from model_cards.plots.schoenfeld import draw_schoenfeld
from model_cards.plots.style import inline_svg, save

__all__ = [
    "draw_auc",
    "draw_calibration",
    "draw_decision_curve",
    "draw_hazard_ratios",
    "draw_instability",
    "draw_schoenfeld",
    "inline_svg",
    "save",
]

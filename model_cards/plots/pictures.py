"""The pictures that a card shows: which there are is known at once, drawing waits for the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from model_cards.card import Plot
from model_cards.plots.auc import draw_auc
from model_cards.plots.calibration import draw_calibration
from model_cards.plots.decision_curve import draw_decision_curve
from model_cards.plots.instability import draw_instability
from model_cards.plots.style import inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from riskscore.model import RiskModel

__all__ = ["nomogram", "pictures"]

Draw = Callable[[dict[str, Any], str], "Figure | None"]

PICTURES: tuple[tuple[str, str, Draw], ...] = (
    (
        "Calibration: the share that had the event against the predicted risk",
        "calibration_curve",
        draw_calibration,
    ),
    ("Decision curve: net benefit of acting on the model", "decision_curve", draw_decision_curve),
    ("Instability: how far refits on resamples disagree", "instability", draw_instability),
    ("AUC by time", "auc", draw_auc),
)
"""Each picture's title, the key of what it is drawn from, and what draws it."""


def pictures(validation: dict[str, Any], unit: str) -> tuple[Plot, ...]:
    """Return the pictures of a validation that has their points; none is drawn yet.

    Parameters
    ----------
    validation : dict
        `validation` of an `evaluation.json`.
    unit : str
        Of time: "month".
    """
    return tuple(
        Plot(title, _drawer(draw, validation, unit, title))
        for title, key, draw in PICTURES
        if _has(validation, key)
    )


def nomogram(model: RiskModel) -> Plot:
    """Return the nomogram of a Cox model, not yet drawn."""
    title = "Nomogram: add the points of each line, and read survival below the total"

    def drawn() -> str:
        import matplotlib.pyplot as plt

        figure = model.nomogram().plot()
        plt.close(figure)  # pyplot would keep it
        for part in figure.findobj():
            part.set_clip_on(False)  # a clip would refer to another element of the page
        return inline_svg(figure, title)

    return Plot(title, drawn)


def _has(validation: dict[str, Any], key: str) -> bool:
    if key == "instability":
        return bool(validation.get(key))
    found = [at[key] for at in validation.get("horizons", ()) if at[key]]
    return any(one["value"] is not None for one in found) if key == "auc" else bool(found)


def _drawer(draw: Draw, validation: dict[str, Any], unit: str, title: str) -> Callable[[], str]:
    def drawn() -> str:
        figure = draw(validation, unit)
        if figure is None:
            raise ValueError(f"the validation has no points for the picture {title!r}")
        return inline_svg(figure, title)

    return drawn

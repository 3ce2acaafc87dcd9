"""Decision curves: the net benefit of treating by the model, all, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_cards.plots._validation import band, note_of, panels
from model_cards.plots.style import GREY, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_decision_curve"]


def draw_decision_curve(validation: dict[str, Any], unit: str) -> Figure | None:
    """Draw the decision curves of a validation; the arguments are `draw_calibration`'s."""
    found = [at for at in validation.get("horizons", ()) if at["decision_curve"]]
    if not found:
        return None
    note = (
        f"Blue: by the model, {note_of(validation)}, 95 % interval. Orange: everybody. "
        "Grey: nobody.\nThe model is worth using at thresholds where blue lies above both."
    )
    return panels(found, unit, note, _panel)


def _panel(axes: Axes, at: dict[str, Any]) -> None:
    curve = at["decision_curve"]
    x, everybody = curve["thresholds"], curve["treat_all"]
    band(axes, x, curve["model"])
    axes.plot(x, everybody, color=RED, lw=1.0, zorder=2)
    axes.axhline(0, color=GREY, lw=0.8, zorder=1)
    most = max(v for v in [*everybody, *curve["model"]["value"]] if v is not None)
    top = 1.15 * max(most, 0.02)
    axes.set(xlim=(0, 1), ylim=(-0.35 * top, top))
    axes.set(xlabel="threshold of risk", ylabel="net benefit")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])

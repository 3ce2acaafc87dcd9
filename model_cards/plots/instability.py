"""Instability plots: what models of other samples would predict for the same patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_cards.plots._validation import panels
from model_cards.plots.style import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_instability"]


def draw_instability(validation: dict[str, Any], unit: str) -> Figure | None:
    """Draw the predictions of the refits against the model's own.

    The arguments are `draw_calibration`'s; None where nothing was refitted.
    """
    found = validation.get("instability")
    if not found:
        return None
    note = (
        f"Predictions of {found['refits']} models of resamples, for groups of "
        f"{found['least_in_a_bin']} or more patients: median,\n"
        "middle half (dark) and 95 % (light). MAPE: a patient's mean change of risk. On the line, "
        "nothing changes."
    )
    return panels(found["horizons"], unit, note, _panel)


def _panel(axes: Axes, at: dict[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
    for one in at["bins"]:
        x, (low, lower, middle, upper, high) = one["risk"], one["refits"]
        axes.plot([x, x], [low, high], color=BLUE, lw=2.2, alpha=0.25, solid_capstyle="butt")
        axes.plot([x, x], [lower, upper], color=BLUE, lw=2.2, alpha=0.6, solid_capstyle="butt")
        axes.plot([x], [middle], "o", ms=2.2, color=BLUE, mec="none", zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="risk by the model", ylabel="risk by refits")
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.text(0.04, 0.97, f"MAPE {at['mape']:.3f}", fontsize=7, va="top", transform=axes.transAxes)

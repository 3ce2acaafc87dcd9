"""Discrimination over time: the AUC at each horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_cards.plots._validation import note_of
from model_cards.plots.style import BLUE, GREY, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_auc"]

SIZE = (3.6, 2.7)


def draw_auc(validation: dict[str, Any], unit: str) -> Figure | None:
    """Draw the AUC at each horizon with its interval; the arguments are `draw_calibration`'s."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    found = [
        (at["horizon"], at["auc"])
        for at in validation.get("horizons", ())
        if at["auc"] and at["auc"]["value"] is not None
    ]
    if not found:
        return None
    layout = ConstrainedLayoutEngine(rect=(0, 0.12, 1, 0.88))
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=SIZE, layout=layout)
        axes = figure.subplots()
        axes.axhline(0.5, color=GREY, lw=0.8, ls="--", zorder=0)
        axes.plot([x for x, _ in found], [a["value"] for _, a in found], color=BLUE, lw=0.8)
        lowest = 0.5
        for x, auc in found:
            if auc["lower"] is not None and auc["upper"] is not None:
                axes.plot([x, x], [auc["lower"], auc["upper"]], color=BLUE, lw=1.2)
                lowest = min(lowest, auc["lower"])
            axes.plot([x], [auc["value"]], "s", ms=4.5, color=BLUE)
            axes.annotate(
                f"{auc['value']:.2f}", (x, auc["value"]), (5, -10), textcoords="offset points",
                fontsize=7,
            )  # fmt: skip
        axes.set(ylim=(max(lowest - 0.05, 0), 1), xlabel=f"{unit}s", ylabel="AUC")
        axes.set_xlim(0, found[-1][0] * 1.12)
        axes.set_xticks([x for x, _ in found])
        text = f"{note_of(validation).capitalize()}, 95 % intervals.\nDashed: chance."
        figure.text(0.01, 0.01, text, color=GREY, fontsize=7, va="bottom")
    return figure

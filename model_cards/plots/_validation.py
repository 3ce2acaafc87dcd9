"""What the plots of a validation share: a panel a horizon, and a band that may be absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from model_cards.plots.style import BLUE, GREY, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["band", "holds", "note_of", "panels"]

COLUMNS = 4
PANEL = 2.2
"""Width and height of a panel, in inches."""

METHODS = {
    "bootstrap": "corrected for optimism by bootstrap",
    "oob": "out-of-bag",
    "632plus": ".632+ where defined, else patients left out of resamples",
    "cv": "cross-validated",
    "temporal": "later patients",
}


def panels(
    found: list[dict[str, Any]],
    unit: str,
    note: str,
    draw: Callable[[Axes, dict[str, Any]], None],
    height: float = PANEL,
) -> Figure:
    """Return a figure with a panel for each horizon, and a note beneath."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(COLUMNS, len(found))
    lines = -(-len(found) // columns)
    tall = height * lines + 0.45
    layout = ConstrainedLayoutEngine(rect=(0, 0.4 / tall, 1, 1 - 0.4 / tall))
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(max(PANEL * columns, 3.4), tall), layout=layout)
        places = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, at in zip(places, found, strict=False):
            axes.set_title(f"{at['horizon']:g} {unit}s", fontsize=8, loc="left")
            axes.tick_params(labelsize=7)
            draw(axes, at)
        for axes in places[len(found) :]:
            axes.set_visible(False)
        figure.text(0.01, 0.04 / tall, note, color=GREY, fontsize=7, va="bottom")
    return figure


def band(axes: Axes, x: list[float], one: dict[str, Any], middle: str = "value") -> None:
    """Draw a curve with its interval, where it has one; None leaves a gap."""
    if holds(one.get("lower")) and holds(one.get("upper")):
        axes.fill_between(x, _gaps(one["lower"]), _gaps(one["upper"]), color=BLUE, alpha=0.2, lw=0)
    axes.plot(x, _gaps(one[middle]), color=BLUE, lw=1.4, zorder=3)


def holds(values: list[float | None] | None) -> bool:
    """Return whether there is anything to draw."""
    return bool(values) and any(v is not None for v in values or ())


def note_of(validation: dict[str, Any]) -> str:
    """Return which patients the figures are of."""
    method = str(validation["method"])
    return METHODS.get(method, method)


def _gaps(values: list[float | None]) -> list[float]:
    return [float("nan") if v is None else v for v in values]

"""The forest plot of a Cox model: each contrast's hazard ratio with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_cards.formats import against, p_value, ratio
from model_cards.plots.style import BLUE, GREY, STYLE, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_hazard_ratios"]

ROW = 0.34
"""Height of a row, in inches."""
WIDTH = 7.2
LABEL = 44
"""Characters that fit left of the axis."""
MARKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
SHOWN = (0.01, 100.0)
"""Ratios the axis may reach; an interval beyond ends in an arrow."""


def draw_hazard_ratios(inference: dict[str, Any]) -> Figure:
    """Draw the contrasts of a Cox model's `inference.json`.

    With a ridge penalty the ratios stand alone, without intervals or P values.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = inference["contrasts"]
    shrunken = inference["penalty"] is not None
    height = ROW * len(rows) + 1.25
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(WIDTH, height))
        bottom, top = 0.72 / height, 1 - 0.53 / height
        axes = figure.add_axes((0.40, bottom, 0.30, top - bottom))
        low, high = _limits(rows)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.axvline(1, color=GREY, lw=0.8, ls="--", zorder=0)
        for i, row in enumerate(rows):
            if i % 2 == 0:
                axes.axhspan(i - 0.5, i + 0.5, color="#F3F3F3", zorder=-1, lw=0)
            y = top - (i + 0.5) / len(rows) * (top - bottom)
            figure.text(0.015, y + 0.075 / height, shortened(row["label"], LABEL), va="center")
            figure.text(
                0.03, y - 0.075 / height, shortened(_compared(row), LABEL), va="center",
                color=GREY, fontsize=7,
            )  # fmt: skip
            text = ratio(row["hazard_ratio"])
            if not shrunken:
                text += f" ({ratio(row['lower'])} to {ratio(row['upper'])})"
                figure.text(0.985, y, p_value(row["p"]), va="center", ha="right")
            figure.text(0.73, y, text, va="center")
            _draw(axes, row, i, (low, high), shrunken=shrunken)
        _decorate(axes, low, high)
        y = top + 0.18 / height
        figure.text(0.015, y, "All else being equal", weight="bold", va="center")
        figure.text(
            0.73, y, "Hazard ratio" if shrunken else "Hazard ratio (95 % CI)",
            weight="bold", va="center",
        )  # fmt: skip
        if not shrunken:
            figure.text(0.985, y, "P", weight="bold", va="center", ha="right")
        note = f"Variance: {inference['variance']}. Ties: {inference['ties'].capitalize()}."
        figure.text(0.015, 0.1 / height, note, color=GREY, fontsize=7, va="bottom")
    return figure


def _compared(row: dict[str, Any]) -> str:
    value, reference = row["value"], row["reference"]
    if isinstance(value, str):
        return f"{value} against {reference}"
    return against(value, reference, row["unit"])


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    ends = [row[k] for row in rows for k in ("lower", "hazard_ratio", "upper")]
    shown = [end for end in ends if end is not None]
    return max(min([0.5, *shown]) / 1.2, SHOWN[0]), min(max([2.0, *shown]) * 1.2, SHOWN[1])


def _decorate(axes: Axes, low: float, high: float) -> None:
    marks = [mark for mark in MARKS if low <= mark <= high]
    if len(marks) > 8:
        marks = [mark for mark in (0.01, 0.1, 1, 10, 100) if low <= mark <= high]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("sooner to the right of 1, later to the left", fontsize=7, color=GREY)


def _draw(
    axes: Axes, row: dict[str, Any], y: float, limits: tuple[float, float], *, shrunken: bool
) -> None:
    low, high = limits
    if not shrunken:
        start, end = max(row["lower"], low), min(row["upper"], high)
        if start < end:
            axes.plot([start, end], [y, y], color=BLUE, lw=1.2, solid_capstyle="butt")
        for beyond, at, marker in (
            (row["lower"] < low, low, "<"),
            (row["upper"] > high, high, ">"),
        ):
            if beyond:
                axes.plot([at], [y], marker=marker, ms=4, color=BLUE, clip_on=False)
    if low <= row["hazard_ratio"] <= high:
        axes.plot([row["hazard_ratio"]], [y], "s", ms=4.5, color=BLUE)

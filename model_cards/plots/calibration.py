"""Calibration plots: observed against predicted risk at each horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_cards.plots._validation import band, holds, note_of, panels
from model_cards.plots.style import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_calibration"]

FIGURES = (("observed_expected", "O/E"), ("slope", "slope"), ("ici", "ICI"))
"""Figures in a panel, by their key in a validation."""

RUG = 0.10
"""Height of the tallest bar of the histogram, as a part of the axis."""


def draw_calibration(validation: dict[str, Any], unit: str) -> Figure | None:
    """Draw the calibration curves of a validation.

    Parameters
    ----------
    validation : dict
        `validation` of an `evaluation.json`, or what `training validate --out` wrote.
    unit : str
        Of time: "month".

    Returns
    -------
    Figure or None
        None where no horizon has a curve.
    """
    found = [at for at in validation.get("horizons", ()) if at["calibration_curve"]]
    if not found:
        return None
    dashes = " Dashed: apparent." if "apparent" in found[0]["calibration_curve"] else ""
    censored = "calibration_follow_up" in validation
    note = (
        f"Blue: observed risk, {note_of(validation)}, 95 % interval.{dashes} "
        "Grey line: perfect.\nBars: patients by predicted risk. Above the line, the model "
        "underestimates."
    )
    if not censored:
        note += "\nComputed over the whole follow-up by an older version."
    # Slope and ICI over the whole follow-up are none of a horizon's.
    figures = FIGURES if censored else FIGURES[:1]
    return panels(found, unit, note, lambda axes, at: _panel(axes, at, figures))


def _panel(axes: Axes, at: dict[str, Any], figures: tuple[tuple[str, str], ...]) -> None:
    curve = at["calibration_curve"]
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
    band(axes, curve["predicted"], curve, "observed")
    if holds(curve.get("apparent")):
        axes.plot(curve["predicted"], curve["apparent"], color=BLUE, lw=0.9, ls="--", zorder=2)
    bars = curve.get("histogram") or at.get("histogram") or []
    if bars:
        width = 1 / len(bars)
        tallest = max(bars)
        axes.bar(
            [(k + 0.5) * width for k in range(len(bars))], [RUG * b / tallest for b in bars],
            width, color=GREY, alpha=0.5, lw=0, zorder=0,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted risk", ylabel="observed risk")
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    text = [
        f"{label} {at[name]['value']:.2f}"
        for name, label in figures
        if at.get(name) and at[name]["value"] is not None
    ]
    axes.text(0.04, 0.97, "\n".join(text), fontsize=7, va="top", transform=axes.transAxes)

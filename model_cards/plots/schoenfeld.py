"""The Schoenfeld plot of a Cox model: whether each effect holds at all times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model_cards.plots.style import BLUE, GREY, RED, STYLE, p_text, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_schoenfeld"]

COLUMNS = 3
PANEL = (2.5, 2.0)
"""Width and height of a panel, in inches."""
TICKS = 5


def draw_schoenfeld(inference: dict[str, Any], unit: str) -> Figure | None:
    """Draw the residuals, the smooth effect with its band, and the fitted effect, by predictor.

    Parameters
    ----------
    inference : dict
        A Cox model's `inference.json`.
    unit : str
        Of time: "month".

    Returns
    -------
    Figure or None
        None where a ridge penalty leaves nothing to test.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    found = inference["proportional_hazards"]
    if found is None:
        return None
    labels = {c["predictor"]: c["label"] for c in inference["contrasts"]}
    tests = found["terms"]
    columns = 2 if len(tests) == 4 else min(COLUMNS, len(tests))  # no panel alone in its row
    lines = -(-len(tests) // columns)
    height = PANEL[1] * lines + 0.55
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        layout = ConstrainedLayoutEngine(rect=(0, 0.5 / height, 1, 1 - 0.5 / height))
        figure = Figure(figsize=(PANEL[0] * columns + 0.2, height), layout=layout)
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, test in zip(panels, tests, strict=False):
            _panel(axes, found, test, labels[test["predictor"]], _fitted(inference, test), unit)
        for axes in panels[len(tests) :]:
            axes.set_visible(False)
        whole = found["global"]
        together = found["residuals"]["deaths_in_a_point"]
        points = "each event" if together == 1 else f"the mean of {together} or more events in turn"
        figure.text(
            0.01, 0.04 / height,
            f"Points: {points}. Blue: smooth effect, {found['smooth_band']}. Dashed: the effect "
            f"fitted.\nAll together: {p_text(whole['p'])}. A level blue line agrees with "
            "proportional hazards.",
            color=GREY, fontsize=7, va="bottom",
        )  # fmt: skip
    return figure


def _fitted(inference: dict[str, Any], test: dict[str, Any]) -> float:
    """Return the effect in the model: the coefficient, or 1 for a multiple of several."""
    own = [c["coef"] for c in inference["coefficients"] if c["predictor"] == test["predictor"]]
    return float(own[0]) if len(own) == 1 else 1.0


def _panel(
    axes: Axes,
    found: dict[str, Any],
    test: dict[str, Any],
    label: str,
    fitted: float,
    unit: str,
) -> None:
    points, curve = found["residuals"], found["smooth"][test["predictor"]]
    x, y = points["transformed"], points["scaled"][test["predictor"]]
    axes.plot(x, y, "o", ms=2, color=GREY, alpha=0.35, mec="none", zorder=1)
    axes.axhline(fitted, color=RED, lw=1.0, ls="--", zorder=2)
    if curve is not None:
        axes.fill_between(
            curve["transformed"], curve["lower"], curve["upper"], color=BLUE, alpha=0.2, lw=0
        )
        axes.plot(curve["transformed"], curve["effect"], color=BLUE, lw=1.4, zorder=3)
    ticks = _ticks(x, points["time"])
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.set_title(f"{shortened(label, 28)}, {p_text(test['p'])}", fontsize=8, loc="left")
    several = test["df"] > 1
    axes.set_ylabel("multiple of its effect" if several else "log hazard ratio")
    axes.set_xlabel(f"{unit}s")
    axes.tick_params(labelsize=7)


def _ticks(transformed: Sequence[float], time: Sequence[float]) -> list[tuple[float, str]]:
    """Return places of round times, spread evenly over the transformed axis."""
    spread = np.linspace(transformed[0], transformed[-1], TICKS + 2)[1:-1]
    rounded = {
        float(f"{t:.1g}" if t < 10 else f"{t:.2g}") for t in np.interp(spread, transformed, time)
    }
    return [(float(np.interp(t, time, transformed)), f"{t:g}") for t in sorted(rounded)]

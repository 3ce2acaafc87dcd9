"""The figures of a description, drawn from `describe.json` alone: positions, and no numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskscore.tables import write_atomically
from training.description.cells import p_text, ratio_text
from training.description.sections import term_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_forest", "draw_survival"]

# Okabe and Ito's colours, told apart by readers with any colour vision; lines differ too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")
GREY = "#666666"
SHADE = "#F3F3F3"
DPI = 200
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.linewidth": 0.8,
    "svg.hashsalt": "riskscore",
    "text.parse_math": False,  # a level such as "<$5" is no formula
    "svg.fonttype": "path",
}
LEVEL = 24
"""Characters of a level that fit beside the numbers at risk."""
BANDS = 3
"""More arms than this, and their bands would hide one another."""
ROW = 0.22
"""Height of a row of text, in inches."""
RATIO_MARKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
POWERS_OF_TEN = (0.01, 0.1, 1, 10, 100)
MOST_MARKS = 8
SHOWN_RATIOS = (RATIO_MARKS[0], RATIO_MARKS[-1])


def draw(source: Path, out: Path) -> list[tuple[str, str]]:
    """Draw every figure of a `describe.json` as SVG and PNG.

    Returns
    -------
    list of (caption, file name)
        The SVG files.
    """
    import matplotlib as mpl

    description = json.loads(source.read_text(encoding="utf-8"))
    made = []
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        for outcome in description["outcomes"]:
            label, name = outcome["label"], outcome["outcome"]
            figures = {
                f"kaplan-meier-{name}": (f"{label}, Kaplan-Meier", draw_survival),
                f"forest-{name}": (f"{label}, hazard ratios", draw_forest),
            }
            for stem, (caption, figure) in figures.items():
                _save(figure(description, outcome), out / stem)
                made.append((caption, f"{stem}.svg"))
    return made


def draw_survival(description: dict[str, Any], outcome: dict[str, Any]) -> Figure:
    """Draw the curves with their bands, and the numbers at risk under them."""
    from matplotlib.figure import Figure

    arms = outcome["arms"]
    below = 0.55 + ROW * (len(arms) + 1)
    height = 3.4 + below
    figure = Figure(figsize=(6.2, height))
    left = min(0.36, 0.05 + 0.0135 * max(len(_short(arm["level"], LEVEL)) for arm in arms))
    left = max(left, 0.11)
    axes = figure.add_axes((left, below / height, 0.97 - left, 3.25 / height))
    for a, arm in enumerate(arms):
        _curve(axes, arm, a, banded=len(arms) <= BANDS)
    unit = description["study"]["time_unit"]
    longest = outcome["follow_up"]["longest"]
    axes.set(
        xlim=(0, max(longest, outcome["ticks"][-1])), ylim=(0, 1.02),
        xticks=outcome["ticks"], yticks=[0, 0.25, 0.5, 0.75, 1],
        xlabel=f"{unit.capitalize()}s since {description['study']['time_origin']}",
        ylabel="\n".join(_split(outcome["label"], 44)),
    )  # fmt: skip
    axes.axhline(0.5, color=GREY, lw=0.6, ls=(0, (1, 3)), zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(arms) > 1:
        axes.legend(title=_title(description, outcome), frameon=False, loc="best", alignment="left")
    _numbers_at_risk(figure, axes, outcome, height)
    return figure


def _title(description: dict[str, Any], outcome: dict[str, Any]) -> str:
    title, test = str(description["by"]["label"]), outcome["logrank"]
    if test is None:
        return title
    p = p_text(test["p"])
    return f"{title} (log-rank P {p if p.startswith('<') else f'= {p}'})"


def _curve(axes: Axes, arm: dict[str, Any], place: int, *, banded: bool) -> None:
    colour = COLOURS[place % len(COLOURS)]
    times = [0.0, *arm["times"], arm["longest"]]
    survival = [1.0, *arm["survival"]]
    survival.append(survival[-1])
    median = arm["median"]
    reached = "not reached" if median is None else f"{median:.1f}"
    label = f"{_short(arm['level'], LEVEL)} (median {reached})"
    if label.startswith("_"):
        label = f" {label}"  # a legend leaves out what begins with an underscore
    style = DASHES[place % len(DASHES)]
    axes.step(times, survival, where="post", color=colour, ls=style, lw=1.4, label=label)
    known = sum(limit is not None for limit in arm["lower"])
    if banded and known:
        # The limits hold until the next event, or to the end of follow-up.
        low, high = ([1.0, *arm[k][:known], arm[k][known - 1]] for k in ("lower", "upper"))
        axes.fill_between(
            times[: known + 2], low, high, step="post", color=colour, alpha=0.13, lw=0
        )
    at = [_read(arm, t) for t in arm["censored"]]
    axes.plot(arm["censored"], at, ls="", marker="|", ms=5, mew=0.8, color=colour)


def _read(arm: dict[str, Any], time: float) -> float:
    value = 1.0
    for when, survival in zip(arm["times"], arm["survival"], strict=True):
        if when > time:
            break
        value = survival
    return value


def _numbers_at_risk(figure: Figure, axes: Axes, outcome: dict[str, Any], height: float) -> None:
    box = axes.get_position()
    first = (0.15 + ROW * len(outcome["arms"])) / height
    low, high = axes.get_xlim()
    figure.text(0.015, first, "Number at risk", weight="bold", va="center")
    for a, arm in enumerate(outcome["arms"]):
        y = first - ROW * (a + 1) / height
        figure.text(
            0.015, y, _short(arm["level"], LEVEL), color=COLOURS[a % len(COLOURS)], va="center"
        )
        for tick, count in zip(outcome["ticks"], arm["at_risk"], strict=True):
            x = box.x0 + box.width * (tick - low) / (high - low)
            figure.text(x, y, str(count), ha="center", va="center")


def draw_forest(description: dict[str, Any], outcome: dict[str, Any]) -> Figure:
    """Draw hazard ratios, univariable (open) and multivariable (filled), beside their numbers."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    lines = term_labels(outcome["regression"]["rows"])
    height = 1.35 + ROW * len(lines)
    figure = Figure(figsize=(10, height))
    axes = figure.add_axes((0.26, 0.6 / height, 0.28, (height - 1.15) / height))
    low, high = _limits(outcome["regression"]["rows"])
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(len(lines) - 0.5, -0.5), yticks=[])
    axes.xaxis.set_major_locator(FixedLocator(_marks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("Hazard ratio (95 % CI), logarithmic scale")
    axes.axvline(1, color=GREY, lw=0.8, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    top = 1 - 0.3 / height
    columns = (0.56, 0.725, 0.78, 0.945)
    heads = ("Univariable (95 % CI)", "P", "Multivariable (95 % CI)", "P")
    for x, head in zip(columns, heads, strict=True):
        figure.text(x, top, head, weight="bold", va="center")
    figure.text(0.015, top, outcome["label"], weight="bold", va="center")
    axes.patch.set_alpha(0)
    box = axes.get_position()
    shaded = False
    for i, (label, row) in enumerate(lines):
        y = box.y1 - box.height * (i + 0.5) / len(lines)
        figure.text(0.015, y, _short(label.replace("  ", "    ")), va="center")
        starts = row is None or row["level"] is None
        shaded = shaded != starts
        if shaded:
            corner, size = (0.01, y - box.height / len(lines) / 2), (0.98, box.height / len(lines))
            figure.add_artist(Rectangle(corner, *size, color=SHADE, lw=0, zorder=-3))
        if row is None:
            continue
        models = (row["univariable"], row["multivariable"])
        for k, (model, offset, filled) in enumerate(
            zip(models, (-0.17, 0.17), (False, True), strict=True)
        ):
            p = p_text(model["p"] if model else None)
            figure.text(columns[2 * k], y, ratio_text(model), va="center")
            figure.text(columns[2 * k + 1], y, p, va="center")
            if model is not None and _is_number(model["lower"]) and _is_number(model["upper"]):
                _ratio(axes, model, i + offset, (low, high), filled=filled)
    _key(axes)
    return figure


def _key(axes: Axes) -> None:
    for label, face in (("univariable", "white"), ("multivariable", COLOURS[0])):
        axes.plot([], [], "s", ms=4, mec=COLOURS[0], mfc=face, label=label)
    axes.legend(
        ncols=2, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.1
    )


def _limits(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the axis: wide enough for every interval, but not beyond `SHOWN_RATIOS`.

    A bound that is missing or not a number has no say.
    """
    models = [m for r in rows for m in (r["univariable"], r["multivariable"]) if m is not None]
    low = min([0.5, *(m["lower"] for m in models if _is_number(m["lower"]))])
    high = max([2.0, *(m["upper"] for m in models if _is_number(m["upper"]))])
    return max(low / 1.15, SHOWN_RATIOS[0]), min(high * 1.15, SHOWN_RATIOS[1])


def _is_number(bound: float | None) -> bool:
    """Whether a bound exists; an infinite one does."""
    return bound is not None and not math.isnan(bound)


def _marks(low: float, high: float) -> list[float]:
    """Return the ratios to mark: powers of ten alone where more would touch one another."""
    marks = [mark for mark in RATIO_MARKS if low <= mark <= high]
    return marks if len(marks) <= MOST_MARKS else [m for m in POWERS_OF_TEN if low <= m <= high]


def _ratio(
    axes: Axes, model: dict[str, Any], y: float, limits: tuple[float, float], *, filled: bool
) -> None:
    low, high = limits
    start, end = max(model["lower"], low), min(model["upper"], high)
    colour = COLOURS[0]
    if start < end:
        axes.plot([start, end], [y, y], color=colour, lw=1.0)
    # An arrow where the interval goes on beyond the axis.
    if model["lower"] < low:
        axes.plot([low], [y], marker="<", ms=4, color=colour, clip_on=False)
    if model["upper"] > high:
        axes.plot([high], [y], marker=">", ms=4, color=colour, clip_on=False)
    if low <= model["hazard_ratio"] <= high:
        face = colour if filled else "white"
        axes.plot([model["hazard_ratio"]], [y], "s", ms=4, mec=colour, mfc=face)


def _short(text: str, width: int = 42) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _split(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def _save(figure: Figure, stem: Path) -> None:
    # Matplotlib stamps files with the date unless told not to; the same numbers give the same file.
    for suffix, metadata in ((".svg", {"Date": None}), (".png", {})):
        with write_atomically(stem.with_name(stem.name + suffix)) as partial:
            figure.savefig(partial, dpi=DPI, metadata=metadata, format=suffix[1:])

"""Drawing predictions, explanations and nomograms; computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from riskscore.explanation import Explanation
    from riskscore.manifest import Manifest
    from riskscore.nomogram import Nomogram, Scale
    from riskscore.prediction import Prediction

__all__ = ["plot_explanation", "plot_nomogram", "plot_survival"]

BETTER, WORSE, PLAIN = "#2c7fb8", "#d95f0e", "#444444"

SURVIVALS = (0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01)
"""Survivals that a nomogram marks, where they lie on its scale."""

TICKS = 7
"""About how many values of a number a nomogram marks."""

APART = 4.0
"""Points within which two marks of a nomogram would overlap."""

FloatArray = NDArray[np.float64]

LINES = 10
"""Above this many patients a legend and bands would hide the curves."""


def plot_survival(prediction: Prediction, ax: Axes | None = None) -> Axes:
    """Draw each patient's curve as a step from 1 at time 0, with its interval.

    Dotted lines bound the sensitivity envelope, where the model carries one.

    Parameters
    ----------
    prediction : Prediction
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
    manifest = prediction.model.manifest
    survival, lower, upper, _ = prediction.model.curves(prediction.answer.inputs)
    times = np.concatenate(([0.0], manifest.times, [manifest.follow_up_limit]))
    few = len(survival) <= LINES
    sensitivity = prediction.model.sensitivity
    if sensitivity is not None:
        steps_at = np.concatenate(([0.0], sensitivity.times, [manifest.follow_up_limit]))
        outer = sensitivity.envelope(prediction.answer.inputs, steps_at)
    for i, label in enumerate(prediction.index):
        steps = _from_one(survival[i])
        (line,) = ax.step(times, steps, where="post", label=str(label), lw=1.6 if few else 0.6)
        if few and not np.isnan(lower[i]).all():
            low, high = _from_one(lower[i]), _from_one(upper[i])
            ax.fill_between(times, low, high, step="post", color=line.get_color(), alpha=0.15, lw=0)
        if few and sensitivity is not None:
            for bound in outer:
                ax.step(steps_at, bound[i], where="post", color=line.get_color(), lw=0.9, ls=":")
    unit = manifest.study.time_unit
    ax.set(
        xlim=(0, manifest.follow_up_limit),
        ylim=(0, 1),
        xlabel=f"{unit.capitalize()}s since {manifest.study.time_origin}",
        ylabel=manifest.outcome.label,
    )
    ax.spines[["top", "right"]].set_visible(False)
    if few and len(survival) > 1:
        ax.legend(title="Patient", frameon=False)
    return ax


def _from_one(curve: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    return [1.0, *curve.tolist(), float(curve[-1])]


def plot_explanation(explanation: Explanation, patient: int, ax: Axes | None = None) -> Axes:
    """Draw one patient's parts as steps from the typical survival down to the patient's own.

    Parameters
    ----------
    explanation : Explanation
    patient : int
        Position of the patient, from 0.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import PercentFormatter

    shares, manifest = explanation.shares, explanation.model.manifest
    added = shares.contributions[patient]
    order = np.argsort(-np.abs(added), kind="stable")
    if ax is None:
        height = 1.6 + 0.42 * len(added)
        _, ax = plt.subplots(figsize=(6.8, height), layout="constrained")
    start, rows = shares.reference_survival, []
    for y, j in enumerate(order.tolist()):
        end = start + added[j]
        p = manifest.predictors[j]
        value = shares.inputs[patient, j]
        shown = p.shown_levels[int(value)] if p.is_category else f"{value:.6g} {p.unit_words}"
        rows.append(f"{p.label}: {shown}")
        ax.barh(y, added[j], left=start, height=0.62, color=BETTER if added[j] > 0 else WORSE)
        ax.plot([end, end], [y, y + 1], color=PLAIN, lw=0.7)
        beside, side = (max(start, end), "left") if added[j] >= 0 else (min(start, end), "right")
        text = f"{100 * added[j]:+.1f}".replace("-", "\N{MINUS SIGN}") if added[j] else "0"
        offset = (3 if side == "left" else -3, 0)
        ax.annotate(text, (beside, y), xytext=offset, textcoords="offset points",
                    ha=side, va="center", fontsize=9)  # fmt: skip
        start = end
    bottom = len(order)
    ax.plot([shares.reference_survival] * 2, [-0.9, 0], color=PLAIN, lw=0.7, ls=":")
    ax.set_yticks(range(-1, bottom + 1), ["Typical patient", *rows, "This patient"])
    for y, survival in ((-1, shares.reference_survival), (bottom, shares.survival[patient])):
        ax.plot(survival, y, "o", color=PLAIN, ms=5)
        ax.annotate(f"{100 * survival:.0f} %", (survival, y), xytext=(7, 0), va="center",
                    textcoords="offset points", fontsize=9)  # fmt: skip
    ax.set(xlabel=f"{manifest.outcome.label} at {manifest.study.time_unit} {shares.time:g}")
    ax.set_ylim(bottom + 0.6, -1.6)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.use_sticky_edges = False
    ax.margins(x=0.14)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def plot_nomogram(nomogram: Nomogram) -> Figure:
    """Draw the nomogram: points above, a scale a predictor, their sum, survival at each horizon.

    To read it, take each value up to the points, add the points up, and go down from their sum.
    """
    import matplotlib.pyplot as plt

    manifest = nomogram.manifest
    horizons = manifest.outcome.horizons
    scales = nomogram.scales
    n_rows = 2 + len(scales) + len(horizons)
    figure, axes = plt.subplots(
        n_rows, 1, figsize=(8.2, 0.66 * n_rows + 0.2), layout="constrained", sharex=False
    )
    _scale(axes[0], "Points", np.arange(0.0, 101.0, 10.0), None, (0.0, 100.0))
    for ax, scale in zip(axes[1:], scales, strict=False):
        log = manifest.study.predictors[scale.name].form == "log"
        at, names = _marks(scale, log=log)
        ends = (float(scale.points.min()), float(scale.points.max()))
        _scale(ax, _titled(manifest, scale), at, names, (0.0, 100.0), ends)
    sums = _round_ticks(0.0, sum(s.points.max() for s in scales), 2 * TICKS)
    total = float(sums[-1] + (sums[1] - sums[0]))
    sums = np.append(sums, total)
    _scale(axes[1 + len(scales)], "Total points", sums, None, (0.0, total))
    unit = manifest.study.time_unit
    for ax, horizon in zip(axes[2 + len(scales) :], horizons, strict=True):
        at = nomogram.total_for(SURVIVALS, horizon)
        inside = (at >= 0) & (at <= total)
        names = [f"{100 * s:g}" for s, shown in zip(SURVIVALS, inside, strict=True) if shown]
        label = f"{manifest.outcome.label}\nat {unit} {horizon:g}, %"
        _scale(ax, label, at[inside], names, (0.0, total))
    return figure


def _titled(manifest: Manifest, scale: Scale) -> str:
    p = manifest.study.predictors[scale.name]
    return scale.label if p.is_category else f"{scale.label}\n({p.unit_words})"


def _marks(scale: Scale, *, log: bool) -> tuple[FloatArray, list[str]]:
    """Return where a predictor's values lie in points, and what to call them."""
    if scale.levels:
        return scale.points, list(scale.levels)
    low, high = float(scale.at[0]), float(scale.at[-1])
    ticks = _decades(low, high) if log else _round_ticks(low, high, TICKS)
    return np.interp(ticks, scale.at, scale.points), [f"{t:,.6g}" for t in ticks]


def _round_ticks(low: float, high: float, most: int) -> FloatArray:
    """Return round numbers from `low` to `high`."""
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]


def _decades(low: float, high: float) -> FloatArray:
    """Return the powers of ten from `low` to `high`, thinned to a few."""
    powers = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
    found: FloatArray = 10.0 ** powers[:: int(np.ceil(len(powers) / TICKS)) or 1]
    return found if len(found) > 1 else np.array([low, high])


def _scale(
    ax: Axes,
    label: str,
    at: FloatArray,
    names: list[str] | None,
    limits: tuple[float, float],
    ends: tuple[float, float] | None = None,
) -> None:
    """Draw one scale as a line with marks; marks that would overlap go below the line."""
    names = [f"{a:.0f}" for a in at] if names is None else names
    span = limits[1] - limits[0]
    ax.set(xlim=(limits[0] - 0.02 * span, limits[1] + 0.02 * span), ylim=(-1.25, 1.25))
    if ends is None and len(at):
        ends = (float(at.min()), float(at.max()))
    if ends is not None:
        ax.plot(ends, [0, 0], color=PLAIN, lw=1)
    above = -np.inf
    for position, name in sorted(zip(at.tolist(), names, strict=True)):
        near = (position - above) / span * 100 < APART + 0.5 * len(name)
        ax.plot([position] * 2, [0, -0.3 if near else 0.3], color=PLAIN, lw=1)
        ax.text(position, -0.45 if near else 0.45, name, ha="center", fontsize=8,
                va="top" if near else "bottom")  # fmt: skip
        above = above if near else position
    ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)

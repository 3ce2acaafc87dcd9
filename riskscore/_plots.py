"""Drawing predictions; computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from riskscore.prediction import Prediction

__all__ = ["plot_survival"]

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

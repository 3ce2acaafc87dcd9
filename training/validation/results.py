"""How indexes stand in JSON, whatever found them: one shape for every method.

An index is `{"value": ..., "lower": ..., "upper": ...}` with what else the method knows of it
("apparent", "optimism"); null where a figure cannot be had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.metrics._evaluate import Evaluation

__all__ = ["BOUNDS", "chosen_in", "clean", "cut", "index", "of_evaluation"]

FloatArray = NDArray[np.float64]

BOUNDS: dict[str, tuple[float, float]] = {
    "concordance": (0, 1),
    "dxy": (-1, 1),
    "auc": (0, 1),
    "brier": (0, 1),
    "integrated_brier": (0, 1),
    "ipa": (-math.inf, 1),
    "integrated_ipa": (-math.inf, 1),
    "r2_nagelkerke": (0, 1),
    "ici": (0, 1),
    "e50": (0, 1),
    "e90": (0, 1),
    "observed_expected": (0, math.inf),
}
"""What an index can be; its interval is cut there."""


def cut(name: str, value: float) -> float:
    """Return a limit of an interval, cut at what the index can be."""
    low, high = BOUNDS.get(name, (-math.inf, math.inf))
    return min(max(value, low), high)


def index(name: str, value: float, lower: float, upper: float, **more: Any) -> dict[str, Any]:
    """Return an index with its interval."""
    return {"value": value, "lower": cut(name, lower), "upper": cut(name, upper), **more}


def chosen_in(fits: Sequence[FloatArray], names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the fits of a validation chose, as `{"chosen": ...}`; nothing without a choice.

    Parameters
    ----------
    fits : sequence of ndarray of shape (n_names,)
    names : tuple of str
    """
    if not names:
        return {}
    each = dict(zip(names, np.array(fits).T, strict=True))
    spread: dict[str, Any] = {
        name: {"median": float(np.median(v)), "least": float(v.min()), "most": float(v.max())}
        for name, v in each.items()
    }
    return {"chosen": {"fits": len(fits)} | spread}


def clean(value: Any) -> Any:
    """Return what JSON can hold: NaN and infinity as None, arrays as lists."""
    if isinstance(value, dict):
        return {key: clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return clean(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def of_evaluation(found: Evaluation) -> dict[str, Any]:
    """Return the indexes of an evaluation in this shape."""

    def of(estimate: Any) -> dict[str, Any] | None:
        if estimate is None:
            return None
        return {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper}

    horizons = []
    for at in found.horizons:
        c, d = at.calibration, at.decision
        curve = None
        if c.curve is not None:
            curve = {
                "predicted": c.curve.predicted, "observed": c.curve.observed,
                "lower": c.curve.lower, "upper": c.curve.upper,
            }  # fmt: skip
        horizons.append(
            {
                "horizon": at.horizon,
                "events": at.events,
                "beyond": at.beyond,
                "auc": of(at.auc),
                "brier": of(at.brier.brier),
                "ipa": of(at.brier.ipa),
                "expected": c.expected,
                "observed": of(c.observed),
                "groups": [
                    {"n": g.n, "predicted": g.predicted, "observed": of(g.observed)}
                    for g in c.groups
                ],
                "observed_expected": of(c.observed_expected),
                "slope": of(c.slope),
                "ici": of(c.ici),
                "e50": of(c.e50),
                "e90": of(c.e90),
                "calibration_curve": curve,
                "histogram": c.histogram,
                "decision_curve": {
                    "thresholds": d.thresholds,
                    "model": {
                        "value": d.model.value, "lower": d.model.lower, "upper": d.model.upper,
                    },
                    "treat_all": d.treat_all.value,
                },
            }
        )  # fmt: skip
    integrated = found.integrated_brier
    return {
        "concordance": of(found.harrell),
        "pairs": None if found.harrell is None else found.harrell.shares,
        "integrated_brier": of(integrated.brier) if integrated else None,
        "integrated_ipa": of(integrated.ipa) if integrated else None,
        "horizons": horizons,
        "notes": list(found.notes),
    }

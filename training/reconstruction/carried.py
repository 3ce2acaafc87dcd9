"""The table of the draws that a bundle carries, so that a prediction can be shown with its spread.

One table a shipped model: over every combination of levels and every time at which any draw's curve
steps, what the models of the draws say. `riskscore.sensitivity` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.model import load_model
from riskscore.sensitivity import FORMAT
from riskscore.study import Predictor
from training.fit import Fitted
from training.reconstruction.span import Span

__all__ = ["Curves", "combinations", "curves_of", "table"]

FloatArray = NDArray[np.float64]

DECIMALS = 4


@dataclass(frozen=True)
class Curves:
    """What one model answers for every combination of levels.

    Attributes
    ----------
    predictors : tuple of Predictor
    settings : dict
        How it was fitted.
    events : int
    times : ndarray of shape (n_times,)
    survival, lower, upper : ndarray of shape (combinations, n_times)
        The bounds are the survival itself where the model has none.
    """

    predictors: tuple[Predictor, ...]
    settings: dict[str, Any]
    events: int
    times: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray


def combinations(predictors: Sequence[Predictor]) -> FloatArray:
    """Return the model's input of every combination of levels; the last predictor runs fastest."""
    return np.array(list(product(*(range(len(p.levels)) for p in predictors))), dtype=np.float64)


def curves_of(fitted: Fitted) -> Curves:
    """Return what a model answers once it is exported, as everyone who uses it will see it."""
    with TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        fitted.write(bundle)
        model = load_model(bundle)
        survival, lower, upper, _ = model.curves(combinations(fitted.cohort.predictors))
    bounded = bool(fitted.manifest.intervals["available"])
    return Curves(
        predictors=fitted.cohort.predictors,
        settings=dict(fitted.manifest.training["settings"]),
        events=int(fitted.cohort.event.sum()),
        times=np.array(fitted.manifest.times),
        survival=survival,
        lower=lower if bounded else survival,
        upper=upper if bounded else survival,
    )


def table(found: Sequence[Curves], how: str, columns: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the table of one model over the draws, as `sensitivity.json` holds it.

    Least and lowest are rounded down, most and highest up, so that the table holds every draw.

    Parameters
    ----------
    found : sequence of Curves
        One a draw.
    how : str
        What the draws are, in words.
    columns : mapping, optional
        What the model would say by other figures of the source.
    """
    predictors = found[0].predictors
    times = np.unique(np.concatenate([curves.times for curves in found]))
    survival, lower, upper = (
        np.stack([_read(curves.times, getattr(curves, name), times) for curves in found])
        for name in ("survival", "lower", "upper")
    )
    differences = {}
    everyone = combinations(predictors)
    for j, p in enumerate(predictors):
        if p.role != "treatment":
            continue
        for i, level in enumerate(p.levels[1:], 1):
            switched, reference = _switched(everyone, j, i), _switched(everyone, j, 0)
            gained = survival[:, switched] - survival[:, reference]
            differences[level] = {
                "least": _down(gained.min(axis=0)),
                "most": _up(gained.max(axis=0)),
            }
    return {
        "format": FORMAT,
        "draws": len(found),
        "how": how,
        "events": asdict(Span.over([curves.events for curves in found])),
        "settings": found[0].settings,
        "predictors": [p.name for p in predictors],
        "levels": [list(p.levels) for p in predictors],
        "times": times.tolist(),
        "survival": {
            "least": _down(survival.min(axis=0)),
            "most": _up(survival.max(axis=0)),
            "lowest_lower": _down(lower.min(axis=0)),
            "highest_upper": _up(upper.max(axis=0)),
        },
        "differences": differences,
        **({} if columns is None else {"columns": dict(columns)}),
    }


def _switched(everyone: FloatArray, predictor: int, level: int) -> NDArray[np.intp]:
    """Return for each combination the number of the one with another level of a predictor."""
    other = everyone.copy()
    other[:, predictor] = level
    number: NDArray[np.intp] = np.argmax((everyone == other[:, None, :]).all(axis=2), axis=1)
    return number


def _read(times: FloatArray, curves: FloatArray, wanted: FloatArray) -> FloatArray:
    """Read right-continuous steps, last axis times; 1 before the first."""
    padded = np.concatenate([np.ones_like(curves[..., :1]), curves], axis=-1)
    read: FloatArray = padded[..., np.searchsorted(times, wanted, side="right")]
    return read


def _down(values: FloatArray) -> list[list[float]]:
    return _rounded(np.floor, values)


def _up(values: FloatArray) -> list[list[float]]:
    return _rounded(np.ceil, values)


def _rounded(towards: np.ufunc, values: FloatArray) -> list[list[float]]:
    # A number that is four decimals but for its last bits is those four decimals.
    scaled = np.round(values * 10**DECIMALS, 6)
    listed: list[list[float]] = np.round(towards(scaled) / 10**DECIMALS, DECIMALS).tolist()
    return listed

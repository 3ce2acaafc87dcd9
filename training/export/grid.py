"""The times at which a scikit-survival model keeps its curves, and those that its graph gives.

Also the refusals: a model that is not fitted, or was fitted without its survival function, is told
so before anything is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from sksurv.ensemble import (
    ComponentwiseGradientBoostingSurvivalAnalysis,
    ExtraSurvivalTrees,
    GradientBoostingSurvivalAnalysis,
    RandomSurvivalForest,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.tree import ExtraSurvivalTree, SurvivalTree

from riskscore.errors import ModelError

__all__ = [
    "Wanted",
    "baseline_hazard",
    "curve_times",
    "curves_at",
    "event_times",
    "positions_of",
    "wanted",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """What a graph is to give: curves at `times` (None: all), of one of Coxnet's `alphas_`."""

    times: Sequence[float] | FloatArray | None = None
    alpha: float | None = None


_wanted: ContextVar[Wanted | None] = ContextVar("wanted", default=None)


@contextmanager
def curves_at(
    times: Sequence[float] | FloatArray | None = None, *, alpha: float | None = None
) -> Iterator[None]:
    """Convert scikit-survival's models in the block with curves at these times.

    skl2onnx's own `options` would be the place for it, but they fail on forests, whose attribute
    `feature_importances_` raises when skl2onnx lists it.

    Parameters
    ----------
    times : sequence of float, optional
        Ascending, within the model's `unique_times_`; all of those by default.
    alpha : float, optional
        Which of Coxnet's `alphas_`; the last by default, as in its `predict`.
    """
    token = _wanted.set(Wanted(times, alpha))
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted() -> Wanted:
    """Return what the graphs converted now are to give."""
    return _wanted.get() or Wanted()


def curve_times(model: Any, alpha: float | None = None) -> FloatArray:
    """Return the times the model keeps its curves at, `unique_times_`.

    Raises
    ------
    ModelError
        If the model is not fitted, or has no survival function.
    """
    refuse_without_curves(model)
    kept = model.unique_times_ if isinstance(model, TREES) else _breslow(model, alpha).x
    times: FloatArray = np.asarray(kept, dtype=np.float64)
    return times


def event_times(model: Any, alpha: float | None = None) -> FloatArray:
    """Return those of `unique_times_` at which the curves can fall: the event times."""
    times = curve_times(model, alpha)
    if isinstance(model, TREES):
        falls = np.asarray(model.is_event_time_, dtype=bool)
    else:
        falls = np.diff(_breslow(model, alpha).y, prepend=0.0) > 0
    at_events: FloatArray = times[falls]
    return at_events


def baseline_hazard(model: Any) -> FloatArray:
    """Return the baseline's cumulative hazard at the times that the graph gives."""
    hazard = np.asarray(_breslow(model, wanted().alpha).y, dtype=np.float64)
    return hazard[positions_of(model)]


def positions_of(model: Any) -> NDArray[np.intp]:
    """Return which of the model's curve times the graph gives, as positions.

    A time between two of them is read from the one before: curves are right-continuous steps.
    """
    chosen = wanted()
    times = curve_times(model, chosen.alpha)
    if chosen.times is None:
        return np.arange(len(times))
    asked = np.asarray(chosen.times, dtype=np.float64)
    inside = asked.ndim == 1 and len(asked) > 0 and np.isfinite(asked).all()
    if not inside or (np.diff(asked) <= 0).any() or asked[0] < times[0] or asked[-1] > times[-1]:
        raise ModelError(
            f"times must ascend from {times[0]:g} at the earliest to {times[-1]:g} at the latest, "
            f"the first and last time seen in training; got {asked.tolist()}"
        )
    return np.searchsorted(times, asked, side="right") - 1


def refuse_without_curves(model: Any) -> None:
    """Refuse a model that has no survival function to export; say how it gets one."""
    name = type(model).__name__
    try:
        check_is_fitted(model, FITTED[type(model)])
    except NotFittedError as error:
        raise ModelError(f"{name} is not fitted; call fit before exporting it") from error
    for of_type, missing, remedy in REFUSALS:
        if isinstance(model, of_type) and missing(model):
            raise ModelError(f"{name} has no survival function: {remedy}")


def _breslow(model: Any, alpha: float | None) -> Any:
    """Return the baseline's cumulative hazard, a scikit-survival StepFunction."""
    refuse_without_curves(model)
    if isinstance(model, CoxnetSurvivalAnalysis):
        try:
            return model._get_baseline_model(alpha).cum_baseline_hazard_
        except ValueError as error:
            raise ModelError(f"alpha must be one of alphas_ of the model, got {alpha!r}") from error
    if alpha is not None:
        name = type(model).__name__
        raise ModelError(f"alpha is an option of CoxnetSurvivalAnalysis alone, not of {name}")
    if isinstance(model, CoxPHSurvivalAnalysis):
        return model.cum_baseline_hazard_
    return model._baseline_model.cum_baseline_hazard_


TREES = (SurvivalTree, RandomSurvivalForest, ExtraSurvivalTrees)

FITTED: dict[type, str] = {
    CoxPHSurvivalAnalysis: "coef_",
    CoxnetSurvivalAnalysis: "coef_",
    ComponentwiseGradientBoostingSurvivalAnalysis: "estimators_",
    GradientBoostingSurvivalAnalysis: "estimators_",
    SurvivalTree: "tree_",
    ExtraSurvivalTree: "tree_",
    RandomSurvivalForest: "estimators_",
    ExtraSurvivalTrees: "estimators_",
}
"""Every scikit-survival model with a survival function, and what it has once it is fitted."""

REFUSALS: tuple[tuple[Any, Callable[[Any], bool], str], ...] = (
    (
        TREES,
        lambda model: bool(model.low_memory),
        "it was fitted with low_memory=True; fit it again with low_memory=False",
    ),
    (
        CoxnetSurvivalAnalysis,
        lambda model: model._baseline_models is None,
        "it was fitted without a baseline; fit it again with fit_baseline_model=True",
    ),
    (
        (GradientBoostingSurvivalAnalysis, ComponentwiseGradientBoostingSurvivalAnalysis),
        lambda model: model._baseline_model is None,
        "its loss predicts a time, not a curve; fit it again with loss='coxph'",
    ),
)
"""Which models lack a survival function, when, and the remedy."""

"""What a model answers: `Answer` in plain arrays, `Prediction` the same as DataFrames."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskscore.errors import ModelError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from riskscore.model import RiskModel
    from riskscore.review import Review

__all__ = ["Answer", "Prediction", "nullable"]

FloatArray = NDArray[np.float64]

FEW = 64
"""Values of an array up to which Python looks at each faster than numpy at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Predictions for n patients at k times, in plain arrays.

    Attributes
    ----------
    times : ndarray of shape (k,)
        When, in the study's unit.
    survival, lower, upper : ndarray of shape (n, k)
        Probability of being event-free, and its pointwise 95 % bounds (NaN where the model has
        none): what they measure is `intervals` of the manifest, for a Cox model confidence, for a
        forest its stability.
    median : ndarray of shape (n,)
        First time at which survival is at or below 0.5; NaN if follow-up ended before.
    rmst : ndarray of shape (n,)
        Restricted mean survival time: mean event-free time up to `rmst_limit`.
    risk_score : ndarray of shape (n,)
        The model's own ordering of patients; higher is worse.
    risk_group : list of str
        The group by the training cohort's cut points.
    notes : list of tuple of str
        What a reader of this patient's prediction should know.
    inputs : ndarray of shape (n, n_predictors)
        The checked input the predictions are for.
    sensitivity_lower, sensitivity_upper : ndarray of shape (n, k) or None
        For a model of a reconstructed cohort, the sensitivity envelope: the lowest lower and the
        highest upper bound over all cohorts that fit the same figures. Not an interval; None where
        the model carries none.
    """

    times: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray
    median: FloatArray
    rmst: FloatArray
    rmst_limit: float
    risk_score: FloatArray
    risk_group: list[str]
    notes: list[tuple[str, ...]]
    inputs: FloatArray = field(repr=False)
    sensitivity_lower: FloatArray | None = None
    sensitivity_upper: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.risk_group)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one JSON-ready dictionary a patient; what is not a number becomes None.

        The sensitivity envelope is there only if the model carries one.
        """
        survival, lower, upper, median, mean, score = (
            nullable(a)
            for a in (
                self.survival,
                self.lower,
                self.upper,
                self.median,
                self.rmst,
                self.risk_score,
            )
        )
        envelope = (
            {}
            if self.sensitivity_lower is None or self.sensitivity_upper is None
            else {
                "sensitivity_lower": nullable(self.sensitivity_lower),
                "sensitivity_upper": nullable(self.sensitivity_upper),
            }
        )
        return [
            {
                "survival": survival[i],
                "survival_lower": lower[i],
                "survival_upper": upper[i],
                **{name: values[i] for name, values in envelope.items()},
                "median": median[i],
                "rmst": mean[i],
                "risk_score": score[i],
                "risk_group": self.risk_group[i],
                "notes": list(self.notes[i]),
            }
            for i in range(len(self))
        ]


class Prediction:
    """Predictions as DataFrames and Series, on the index of the patients.

    Times are columns, in the study's unit. `answer` holds the same as plain arrays.
    """

    def __init__(
        self, model: RiskModel, answer: Answer, index: pd.Index[Any] | None = None
    ) -> None:
        self.model = model
        self.answer = answer
        self._index: pd.Index[Any] = pd.RangeIndex(len(answer)) if index is None else index

    def __repr__(self) -> str:
        return f"Prediction({self.model.manifest.id!r}, patients={len(self.answer)})"

    @property
    def review(self) -> Review:
        """What people decided of the model: a draft, approved, rejected, retired or void."""
        return self.model.review

    @cached_property
    def survival(self) -> pd.DataFrame:
        """Probability of being event-free, patients x times."""
        return self._table(self.answer.survival)

    @cached_property
    def lower(self) -> pd.DataFrame:
        """Lower 95 % bound of each survival, of the manifest's `interval_name`; NaN if none."""
        return self._table(self.answer.lower)

    @cached_property
    def upper(self) -> pd.DataFrame:
        """Upper 95 % bound of each survival, of the manifest's `interval_name`; NaN if none."""
        return self._table(self.answer.upper)

    @cached_property
    def sensitivity_lower(self) -> pd.DataFrame:
        """Lowest lower bound over reconstructions that fit the same figures; NaN without any."""
        return self._table(self._or_nan(self.answer.sensitivity_lower))

    @cached_property
    def sensitivity_upper(self) -> pd.DataFrame:
        """Highest upper bound over reconstructions that fit the same figures; NaN without any."""
        return self._table(self._or_nan(self.answer.sensitivity_upper))

    @cached_property
    def risk(self) -> pd.DataFrame:
        """Probability of the event by each time, 1 - survival."""
        return self._table(1.0 - self.answer.survival)

    @cached_property
    def median(self) -> pd.Series[float]:
        """Median survival time; NaN if the curve ends above 0.5."""
        return self._series(self.answer.median, "median")

    @cached_property
    def rmst(self) -> pd.Series[float]:
        """Restricted mean survival time, up to the outcome's last horizon."""
        return self._series(self.answer.rmst, "rmst")

    @cached_property
    def risk_score(self) -> pd.Series[float]:
        """The model's ordering of patients; higher is worse."""
        return self._series(self.answer.risk_score, "risk_score")

    @cached_property
    def risk_group(self) -> pd.Series[str]:
        """Risk group by the training cohort's cut points."""
        return self._series(self.answer.risk_group, "risk_group")

    @cached_property
    def notes(self) -> pd.Series[str]:
        """What to know about each patient's prediction; an empty text when nothing."""
        return self._series(["; ".join(found) for found in self.answer.notes], "notes")

    def to_frame(self) -> pd.DataFrame:
        """Return everything in one table, a row a patient.

        Columns are `survival_<time>`, `survival_lower_<time>` and `survival_upper_<time>` for each
        time (and `sensitivity_lower_<time>`, `sensitivity_upper_<time>` if the model carries an
        envelope), then `median`, `rmst`, `risk_score`, `risk_group`, `notes`. The table's `attrs`
        name the `model`, its `digest` and its `review_status`.
        """
        a = self.answer
        by_time = {"survival": a.survival, "survival_lower": a.lower, "survival_upper": a.upper}
        if a.sensitivity_lower is not None and a.sensitivity_upper is not None:
            by_time["sensitivity_lower"] = a.sensitivity_lower
            by_time["sensitivity_upper"] = a.sensitivity_upper
        columns: dict[str, Any] = {
            f"{name}_{time:.12g}": values[:, j]
            for j, time in enumerate(a.times)
            for name, values in by_time.items()
        }
        for series in (self.median, self.rmst, self.risk_score, self.risk_group, self.notes):
            columns[str(series.name)] = series.to_numpy()
        frame = pd.DataFrame(columns, index=self._index)
        frame.attrs = {
            "model": self.model.manifest.id,
            "digest": self.model.digest,
            "review_status": self.review.status,
        }
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the survival curves with their intervals; needs `riskscore[plots]`."""
        from riskscore._plots import plot_survival

        return plot_survival(self, ax)

    @property
    def index(self) -> pd.Index[Any]:
        """The index of the patients."""
        return self._index

    def _or_nan(self, values: FloatArray | None) -> FloatArray:
        return np.full_like(self.answer.survival, np.nan) if values is None else values

    def _table(self, values: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(values, index=self._index, columns=self._columns, copy=False)

    @cached_property
    def _columns(self) -> pd.Index[float]:
        return pd.Index(self.answer.times, name="time")

    def _series(self, values: Any, name: str) -> pd.Series[Any]:
        return pd.Series(values, index=self._index, name=name)


def nullable(values: FloatArray) -> Any:
    """Return an array as JSON-ready lists; what is not a number becomes None.

    Raises
    ------
    ModelError
        If a number is infinite, which no answer is and JSON does not have.

    Examples
    --------
    >>> nullable(np.array([[0.5, np.nan]]))
    [[0.5, None]]
    """
    if values.size <= FEW:
        return _plain(values.tolist())
    finite = np.isfinite(values)
    if finite.all():
        return values.tolist()
    listed = values.astype(object)
    listed[~finite] = [_plain(value) for value in values[~finite].tolist()]
    return listed.tolist()


def _plain(value: Any) -> Any:
    """Return nested lists with None for NaN: for few values cheaper than numpy's own look."""
    if isinstance(value, list):
        # A sum is finite only if every number is; one too large for a double is looked at again.
        if value and type(value[0]) is float and math.isfinite(sum(value)):
            return value
        return [_plain(inner) for inner in value]
    if -math.inf < value < math.inf:
        return value
    if value != value:
        return None
    raise ModelError("the model's answer is infinite; fit the model again")

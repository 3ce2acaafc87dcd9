"""A nomogram: a Cox model as points that a person adds up.

Each predictor's part of the linear predictor is scaled so that the widest runs from 0 to 100
points; the sum of the points has one survival at each horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskscore.equation import CoxEquation
from riskscore.errors import ModelError
from riskscore.manifest import Manifest
from riskscore.patients import Patients, read_patients
from riskscore.records import checked

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Nomogram", "Scale"]

FloatArray = NDArray[np.float64]

MOST = 100.0
"""Points of the predictor whose range matters most."""

STEPS = 200
"""Places at which a number's scale is kept, for a curve that need not be straight."""


@dataclass(frozen=True)
class Scale:
    """The points of one predictor.

    Attributes
    ----------
    name, label : str
    levels : tuple of str
        Of a category, as a person reads them; empty for a number.
    at : ndarray
        The level's index, or the number, ascending; of a number over the training range.
    points : ndarray
        Of each value, at least 0.
    """

    name: str
    label: str
    levels: tuple[str, ...]
    at: FloatArray
    points: FloatArray


class Nomogram:
    """The points of a Cox model.

    Parameters
    ----------
    manifest : Manifest
    equation : CoxEquation

    Attributes
    ----------
    scales : tuple of Scale
        In the order of the predictors.
    points_per_unit : float
        Points for one unit of the linear predictor.

    Raises
    ------
    ModelError
        If every coefficient is 0, so that there is nothing to scale.
    """

    def __init__(self, manifest: Manifest, equation: CoxEquation) -> None:
        self.manifest = manifest
        self._equation = equation
        self._typical = _input(manifest)
        parts = []
        for j, p in enumerate(manifest.predictors):
            if p.is_category:
                values = np.arange(len(p.levels), dtype=float)
            else:
                low, high = manifest.envelope["ranges"][p.name]
                spaced = np.geomspace if p.form == "log" else np.linspace
                values = spaced(low, high, STEPS)
            parts.append((p, values, self._part(j, values)))
        widest = max(float(np.ptp(part)) for _, _, part in parts)
        if not widest > 0:
            raise ModelError(
                f"model must have a coefficient other than 0 for a nomogram, {manifest.id} has none"
            )
        self.points_per_unit = MOST / widest
        self._lowest = [float(part.min()) for _, _, part in parts]
        self.scales = tuple(
            Scale(
                p.name,
                p.label,
                p.shown_levels,
                values,
                (part - part.min()) * self.points_per_unit,
            )
            for p, values, part in parts
        )

    def points(self, patients: Patients) -> pd.DataFrame:
        """Return each patient's points by predictor, and their `total`.

        A number outside the training range can have less than 0 or more than its scale shows.

        Raises
        ------
        InputError
            Listing every problem with the patients.
        """
        import pandas as pd

        X, problems, index = read_patients(patients, self.manifest.predictors)
        checked(X, problems)
        found = np.column_stack(
            [
                (self._part(j, X[:, j]) - self._lowest[j]) * self.points_per_unit
                for j in range(X.shape[1])
            ]
        )
        table = pd.DataFrame(found, index=index, columns=[s.name for s in self.scales])
        return table.assign(total=found.sum(axis=1))

    def survival(self, total: Sequence[float] | FloatArray, time: float) -> FloatArray:
        """Return the survival that a sum of points means at a time, of the shape of `total`."""
        hazard = self._equation.cumulative_hazard(np.array([time]))[0]
        # Nought points are the sum of the lowest parts.
        score = np.asarray(total, dtype=float) / self.points_per_unit + sum(self._lowest)
        survival: FloatArray = np.exp(-hazard * np.exp(score - self._equation.center_score))
        return survival

    def total_for(self, survival: Sequence[float] | FloatArray, time: float) -> FloatArray:
        """Return the sum of points that has a survival at a time; the inverse of `survival`."""
        hazard = self._equation.cumulative_hazard(np.array([time]))[0]
        score = np.log(-np.log(np.asarray(survival, dtype=float)) / hazard)
        score = score + self._equation.center_score
        found: FloatArray = (score - sum(self._lowest)) * self.points_per_unit
        return found

    def to_dict(self) -> Mapping[str, Any]:
        """Return the nomogram's numbers for JSON."""
        return {
            "points_per_unit": self.points_per_unit,
            "scales": [
                {
                    "predictor": s.name,
                    "levels": list(s.levels) or None,
                    "at": s.at.tolist(),
                    "points": s.points.tolist(),
                }
                for s in self.scales
            ],
        }

    def plot(self) -> Figure:
        """Draw the nomogram; needs `riskscore[plots]`."""
        from riskscore._plots import plot_nomogram

        return plot_nomogram(self)

    def _part(self, column: int, values: FloatArray) -> FloatArray:
        """Return one predictor's part of the linear predictor; the others drop out."""
        X = np.repeat(self._typical, len(values), axis=0)
        X[:, column] = values
        return self._equation.part(X, column)


def _input(manifest: Manifest) -> FloatArray:
    X, problems, _ = read_patients(manifest.typical_patient, manifest.predictors)
    return checked(X, problems)

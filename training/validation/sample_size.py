"""Are there enough patients for so many predictors? The criteria of Riley et al.

Source: Riley et al., Stat Med 38 (2019) 1276, doi:10.1002/sim.7992, sections 3 to 5 for
time-to-event outcomes; Riley et al., BMJ 368 (2020) m441, doi:10.1136/bmj.m441; R's `pmsampsize`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from riskscore.errors import ModelError

__all__ = ["Criterion", "SampleSize", "adjusted_r2", "sample_size"]

SHRINKAGE = 0.9
"""Least expected shrinkage factor."""

OPTIMISM = 0.05
"""Most that Nagelkerke's R2 may lose."""

MARGIN = 0.05
"""Half-width of the interval of the overall risk."""

Z = 1.96


@dataclass(frozen=True)
class Criterion:
    """What one criterion asks for, and whether the cohort meets it.

    Attributes
    ----------
    name : str
    patients : int
        Fewest patients.
    events : float
        Events expected among them at the rate in hand.
    shrinkage : float or None
        Expected factor at that size.
    met : bool
    """

    name: str
    patients: int
    events: float
    shrinkage: float | None
    met: bool


@dataclass(frozen=True)
class SampleSize:
    """The criteria, what they need altogether, and what there is.

    Attributes
    ----------
    parameters : int
        Coefficients, not predictors.
    patients, events : int
    events_a_parameter : float
    r2_cox_snell, r2_max : float
        Assumed, and the most it could be at this rate.
    rate : float
        Events a unit of follow-up.
    mean_follow_up, horizon : float
    needed_patients : int
    needed_events : float
    needed_events_a_parameter : float
    enough : bool
    criteria : tuple of Criterion
    """

    parameters: int
    patients: int
    events: int
    events_a_parameter: float
    r2_cox_snell: float
    r2_max: float
    rate: float
    mean_follow_up: float
    horizon: float
    needed_patients: int
    needed_events: float
    needed_events_a_parameter: float
    enough: bool
    criteria: tuple[Criterion, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return dictionaries and numbers, for JSON."""
        return asdict(self)


def adjusted_r2(likelihood_ratio: float, patients: int, parameters: int) -> float:
    """Return Cox and Snell's R2 less its expected optimism; it may be negative.

    The apparent value, 1 - exp(-LR / n), times the shrinkage factor 1 - p / LR.
    """
    return -math.expm1(-likelihood_ratio / patients) * (1 - parameters / likelihood_ratio)


def sample_size(
    r2_cox_snell: float,
    parameters: int,
    rate: float,
    mean_follow_up: float,
    horizon: float,
    *,
    patients: int,
    events: int,
) -> SampleSize:
    """Return what the three criteria for a time-to-event outcome ask for.

    Parameters
    ----------
    r2_cox_snell : float
        Expected of the model on new patients, above 0 and below its greatest value.
    parameters : int
        Candidate coefficients.
    rate : float
        Events a unit of time.
    mean_follow_up, horizon : float
        In that unit; the overall risk is wanted at the horizon.
    patients, events : int
        In hand.

    Raises
    ------
    ModelError
        If the R2 is not between 0 and its greatest value.

    Notes
    -----
    (i) shrinkage of 0.9 or more; (ii) Nagelkerke's R2 optimistic by 0.05 or less; (iii) the overall
    risk at the horizon, from an exponential model, known to within 0.05.
    """
    expected = rate * mean_follow_up  # events a patient
    # log likelihood without predictors, a patient; its events are per patient, as in pmsampsize.
    r2_max = -math.expm1(2 * (expected * math.log(expected) - expected))
    if not 0 < r2_cox_snell < r2_max:
        raise ModelError(
            f"R2 (Cox and Snell) must be above 0 and below {r2_max:.3f} for a size to follow from "
            f"it, got {r2_cox_snell:.3f}: the model explains nothing beyond its own overfitting"
            if r2_cox_snell <= 0
            else f"R2 (Cox and Snell) must be below {r2_max:.3f}, the most it can be at this rate "
            f"of events, got {r2_cox_snell:.3f}"
        )
    second = r2_cox_snell / (r2_cox_snell + OPTIMISM * r2_max)
    needed = [
        ("shrinkage", _patients(parameters, r2_cox_snell, SHRINKAGE), SHRINKAGE),
        ("optimism", _patients(parameters, r2_cox_snell, second), second),
        ("overall_risk", _precise(rate, mean_follow_up, horizon), None),
    ]
    criteria = tuple(
        Criterion(name, n, n * expected, factor, patients >= n) for name, n, factor in needed
    )
    most = max(n for _, n, _ in needed)
    return SampleSize(
        parameters, patients, events, events / parameters, r2_cox_snell, r2_max, rate,
        mean_follow_up, horizon, most, most * expected, most * expected / parameters,
        patients >= most, criteria,
    )  # fmt: skip


def _patients(parameters: int, r2: float, shrinkage: float) -> int:
    return math.ceil(parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage)))


def _precise(rate: float, mean_follow_up: float, horizon: float) -> int:
    """Return the fewest patients whose interval of the overall risk is within the margin."""
    risk = -math.expm1(-rate * horizon)

    def half(n: int) -> float:
        spread = Z * math.sqrt(rate / (n * mean_follow_up))
        upper = -math.expm1(-(rate + spread) * horizon)
        lower = -math.expm1(-(rate - spread) * horizon)
        return max(upper - risk, risk - lower)

    low, high = 1, 2
    while half(high) > MARGIN:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half(middle) > MARGIN else (low, middle)
    return high

"""What the search aims at, taken from the published numbers and put into its own units.

Times are whole tenths of a month inside the search: a cohort is written to 0.1 month, and whole
numbers tie exactly where printed times do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from training.published import Printed, Published

__all__ = ["TENTHS", "Aim", "Targets", "targets"]

T = TypeVar("T")

TENTHS = 10
"""Units of the search in a month."""

MARGIN = 0.9
"""Share of a rounding interval that is used, so that no figure lies on its edge."""


@dataclass(frozen=True)
class Aim:
    """A number to reach within `within`."""

    value: float
    within: float

    def misses_by(self, number: float) -> float:
        """Return how far `number` lies from the value, in units of what is allowed."""
        return abs(number - self.value) / self.within

    @classmethod
    def printed(cls, number: Printed) -> Aim:
        """Aim at everything that is printed like `number`."""
        return cls(number.value, MARGIN * number.half_unit)


@dataclass(frozen=True)
class Targets:
    """The hard figures of the cohort; tuples by arm are in the order of `arms`, treated first.

    Attributes
    ----------
    arms, n : tuple
        Levels of the treatment and patients in each.
    counts : dict
        Patients by variable, level and arm.
    evaluated : dict
        Patients whose response is known, by time of response and arm.
    means, sds : dict
        Aims by variable and arm.
    medians : dict
        Kaplan-Meier median by outcome and arm, in tenths of a month.
    chi2 : dict
        Log-rank chi-square by outcome.
    core : tuple of str
        Predictors of the multivariable model other than the treatment.
    log_hazard : tuple of float
        Their coefficients and, last, the treatment's: log of the printed hazard ratios.
    log_within : tuple of float
        How far each may lie from that.
    harmful : dict
        The level of each core predictor whose hazard ratio is printed.
    treatment_se : Aim
        Standard error of the treatment's coefficient that the printed interval implies.
    deaths : tuple of int
        Fewest and most deaths.
    follow_up : tuple of int
        Earliest censoring and longest follow-up, in tenths of a month.
    """

    arms: tuple[str, ...]
    n: tuple[int, ...]
    counts: dict[str, dict[str, tuple[int, ...]]]
    evaluated: dict[str, tuple[int, ...]]
    means: dict[str, tuple[Aim, ...]]
    sds: dict[str, tuple[Aim, ...]]
    medians: dict[str, tuple[int, ...]]
    chi2: dict[str, Aim]
    core: tuple[str, ...]
    log_hazard: tuple[float, ...]
    log_within: tuple[float, ...]
    harmful: dict[str, str]
    treatment_se: Aim
    deaths: tuple[int, int]
    follow_up: tuple[int, int]


def targets(published: Published) -> Targets:
    """Return what a cohort must reproduce.

    Raises
    ------
    KeyError
        If the file lacks a figure that the search needs.
    """
    effects = {effect.variable: effect for effect in published.multivariable("os")}
    treatment = effects.pop("treatment")
    arms = tuple(arm.id for arm in published.arms)
    if treatment.level != arms[0]:
        raise KeyError("the first arm must be the one whose hazard ratio is printed")
    ordered = [*effects.values(), treatment]
    deaths = published.suggests("deaths")
    se = published.suggests("standard_error", "treatment")
    follow_up = published.follow_up[0]
    return Targets(
        arms=arms,
        n=tuple(arm.n for arm in published.arms),
        counts={c.variable: c.levels for c in published.counts},
        evaluated={c.variable: c.denominators for c in published.counts if c.evaluated},
        means={m.variable: tuple(map(Aim.printed, m.mean)) for m in published.means},
        sds={m.variable: tuple(map(Aim.printed, m.sd)) for m in published.means},
        medians={
            outcome: tuple(_median(published, outcome, arm) for arm in arms)
            for outcome in ("os", "ttp")
        },
        chi2={test.outcome: Aim.printed(test.chi2) for test in published.logranks},
        core=tuple(effects),
        log_hazard=tuple(math.log(e.hr.value) for e in ordered),
        log_within=tuple(MARGIN * e.hr.half_unit / e.hr.value for e in ordered),
        harmful={name: str(effect.level) for name, effect in effects.items()},
        treatment_se=Aim(float(_given(se.value)), MARGIN * _given(se.tolerance).value),
        deaths=(int(_given(deaths.lower).value), int(_given(deaths.upper).value)),
        follow_up=(
            round(TENTHS * _given(follow_up.lower).value),
            round(TENTHS * _given(follow_up.upper).value),
        ),
    )


def _median(published: Published, outcome: str, arm: str) -> int:
    for record in published.medians:
        if (record.outcome, record.arm) == (outcome, arm):
            return round(TENTHS * record.median.value)
    raise KeyError(f"median of {outcome} in {arm}")


def _given(value: T | None) -> T:
    if value is None:
        raise KeyError("the implied deaths and standard error and the follow-up need limits")
    return value

"""The text's medians, log-rank tests and follow-up, Table 5, and what the source implies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from riskscore.errors import ModelError
from training.published.records import Effect
from training.reconstruction.rows import Agreement, Row, asked
from training.reconstruction.statistics import CoxFit, cox, kaplan_meier, logrank
from training.reconstruction.subject import Subject

__all__ = ["implied_rows", "regression_rows", "time_rows"]

Z95 = NormalDist().inv_cdf(0.975)


def time_rows(cohort: Subject) -> Iterator[Row]:
    """Yield medians with intervals, log-rank tests and follow-up."""
    published = cohort.published
    for m in published.medians:
        where, name = m.where.partition(",")[0], m.outcome.upper()
        arm = cohort.arms[[a.id for a in published.arms].index(m.arm)]
        curve = kaplan_meier(cohort.time[m.outcome][arm], cohort.event[m.outcome][arm])
        yield asked(where, f"{name} median, {m.arm}", [m.median], [curve.median])
        if m.lower is not None and m.upper is not None:
            printed = f"{m.lower} to {m.upper}"
            for form, (low, high) in (
                ("symmetric", curve.symmetric_median_interval()),
                ("log-log", curve.median_interval()),
            ):
                yield Row(where, f"{name} median, 95 % CI ({form})", printed, _to(low, high))
    for test in published.logranks:
        where, name = test.where.partition(",")[0], test.outcome.upper()
        chi2 = logrank(cohort.time[test.outcome], cohort.event[test.outcome], cohort.arms[0])
        yield asked(where, f"{name} log-rank chi-square", [test.chi2], [chi2])
        if test.p is not None:
            yield asked(where, f"{name} log-rank P", [test.p], [float(stats.chi2.sf(chi2, 1))])
    time, death = cohort.time["os"], cohort.event["os"]
    for record in published.follow_up:
        where = record.where.partition(",")[0]
        if record.lower is not None:
            yield asked(
                where, "shortest follow-up of a survivor", [record.lower], [_least(time, death)]
            )
        if record.upper is not None:
            yield asked(where, "longest follow-up", [record.upper], [float(time.max())])
        if record.mean is not None:
            potential = kaplan_meier(time, ~death).median
            for label, number in (
                ("all", float(time.mean())),
                ("survivors", float(time[~death].mean())),
            ):
                yield Row(where, f"average follow-up, {label}", str(record.mean), f"{number:.1f}")
            note = "as long as printed, it brings more deaths than the treatment's interval implies"
            label = "median follow-up, reverse Kaplan-Meier"
            yield Row(where, label, str(record.mean), f"{potential:.1f}", note=note)


def _least(time: NDArray[np.float64], death: NDArray[np.bool_]) -> float:
    return float(time[~death].min()) if (~death).any() else math.nan


def regression_rows(cohort: Subject) -> Iterator[Row]:
    """Yield the multivariable model with both ways of ties, then each effect alone."""
    effects = cohort.published.multivariable("os")
    efron, breslow = (_fit(cohort, effects, ties) for ties in ("efron", "breslow"))
    for i, effect in enumerate(effects):
        where, name = effect.where, effect.variable
        yield asked(where, f"{name}: HR (Efron)", [effect.hr], [float(efron.hazard_ratio[i])])
        other = f"{breslow.hazard_ratio[i]:.4f}"
        yield Row(where, f"{name}: HR (Breslow)", str(effect.hr), other)
        if effect.lower is not None and effect.upper is not None:
            low, high = np.exp(efron.coef[i] + np.array([-1, 1]) * Z95 * efron.se[i])
            yield Row(
                where, f"{name}: 95 % CI", f"{effect.lower} to {effect.upper}", _to(low, high, 3)
            )
        if effect.p is not None:
            p = f"{2 * NormalDist().cdf(-abs(efron.z[i])):.3f}"
            yield Row(where, f"{name}: P", str(effect.p), p)
        if effect.coefficient is not None:
            note = ""
            low, high = (math.log(value) for value in effect.hr.interval)
            if not (
                low <= effect.coefficient.interval[1] and effect.coefficient.interval[0] <= high
            ):
                note = "the printed coefficient contradicts the printed hazard ratio"
            found = f"{efron.coef[i]:.3f}"
            yield Row(where, f"{name}: coefficient", str(effect.coefficient), found, note=note)
    for effect in cohort.published.effects:
        if effect.model == "univariable":
            note = "" if effect.level else "the source does not say which level is compared"
            where, label, found = (
                effect.where,
                f"{effect.variable} alone: HR",
                _alone(cohort, effect),
            )
            yield Row(where, label, str(effect.hr), found, note=note)


def _alone(cohort: Subject, effect: Effect) -> str:
    try:
        return f"{_fit(cohort, (effect,), 'efron').hazard_ratio[0]:.3f}"
    except ModelError:  # asked of no cohort, so no reason to refuse one
        return "not estimable"


def implied_rows(cohort: Subject) -> Iterator[Row]:
    """Yield the deaths and the standard errors that the printed intervals imply."""
    published = cohort.published
    deaths, number = published.suggests("deaths"), int(cohort.event["os"].sum())
    if deaths.lower is not None and deaths.upper is not None:
        inside = deaths.lower.value <= number <= deaths.upper.value
        span = f"{deaths.lower} to {deaths.upper}"
        yield Row("implied", "deaths", span, str(number), "within", "yes" if inside else "no")
    effects = published.multivariable("os")
    fit = _fit(cohort, effects, "efron")
    # Half the patients exposed, everyone dead: no coefficient of a 0/1 predictor can be surer.
    least = 2 / math.sqrt(len(cohort.frame))
    for i, effect in enumerate(effects):
        if effect.lower is None or effect.upper is None:
            continue
        se = math.log(effect.upper.value / effect.lower.value) / (2 * Z95)
        name, found = f"{effect.variable}: standard error", f"{fit.se[i]:.3f}"
        if effect.variable == "treatment":
            goal = published.suggests("standard_error", effect.variable)
            within = goal.tolerance.value if goal.tolerance else 0.0
            close = abs(float(fit.se[i]) - float(goal.value or se)) <= within + 1e-9
            agrees: Agreement = "yes" if close else "no"
            yield Row("implied", name, f"{se:.3f}", found, f"{within:.2f}", agrees)
        else:
            note = "not met together with the treatment's and the hazard ratios"
            if se < least:
                note = (
                    f"cannot be met: {len(cohort.frame)} patients cannot give less than {least:.3f}"
                )
            yield Row("implied", name, f"{se:.3f}", found, note=note)


def _fit(cohort: Subject, effects: tuple[Effect, ...], ties: str) -> CoxFit:
    x = np.column_stack([cohort.contrast(effect) for effect in effects])
    return cox(cohort.time["os"], cohort.event["os"], x, ties)


def _to(low: float, high: float, decimals: int = 1) -> str:
    return f"{low:.{decimals}f} to {high:.{decimals}f}"

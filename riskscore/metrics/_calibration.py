"""Calibration at a horizon: whether as many patients have the event by then as the model predicts.

Every figure is of the horizon: the regressions see the outcome administratively censored there
(McLernon et al., Ann Intern Med 176 (2023) 105, doi:10.7326/M22-0844). Over the whole follow-up a
model whose effects fade looks right at every horizon, and is wrong at each.

Sources: van Houwelingen, Stat Med 19 (2000) 3401 (intercept, slope); Debray et al., BMJ 356 (2017)
i6460, doi:10.1136/bmj.i6460 (observed/expected); Austin, Harrell & van Klaveren, Stat Med 39 (2020)
2714, doi:10.1002/sim.8570 (smooth curve, ICI, E50, E90); Austin et al., Diagn Progn Res 6 (2022) 2,
doi:10.1186/s41512-021-00114-6 (where an event competes); Crowson, Atkinson & Therneau, Stat Methods
Med Res 25 (2016) 1692, doi:10.1177/0962280213497434 (why the intercept is a hazard's logarithm).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskscore.errors import InputError, ModelError, Problem
from riskscore.metrics._aalen_johansen import censoring_risk, observed_risk
from riskscore.metrics._bootstrap import Resamples
from riskscore.metrics._cox import baseline_se, fit_cox
from riskscore.metrics._estimates import Estimate, FloatArray, on_log_scale, wald
from riskscore.metrics._outcome import Outcome, check_horizons, check_outcome, check_risk
from riskscore.metrics._smooth import LEAST, MOST, CalibrationCurve, smooth_curve
from riskscore.ties import RISK_TOLERANCE

__all__ = [
    "Calibration", "CalibrationGroup", "calibration", "calibration_of",
    "check_settings",
]  # fmt: skip

FOLLOW_UP = "administratively censored at each horizon"
"""What a validation's JSON says as `calibration_follow_up`. Where the key is missing, an older
version took slope, ICI, E50, E90 and curve over the whole follow-up."""


@dataclass(frozen=True, slots=True)
class CalibrationGroup:
    """One group of patients with similar predicted risks.

    Attributes
    ----------
    n : int
        Patients.
    predicted : float
        Their mean predicted risk.
    observed : Estimate
        1 - Kaplan-Meier among them (with a competing event Aalen-Johansen's cumulative incidence),
        log-log interval; NaN where none was followed to the horizon.
    """

    n: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration at one horizon.

    Attributes
    ----------
    horizon : float
    observed : Estimate
        Risk by the horizon: 1 - Kaplan-Meier, or with a competing event Aalen-Johansen's cumulative
        incidence.
    observed_censoring : Estimate or None
        With a competing event, 1 - Kaplan-Meier, which censors it and is therefore the larger.
    expected : float
        Mean predicted risk.
    observed_expected : Estimate
        Their ratio: 1 is right, above 1 the model underestimates. Interval on the log scale, the
        expected risk taken as known.
    intercept : Estimate or None
        Logarithm of the observed over the predicted cumulative hazard at the horizon, hazards held
        proportional to the predicted ones (Cox with -log(survival) as known hazard ratio): 0 is
        right, positive where the model underestimates. With a competing event the hazard is the
        subdistribution's.
    slope : Estimate or None
        Cox coefficient of log(-log(survival)), follow-up administratively censored at the horizon:
        1 is right, below 1 predicted risks lie farther apart than observed ones. For a Cox model it
        is the coefficient of its linear predictor up to the horizon; on its own cohort that is 1
        over the whole follow-up, and need not be up to a horizon. With a competing event it is Fine
        and Gray's.
    ici, e50, e90 : Estimate or None
        Mean, median and 90th percentile, over patients, of the distance between predicted risk and
        smooth curve, both at the horizon; 0 is perfect. Intervals by bootstrap; a distance has no
        other sign, so even a perfect model's are above 0.
    curve : CalibrationCurve or None
    groups : tuple of CalibrationGroup
    histogram : tuple of int
        Patients by predicted risk, in 50 equal bins from 0 to 1.
    notes : tuple of str
        What could not be had, or was done otherwise, and why.
    """

    horizon: float
    observed: Estimate
    observed_censoring: Estimate | None
    expected: float
    observed_expected: Estimate
    intercept: Estimate | None
    slope: Estimate | None
    ici: Estimate | None
    e50: Estimate | None
    e90: Estimate | None
    curve: CalibrationCurve | None
    groups: tuple[CalibrationGroup, ...]
    histogram: tuple[int, ...]
    notes: tuple[str, ...]


def calibration(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    horizons: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    competing: ArrayLike | None = None,
    n_groups: int | None = None,
    n_knots: int = 3,
    n_bootstrap: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> list[Calibration]:
    """Return the calibration at each horizon.

    Parameters
    ----------
    time, event : array-like of shape (n,)
        Follow-up, and whether it ends with the event.
    survival : array-like of shape (n, k)
        Predicted probability of being event-free at each horizon (not the risk).
    horizons : array-like of shape (k,) or float
        Ascending.
    groups : array-like of shape (n,), optional
        Clusters for the standard errors; the bootstrap draws them whole.
    competing : array-like of shape (n,), optional
        Whether follow-up ends with a competing event; never together with `event`. Every observed
        risk is then a cumulative incidence; intercept, slope and curve (with ICI, E50, E90) come
        from Fine and Gray's regression.
    n_groups : int, optional
        Groups of patients, cut at quantiles of the risk; 10 with 200 events or more by
        the horizon, else 5.
    n_knots : {3, 4, 5}
        Knots of the smooth curve: Cox on a restricted cubic spline of log(-log(survival)),
        administratively censored at the horizon.
    n_bootstrap, seed : int
        Resamples for the curve, ICI, E50 and E90; 0 for no intervals.
    level : float
        Coverage of the intervals.

    Raises
    ------
    InputError
        If the data break a rule, or a horizon has no event before it or nobody beyond it.

    Examples
    --------
    >>> time, survival = [1, 2, 3, 4, 5, 6], [0.2, 0.3, 0.6, 0.5, 0.8, 0.7]
    >>> [found] = calibration(time, [1, 1, 0, 1, 1, 0], survival, 3.5, n_bootstrap=0)
    >>> round(found.observed.value, 3), round(found.expected, 3)
    (0.333, 0.483)
    """
    outcome = check_outcome(time, event, groups, competing)
    at = check_horizons(outcome, horizons)
    risk = check_risk(outcome, survival, len(at))
    check_settings(n_groups, n_knots)
    counts = Resamples(outcome, n_bootstrap, seed)
    return [
        calibration_of(outcome, risk[:, k], float(horizon), counts, level, n_groups, n_knots)
        for k, horizon in enumerate(at)
    ]


def check_settings(n_groups: int | None, n_knots: int) -> None:
    """Check the number of groups and knots.

    Raises
    ------
    InputError
        If there are too few groups, or another number of knots than 3, 4 or 5.
    """
    if n_knots not in (3, 4, 5):
        raise InputError([Problem(None, "n_knots", "must be 3, 4 or 5", n_knots, "take 3")])
    if n_groups is not None and n_groups < 2:
        raise InputError([Problem(None, "n_groups", "must be 2 or more", n_groups, "take 5")])


def calibration_of(
    outcome: Outcome,
    risk: FloatArray,
    horizon: float,
    counts: Resamples,
    level: float,
    n_groups: int | None = None,
    n_knots: int = 3,
) -> Calibration:
    """Return the calibration of checked arrays at one checked horizon."""
    notes: list[str] = []
    everyone = np.ones(len(outcome), dtype=bool)
    observed = observed_risk(outcome, horizon, everyone, level)
    censoring = None
    if outcome.competing is not None:
        censoring = censoring_risk(outcome, horizon, everyone, level)
    expected = float(risk.mean())
    kept = np.clip(risk, LEAST, MOST)
    if moved := int((kept != risk).sum()):
        notes.append(
            f"{moved} predicted risks of 0 (or below {LEAST:g}) or 1 were moved inwards for Cox"
        )
    x = np.log(-np.log1p(-kept))
    seen = outcome.until(horizon)

    def attempt(what: str, find: Callable[[], Estimate]) -> Estimate | None:
        try:
            return find()
        except ModelError as error:
            notes.append(f"no {what}: {error}")
            return None

    smooth = None
    try:
        smooth = smooth_curve(seen, risk, x, counts, level, n_knots, notes)
    except ModelError as error:
        notes.append(f"no smooth curve: {error}")
    ici, e50, e90, curve = smooth or (None, None, None, None)
    return Calibration(
        horizon,
        observed,
        censoring,
        expected,
        _ratio(observed, expected, level),
        attempt("intercept", lambda: _intercept(seen, x, level)),
        attempt("slope", lambda: _slope(seen, x, level)),
        ici,
        e50,
        e90,
        curve,
        _groups(outcome, risk, horizon, n_groups, level, notes),
        tuple(np.histogram(risk, bins=50, range=(0, 1))[0].tolist()),
        tuple(notes),
    )


def _ratio(observed: Estimate, expected: float, level: float) -> Estimate:
    if not expected > 0 or observed.se is None or not observed.value > 0:
        return Estimate(observed.value / expected if expected > 0 else math.inf)
    return on_log_scale(observed.value / expected, observed.se / observed.value, level)


def _intercept(seen: Outcome, x: FloatArray, level: float) -> Estimate:
    hazard, se = baseline_se(seen, x, len(seen.times) - 1)
    return wald(math.log(hazard), se / hazard, level)


def _slope(seen: Outcome, x: FloatArray, level: float) -> Estimate:
    fit = fit_cox(seen, x[:, None])
    return wald(float(fit.coef[0]), math.sqrt(fit.variance[0, 0]), level)


def _groups(
    outcome: Outcome,
    risk: FloatArray,
    horizon: float,
    n_groups: int | None,
    level: float,
    notes: list[str],
) -> tuple[CalibrationGroup, ...]:
    """Return groups cut at quantiles of the risk; equal risks stay together."""
    events = int((outcome.event & (outcome.time <= horizon)).sum())
    wanted = n_groups or (10 if events >= 200 else 5)
    cuts = np.quantile(risk, np.arange(1, wanted) / wanted)
    # A cut that lies on a patient's risk may miss it by the last bit.
    group = np.searchsorted(cuts, risk - RISK_TOLERANCE, side="left")
    found = []
    for number in np.unique(group):
        who = group == number
        observed = observed_risk(outcome, horizon, who, level)
        if math.isnan(observed.value):
            notes.append(f"risk group {number + 1}: nobody in it was followed to {horizon:g}")
        found.append(CalibrationGroup(int(who.sum()), float(risk[who].mean()), observed))
    if len(found) < wanted:
        notes.append(f"{len(found)} risk groups instead of {wanted}: too few predictions differ")
    return tuple(found)

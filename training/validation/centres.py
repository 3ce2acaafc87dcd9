"""Internal-external cross-validation: each centre, or year, judged by a fit on all the others.

Sources: Royston, Parmar & Sylvester, Stat Med 23 (2004) 907, doi:10.1002/sim.1691; pooling as
Debray et al., Stat Methods Med Res 28 (2019) 2768, doi:10.1177/0962280218785504: random effects by
REML, intervals by Hartung and Knapp, concordance pooled as its logit, ratios as their logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.settings import Settings
from training.validation.figures import Plan
from training.validation.held_out import judge, shared_patients
from training.validation.procedure import choices, procedure
from training.validation.resampling import replicate
from training.validation.results import chosen_in

__all__ = ["HOW", "internal_external", "pooled"]

FloatArray = NDArray[np.float64]

HOW = (
    "each centre (or year) judged by the whole procedure fitted on all the others; pooled by a "
    "random-effects meta-analysis (REML, Hartung and Knapp), with the interval in which a new "
    "centre's figure is expected"
)

Z95 = 1.959963984540054


class _Left:
    """Fit on all but one centre, and judge that one."""

    def __init__(self, cohort: Cohort, kind: str, settings: Settings, column: NDArray[Any]) -> None:
        self.choices = choices(kind, settings)
        self.cohort, self.settings, self.column = cohort, settings.alone(), column
        self.rule = procedure(kind, cohort.predictors, settings)
        self.plan = Plan.of(cohort)
        self.values = np.unique(column)

    def __call__(self, number: int) -> dict[str, Any]:
        value = self.values[number]
        here = self.column == value
        test = self.cohort.subset(np.flatnonzero(here))
        try:
            refit = self.rule.fit(self.cohort, np.flatnonzero(~here), self.plan.times)
            found = judge(
                test, refit.score(test.X), refit.survival(test.X, self.plan.times), self.plan,
                seed=self.settings.seed,
            )  # fmt: skip
        except ValueError as error:
            raise ModelError(f"{value}: {error}") from error
        name = value.item() if hasattr(value, "item") else value
        chosen = dict(zip(self.choices, refit.chosen.tolist(), strict=True))
        return {"value": name} | found | ({"chosen": chosen} if chosen else {})


def internal_external(
    cohort: Cohort, kind: str, settings: Settings, column: Sequence[Any] | NDArray[Any]
) -> dict[str, Any]:
    """Return the indexes of each centre left out in turn, and their random-effects means.

    Parameters
    ----------
    cohort : Cohort
    kind : str
    settings : Settings
    column : array-like of shape (n,)
        Centre or year of each row.

    Raises
    ------
    ModelError
        If there are fewer than two centres, a patient is in several, or none can be judged.
    """
    of = np.asarray(column)
    values = np.unique(of)
    if len(values) < 2:
        raise ModelError(f"the column must have two values or more, got only {of.tolist()[0]!r}")
    if len(values) > len(of) // 5:
        raise ModelError(
            f"the column has {len(values)} values for {len(of)} rows: choose one with few, such as "
            "a centre or a year"
        )
    several = sum(shared_patients(cohort, of == value) for value in values)
    if several:
        raise ModelError(
            f"{several} times a patient has rows in more than one group, and would judge a model "
            "that has seen the patient; group by a column that is the same for all of a patient's "
            "rows"
        )
    left = _Left(cohort, kind, settings, of)
    done = replicate(left, len(values), settings.n_jobs, "centre")
    return {
        "centres": done.results,
        "pooled": _pool_all(done.results),
        "not_judged": list(done.failed),
        "replicates": done.to_dict(),
    } | chosen_in(
        [np.array(list(c.get("chosen", {}).values())) for c in done.results], left.choices
    )


def pooled(values: FloatArray, errors: FloatArray) -> dict[str, float | None]:
    """Return the random-effects mean with its interval, tau, and the interval of a new one.

    Parameters
    ----------
    values, errors : ndarray of shape (k,)
        On a scale on which they are about normal; k is at least 2.
    """
    k, variance = len(values), errors**2

    def minus(tau2: float) -> float:
        weight = 1 / (variance + tau2)
        mean = (weight @ values) / weight.sum()
        terms = np.log(variance + tau2).sum() + np.log(weight.sum())
        return float(terms + weight @ (values - mean) ** 2) / 2

    most = 10 * float(values.var(ddof=1) + variance.max())
    tau2 = float(optimize.minimize_scalar(minus, bounds=(0, most), options={"xatol": 1e-12}).x)
    if minus(0.0) <= minus(tau2):
        tau2 = 0.0
    weight = 1 / (variance + tau2)
    mean = float(weight @ values / weight.sum())
    se = float(np.sqrt(weight @ (values - mean) ** 2 / (k - 1) / weight.sum()))
    half = stats.t.ppf(0.975, k - 1) * se
    new = None if k < 3 else stats.t.ppf(0.975, k - 2) * np.sqrt(tau2 + se**2)
    return {
        "value": mean, "lower": mean - half, "upper": mean + half, "tau": tau2**0.5,
        "new_lower": None if new is None else mean - new,
        "new_upper": None if new is None else mean + new,
    }  # fmt: skip


def _pool_all(centres: list[dict[str, Any]]) -> dict[str, Any]:
    horizons = sorted({h["horizon"] for c in centres for h in c["horizons"]})
    of_horizons = []
    for horizon in horizons:
        rows = [h for c in centres for h in c["horizons"] if h["horizon"] == horizon]
        of_horizons.append(
            {
                "horizon": horizon,
                "auc": _pool([r["auc"] for r in rows], _logit, _expit),
                "observed_expected": _pool([r["observed_expected"] for r in rows], np.log, np.exp),
                "slope": _pool([r["slope"] for r in rows]),
            }
        )
    return {
        "concordance": _pool([c["concordance"] for c in centres], _logit, _expit),
        "horizons": of_horizons,
    }


def _pool(
    found: list[dict[str, Any] | None],
    scale: Callable[[float], float] = float,
    back: Callable[[float], float] = float,
) -> dict[str, Any] | None:
    """Pool figures on a scale, each error from its interval there; None for fewer than two."""
    values, errors = [], []
    for one in found:
        if one is None or one["lower"] is None or one["upper"] is None:
            continue
        with np.errstate(all="ignore"):
            at = [float(scale(one[key])) for key in ("lower", "value", "upper")]
        # An interval cut at 0 or 1 tells its error by the other side.
        sides = [abs(at[1] - side) for side in (at[0], at[2]) if np.isfinite(side)]
        if np.isfinite(at[1]) and sides and max(sides) > 0:
            values.append(at[1])
            errors.append(float(np.mean(sides)) / Z95)
    if len(values) < 2:
        return None
    result = pooled(np.array(values), np.array(errors))
    moved: dict[str, Any] = {
        key: value if value is None or key == "tau" else float(back(value))
        for key, value in result.items()
    }
    return moved | {"centres": len(values)}


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))

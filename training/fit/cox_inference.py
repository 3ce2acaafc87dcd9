"""What `inference.json` says of a Cox model: all that a table, a test or a plot needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from riskscore.design import Term, design_matrix
from riskscore.study import Predictor
from training.cohort import Cohort
from training.cox import CoxModel
from training.cox.checks import aliases_in, extreme_effects, few_clusters, few_events
from training.cox.proportional_hazards import (
    BAND,
    ProportionalHazards,
    proportional_hazards,
    smooth,
)
from training.encoding import compared_values

__all__ = ["inference_of"]

FloatArray = NDArray[np.float64]

LEVEL = 0.95

MOST_POINTS = 1000
"""Points of a Schoenfeld plot; with more deaths, neighbours are averaged."""

CLUSTERED = "the rows of a patient taken together"
"""What sets a figure of repeated rows apart from R's."""

LEAST_TOGETHER = 5
"""Deaths averaged in a point where the rows are patients: one residual tells one patient's
values."""


def inference_of(
    pipeline: Pipeline, cohort: Cohort, penalty: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the content of `inference.json`.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted on the cohort.
    cohort : Cohort
    penalty : dict or None
        What to say of the penalty. With one, all that needs a standard error is null.
    """
    model: CoxModel = pipeline["model"]
    terms: tuple[Term, ...] = pipeline["encode"].terms_
    predictors = cohort.predictors
    groups = {
        p.name: [k for k, t in enumerate(terms) if t.column == j] for j, p in enumerate(predictors)
    }
    sums = model.sums_
    contrasts = _contrasts(model, terms, cohort)
    few = few_events(cohort.event, cohort.groups, terms, predictors, shrunken=penalty is not None)
    if penalty is None:
        few += few_clusters(cohort.groups, cohort.study.cluster)
    design = design_matrix(cohort.X, predictors, terms)
    return {
        "kind": "cox",
        "ties": model.ties,
        "variance": _variance(cohort, penalty),
        "penalty": penalty,
        "coefficients": _coefficients(model, terms, predictors),
        "contrasts": contrasts,
        "covariance": None if np.isnan(model.variance_).any() else model.variance_.tolist(),
        "se_model_based": None
        if penalty
        else np.sqrt(np.diag(model.information_variance_)).tolist(),
        "log_likelihood": {"model": sums.loglik, "null": model.loglik_null_},
        "tests": _of_the_whole(model, cohort),
        "association": None if penalty else _tests(model, groups),
        "nonlinearity": None
        if penalty
        else _tests(model, {n: [k for k in g if terms[k].part] for n, g in groups.items()}),
        "proportional_hazards": None if penalty else _proportional(pipeline, cohort, groups),
        "warnings": [*few, *_extreme(contrasts, model, cohort, design, groups, terms)],
        "baseline": {
            "method": model.ties.capitalize(),
            "at": {t.name: c for t, c in zip(terms, model.center_.tolist(), strict=True)},
            "times": sums.times.tolist(),
            "cumulative_hazard": sums.hazard.tolist(),
            "hazard_variance": sums.hazard_variance.tolist(),
            "hazard_mean": sums.hazard_mean.tolist(),
            **({} if penalty or cohort.groups is None else _log_hazard(model)),
        },
    }


def _log_hazard(model: CoxModel) -> dict[str, Any]:
    """Return what independent rows' other figures of the baseline give, and repeated rows' not."""
    joint = model.baseline_variance_
    return {
        "log_hazard_variance": joint.variance.tolist(),
        "log_hazard_covariance": joint.covariance.tolist(),
    }


def _of_the_whole(model: CoxModel, cohort: Cohort) -> dict[str, Any] | None:
    """Return the tests that no term has an effect; of repeated rows those that can be believed."""
    tests = sorted(model.tests_.items())
    if cohort.groups is not None:
        tests = [(name, test) for name, test in tests if name in ("robust_score", "wald")]
    return {name: asdict(test) for name, test in tests} or None


def _variance(cohort: Cohort, penalty: dict[str, Any] | None) -> str:
    if penalty:
        shrunken = f"the coefficients are shrunken by a {penalty['kind']}"
        return f"none: {penalty.get('why', shrunken)}"
    if cohort.groups is None:
        return "inverse information"
    cluster = cohort.study.cluster
    return f"robust, clustered on {'the patient' if cluster == 'patient' else cluster}"


def _coefficients(
    model: CoxModel, terms: tuple[Term, ...], predictors: tuple[Predictor, ...]
) -> list[dict[str, Any]]:
    """Return the rows, with what `riskscore.design.read_terms` needs.

    A part of a spline has no hazard ratio: no patient differs from another by one part alone.
    """
    none = dict.fromkeys(("se", "hazard_ratio", "lower", "upper", "p"))
    if model.has_errors_:
        rows = [asdict(c) for c in model.coefficients(tuple(t.name for t in terms), LEVEL)]
    else:
        rows = [
            {"term": t.name, "coef": b, **none, "hazard_ratio": float(np.exp(b))}
            for t, b in zip(terms, model.coef_.tolist(), strict=True)
        ]
    of_a_part = dict.fromkeys(("hazard_ratio", "lower", "upper"))
    return [
        row | (of_a_part if t.knots else {}) | t.to_dict(predictors)
        for row, t in zip(rows, terms, strict=True)
    ]


def _contrasts(model: CoxModel, terms: tuple[Term, ...], cohort: Cohort) -> list[dict[str, Any]]:
    """Return hazard ratios a reader can picture: level against reference, or across the middle.

    A number is compared at the two values of `compared_values`.
    """
    contrasts = []
    for p, to, start, d in _compared(terms, cohort):
        row = asdict(model.combination(p.name, d, LEVEL))
        contrasts.append(
            {
                "predictor": p.name,
                "label": p.label,
                "unit": p.unit or None,
                "value": p.levels[int(to)] if p.is_category else to,
                "reference": p.levels[0] if p.is_category else start,
                "log_hazard_ratio": row["coef"],
                **{key: row[key] for key in ("se", "hazard_ratio", "lower", "upper", "p")},
            }
        )
    return contrasts


def _compared(
    terms: tuple[Term, ...], cohort: Cohort
) -> Iterator[tuple[Predictor, float, float, FloatArray]]:
    """Yield each predictor with two values of it, and the difference of their design rows."""
    for j, p in enumerate(cohort.predictors):
        if p.is_category:
            pairs = [(float(i), 0.0) for i in range(1, len(p.levels))]
        else:
            pairs = [compared_values(cohort.X[:, j], p.form)]
        for to, start in pairs:
            two = np.repeat(cohort.X[:1], 2, axis=0)
            two[:, j] = to, start
            design = design_matrix(two, cohort.predictors, terms)
            yield p, to, start, design[0] - design[1]


def _extreme(
    contrasts: list[dict[str, Any]],
    model: CoxModel,
    cohort: Cohort,
    design: FloatArray,
    groups: dict[str, list[int]],
    terms: tuple[Term, ...],
) -> list[str]:
    """Return the warnings of `extreme_effects`, an effect shared among aliases judged whole."""
    aliases = aliases_in(design)
    if not aliases.aliased:
        return extreme_effects(contrasts, design, groups)
    coef = aliases.joined(model.coef_)
    named = ", ".join(terms[k].name for k in aliases.aliased)
    joint, own = [], {}
    for c, (p, _, _, d) in zip(contrasts, _compared(terms, cohort), strict=True):
        effect = float(d @ coef)
        together = abs(effect - c["log_hazard_ratio"]) > 1e-6
        who = f"{p.name} with its aliases ({named})" if together else p.name
        own[who] = [aliases.kept.index(k) for k in groups[p.name] if k in aliases.kept]
        whole = {"log_hazard_ratio": effect, "hazard_ratio": float(np.exp(effect))}
        joint.append(c | whole | {"predictor": who})
    return extreme_effects(joint, design[:, aliases.kept], own)


def _tests(model: CoxModel, groups: dict[str, list[int]]) -> list[dict[str, Any]]:
    """Return the test of each group of terms that has any."""
    return [{"predictor": name} | asdict(model.test(k)) for name, k in groups.items() if k]


def _proportional(
    pipeline: Pipeline, cohort: Cohort, groups: dict[str, list[int]]
) -> dict[str, Any]:
    """Return the test, the points of its plot, and the smooth curves through all residuals."""
    model: CoxModel = pipeline["model"]
    X = pipeline["encode"].transform(cohort.X)
    found = proportional_hazards(model, X, cohort.y, groups, cohort.groups)
    clustered = cohort.groups is not None
    return {
        "transform": "km",
        "method": f"score test of a change with one minus Kaplan-Meier, {CLUSTERED}"
        if clustered
        else "score test of a change with one minus Kaplan-Meier, as R's cox.zph",
        "terms": [{"predictor": n} | asdict(t) for n, t in found.tests.items()],
        "global": asdict(found.overall),
        "residuals": _points(found, cohort),
        "smooth": {name: _curve(found, i) for i, name in enumerate(groups)},
        "smooth_band": f"with {BAND:g} standard errors, {CLUSTERED}"
        if clustered
        else f"with {BAND:g} standard errors as R's plot.cox.zph",
    }


def _points(found: ProportionalHazards, cohort: Cohort) -> dict[str, Any]:
    """Return the residuals, neighbours averaged where they are many or are of real patients."""
    deaths = len(found.time)
    together = max(1, -(-deaths // MOST_POINTS))
    if cohort.provenance.kind != "reconstructed":
        together = max(together, LEAST_TOGETHER)
    parts = np.array_split(np.arange(deaths), max(1, deaths // together))

    def means(values: FloatArray) -> list[float]:
        return [float(values[part].mean()) for part in parts]

    return {
        "deaths": deaths,
        "deaths_in_a_point": together,
        "time": means(found.time),
        "transformed": means(found.transformed),
        "scaled": {n: means(found.residuals[:, i]) for i, n in enumerate(found.tests)},
    }


def _curve(found: ProportionalHazards, i: int) -> dict[str, Any] | None:
    curve = smooth(
        found.transformed, found.residuals[:, i], float(found.variance[i]), found.cluster
    )
    if curve is None:
        return None
    half = BAND * curve.standard_error
    return {
        "transformed": curve.transformed.tolist(),
        "time": np.interp(curve.transformed, found.transformed, found.time).tolist(),
        "effect": curve.effect.tolist(),
        "lower": (curve.effect - half).tolist(),
        "upper": (curve.effect + half).tolist(),
    }

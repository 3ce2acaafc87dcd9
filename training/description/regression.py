"""Cox models of each predictor alone and of all together, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats
from scipy.linalg import LinAlgWarning

from riskscore.design import Term
from riskscore.errors import ModelError
from riskscore.study import Predictor
from training.cohort import Cohort
from training.cox import CoxModel
from training.encoding import StudyEncoder, compared_values

__all__ = ["regression"]


def regression(cohort: Cohort, together: Sequence[str] | None = None) -> dict[str, Any]:
    """Fit a Cox model (Efron) to each predictor alone, and one to several together.

    Parameters
    ----------
    cohort : Cohort
    together : sequence of str, optional
        Predictors of the multivariable model; all by default.

    Returns
    -------
    dict
        `rows` has one entry a level after the reference and one a number, in the study's order.
        Hazard ratios are of the level against the reference, of one unit of a number, of a factor
        e of one in logarithms, or of a spline between its quartiles: there `p` is of the joint
        test of its parts, `joint` is that test, and `nonlinearity` that of its curved parts. A
        model that cannot be estimated is None in its rows and is named with the reason in
        `refused`.
    """
    refused: dict[str, str] = {}
    alone: dict[str, dict[str, Any]] = {}
    overall: dict[str, dict[str, Any]] = {}
    for predictor in cohort.predictors:
        try:
            found, test = _fit(cohort, [predictor])
        except ModelError as error:
            refused[predictor.name] = str(error)
        else:
            alone.update(found)
            overall[predictor.name] = test
    chosen = [p for p in cohort.predictors if together is None or p.name in together]
    joint: dict[str, dict[str, Any]] = {}
    joint_test = None
    if chosen:
        try:
            joint, joint_test = _fit(cohort, chosen)
        except ModelError as error:
            refused["multivariable"] = str(error)
    return {
        "variance": "robust" if cohort.groups is not None else "inverse information",
        "patients": len(cohort.time),
        "events": int(cohort.event.sum()),
        "rows": [
            {**names, "univariable": alone.get(name), "multivariable": joint.get(name)}
            for name, names in _rows(cohort).items()
        ],
        "univariable_tests": overall,
        "multivariable_predictors": [p.name for p in chosen],
        "multivariable_test": joint_test,
        "refused": refused,
    }


def _fit(
    cohort: Cohort, chosen: Sequence[Predictor]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the coefficients by term, and the model's likelihood ratio test."""
    columns = [cohort.predictors.index(p) for p in chosen]
    encoder = StudyEncoder(tuple(chosen)).fit(cohort.X[:, columns])
    design = encoder.transform(cohort.X[:, columns])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            names = tuple(term.name for term in encoder.terms_)
            model = CoxModel(names=names).fit(design, cohort.y, cohort.groups)
    except LinAlgWarning as warning:
        raise ModelError(f"the likelihood has no maximum that can be told [{warning}]") from warning
    statistic = 2 * (model.sums_.loglik - model.loglik_null_)
    test = {
        "name": "likelihood ratio",
        "statistic": statistic,
        "df": len(encoder.terms_),
        "p": float(stats.chi2.sf(statistic, len(encoder.terms_))),
    }
    return _effects(cohort, chosen, encoder, model), test


def _effects(
    cohort: Cohort, chosen: Sequence[Predictor], encoder: StudyEncoder, model: CoxModel
) -> dict[str, dict[str, Any]]:
    """Return the effects of a model by the name of their row; a spline has one."""
    terms = encoder.terms_
    columns = [cohort.predictors.index(p) for p in chosen]
    effects: dict[str, dict[str, Any]] = {}
    for row in model.coefficients():
        effects[row.term] = asdict(row)
    for j, predictor in enumerate(chosen):
        parts = [k for k, term in enumerate(terms) if term.column == j]
        if predictor.form != "spline" or predictor.is_category:
            continue
        values = cohort.X[:, columns[j]]
        # Two patients alike in all else: at values that occur, for 0 has no logarithm.
        two = np.repeat(cohort.X[:1, columns], 2, axis=0)
        two[:, j] = compared_values(values, predictor.form)
        design = encoder.transform(two)
        joint = model.test(parts)
        for k in parts:
            del effects[terms[k].name]
        effects[predictor.name] = asdict(
            model.combination(predictor.name, design[0] - design[1])
        ) | {
            "p": joint.p,
            "joint": asdict(joint),
            "nonlinearity": asdict(model.test(parts[1:])),
        }
    return effects


def _rows(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """Return what each row is called, by its name."""
    rows = {}
    for term in StudyEncoder(cohort.predictors).fit(cohort.X).terms_:
        if term.part == 0:
            rows[term.name] = _names(term, cohort)
    return rows


def _names(term: Term, cohort: Cohort) -> dict[str, Any]:
    predictor = cohort.predictors[term.column]
    category = term.level is not None
    names: dict[str, Any] = {
        "term": term.name,
        "predictor": predictor.name,
        "label": predictor.label,
        "level": predictor.levels[term.level] if term.level is not None else None,
        "reference": predictor.levels[0] if category else None,
        "unit": None if category else predictor.unit,
        "form": term.form,
    }
    if term.form == "spline":
        compared = compared_values(cohort.X[:, term.column], predictor.form)
        names |= {"compared": list(compared), "knots": list(term.knots)}
    return names

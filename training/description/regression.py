"""Cox models of each predictor alone and of all together, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scipy import stats
from scipy.linalg import LinAlgWarning

from riskscore.design import Term
from riskscore.errors import ModelError
from riskscore.study import Predictor
from training.cohort import Cohort
from training.cox import Coefficient, CoxModel
from training.encoding import StudyEncoder

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
        `rows` has one entry a term, in the study's order; hazard ratios are of the level against
        the reference, of one unit of a number, or of a factor e of one in logarithms. A model
        that cannot be estimated is None in its rows and is named with the reason in `refused`.
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
            {
                **_names(term, cohort.predictors[term.column]),
                "univariable": alone.get(term.name),
                "multivariable": joint.get(term.name),
            }
            for term in StudyEncoder(cohort.predictors).fit(cohort.X).terms_
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
            model = CoxModel().fit(design, cohort.y, cohort.groups)
    except LinAlgWarning as warning:
        raise ModelError(f"the likelihood has no maximum that can be told [{warning}]") from warning
    names = tuple(term.name for term in encoder.terms_)
    rows: list[Coefficient] = model.coefficients(names)
    statistic = 2 * (model.sums_.loglik - model.loglik_null_)
    test = {
        "name": "likelihood ratio",
        "statistic": statistic,
        "df": len(names),
        "p": float(stats.chi2.sf(statistic, len(names))),
    }
    return {row.term: asdict(row) for row in rows}, test


def _names(term: Term, predictor: Predictor) -> dict[str, Any]:
    category = term.level is not None
    return {
        "term": term.name,
        "predictor": predictor.name,
        "label": predictor.label,
        "level": predictor.levels[term.level] if term.level is not None else None,
        "reference": predictor.levels[0] if category else None,
        "unit": None if category else predictor.unit,
        "form": term.form,
    }

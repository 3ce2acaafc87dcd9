"""Self-test of a model when it is loaded, before it answers anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from riskscore.answer_check import check_differences
from riskscore.comparison import contrast_of
from riskscore.errors import AnswerError, BundleError
from riskscore.manifest import Manifest

if TYPE_CHECKING:
    from riskscore.model import RiskModel

__all__ = ["probes", "self_test"]

FloatArray = NDArray[np.float64]

SAME = 1e-6
"""Largest difference of two answers that must be one: in survival, and relative in a risk score."""

ALONE = 3
"""Patients who are asked about alone as well as among the others."""


def probes(manifest: Manifest) -> FloatArray:
    """Return patients who show what a model does, of shape (n_probes, n_predictors).

    The typical training patient; that patient with every level of each category, and with the
    ends of each number's training range and declared range.
    """
    typical = np.array(
        [
            float(p.levels.index(str(value))) if p.is_category else float(value)
            for p, value in zip(manifest.predictors, manifest.typical_patient.values(), strict=True)
        ]
    )
    rows = [typical]
    for j, p in enumerate(manifest.predictors):
        values = (
            list(range(len(p.levels)))
            if p.range is None
            else [*p.range, *manifest.envelope["ranges"][p.name]]
        )
        for value in values:
            row = typical.copy()
            row[j] = value
            rows.append(row)
    return np.array(rows)


def self_test(model: RiskModel) -> None:
    """Ask a model about its `probes` and about rows that are nobody.

    Raises
    ------
    BundleError
        If an answer is no survival, differs with who else is asked about, is given for a row with a
        missing number, or is not that of the model's own equation.
    """
    try:
        # What overflows is looked at in what comes of it.
        with np.errstate(all="ignore"):
            _ask(model, probes(model.manifest))
    except BundleError:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{model.bundle.path}: the model fails its test: {error}") from error


def _ask(model: RiskModel, X: FloatArray) -> None:
    """Ask about patients, of whom the first is the typical one, and raise what is wrong."""
    survival, lower, upper, score = model.curves(X)
    for i in {0, len(X) // 2, len(X) - 1} if len(X) > ALONE else range(len(X)):
        alone = model.curves(X[i : i + 1])
        among = (survival[i], lower[i], upper[i], score[i])
        for one, other in zip(alone, among, strict=True):
            _same(one[0], other, "of a patient alone and among others")
    nobody = np.repeat(X[:1], X.shape[1], axis=0)
    np.fill_diagonal(nobody, np.nan)
    for answer in model.raw_curves(nobody):
        if not np.isnan(answer).all():
            raise AnswerError("a patient with a missing value must have no answer (NaN)")
    if model.manifest.kind == "cox" and not _is_of_the_equation(model, X, survival, score):
        return
    if model.manifest.study.treatment is not None and not (
        model.is_unstable and model.sensitivity is None
    ):
        c = contrast_of(model, X, np.array(model.manifest.outcome.horizons))
        check_differences(c.difference, c.difference_lower, c.difference_upper)


def _is_of_the_equation(
    model: RiskModel, X: FloatArray, survival: FloatArray, score: FloatArray
) -> bool:
    """Compare the graph with the equation of `inference.json`, which comparisons are made from.

    False for a bundle of a version that did not keep all of it; a comparison then says so.
    """
    try:
        equation = model.equation
    except BundleError as error:
        if isinstance(error.__cause__, KeyError):
            return False
        raise
    what = "of model.onnx and inference.json"
    _same(equation.linear_predictor(X), score, what)
    _same(equation.survival(X, np.array(model.manifest.times)), survival, what)
    covariance = equation.covariance
    n = len(equation.coef)
    if covariance is not None and (
        covariance.shape != (n, n)
        or not np.isfinite(covariance).all()
        or (np.abs(covariance - covariance.T) > SAME * np.abs(covariance).max()).any()
        or (np.diag(covariance) < 0).any()
    ):
        raise AnswerError("covariance of inference.json must be that of the coefficients")
    return True


def _same(one: FloatArray, other: FloatArray, what: str) -> None:
    scale = np.maximum(1.0, np.abs(other))
    if one.shape != other.shape or not np.allclose(one / scale, other / scale, 0, SAME, True):
        raise AnswerError(f"the answers {what} must be the same")

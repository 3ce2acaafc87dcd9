"""Example patients, answered by the bundle itself through the same code that serves predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from model_cards.card import Answer, Estimate, PredictorFacts, Profile
from model_cards.formats import with_unit
from riskscore.model import RiskModel
from riskscore.prediction import Answer as Predicted

__all__ = ["profiles"]

Inputs = dict[str, str | float]


def profiles(
    model: RiskModel, predictors: Sequence[PredictorFacts], horizons: Sequence[float]
) -> tuple[Profile, ...]:
    """Return the example patients and what the model answers for each at the horizons.

    The first has every category at its reference level and every number at its training median; the
    second, where it differs, has each category at the level that most training rows have. Under a
    model with a treatment each is answered once a treatment level.
    """
    reference = {p.name: _value(p, commonest=False) for p in predictors}
    commonest = {p.name: _value(p, commonest=True) for p in predictors}
    treatment = next((p for p in predictors if p.is_treatment), None)
    named = [(_reference_name(predictors), reference)]
    if any(reference[p.name] != commonest[p.name] for p in predictors if p is not treatment):
        named.append(("the commonest level of everything", commonest))
    return tuple(
        Profile(
            name=name,
            traits=tuple(
                (p.label, _said(p, inputs[p.name])) for p in predictors if p is not treatment
            ),
            answers=_answers(model, inputs, treatment, horizons),
        )
        for name, inputs in named
    )


def _reference_name(predictors: Sequence[PredictorFacts]) -> str:
    if all(p.is_treatment for p in predictors):
        return "whoever the patient is: treatment is all that this model asks"
    parts = ["reference levels"] if any(p.levels for p in predictors) else []
    if not all(p.levels for p in predictors):
        parts.append("the training medians of numbers")
    return " and ".join(parts)


def _value(p: PredictorFacts, *, commonest: bool) -> str | float:
    if p.distribution is not None:
        return p.distribution.median
    if commonest:
        return max(p.levels, key=lambda item: item.rows).level
    return p.levels[0].level


def _said(p: PredictorFacts, value: str | float) -> str:
    return p.said(value) if isinstance(value, str) else with_unit(value, p.unit)


def _answers(
    model: RiskModel,
    inputs: Inputs,
    treatment: PredictorFacts | None,
    horizons: Sequence[float],
) -> tuple[Answer, ...]:
    levels = ("",) if treatment is None else tuple(item.level for item in treatment.levels)
    patients = [
        inputs if treatment is None else {**inputs, treatment.name: level} for level in levels
    ]
    found = model.answer(patients, horizons)
    has_interval = bool(model.manifest.intervals["available"])
    answers = []
    for i, (level, patient) in enumerate(zip(levels, patients, strict=True)):
        median = float(found.median[i])
        estimates = [
            _estimate(found, i, k, has_interval=has_interval) for k in range(len(found.times))
        ]
        answers.append(
            Answer(
                treatment=treatment.said(level) if treatment else "",
                inputs=tuple(patient.items()),
                estimates=tuple(estimates),
                median=None if math.isnan(median) else median,
                risk_score=float(found.risk_score[i]),
                risk_group=found.risk_group[i],
                notes=found.notes[i],
            )
        )
    return tuple(answers)


def _estimate(found: Predicted, i: int, k: int, *, has_interval: bool) -> Estimate:
    survival = float(found.survival[i, k])
    lower: float | None = float(found.lower[i, k])
    upper: float | None = float(found.upper[i, k])
    # A bound that ought to be there and is not stays NaN, for the completeness check to refuse.
    # At a survival of exactly 0 or 1 the log(-log) scale has no interval.
    if not has_interval or (survival in (0.0, 1.0) and np.isnan(found.lower[i, k])):
        lower = upper = None
    lowest = highest = None
    if found.sensitivity_lower is not None and found.sensitivity_upper is not None:
        lowest = float(found.sensitivity_lower[i, k])
        highest = float(found.sensitivity_upper[i, k])
    return Estimate(float(found.times[k]), survival, lower, upper, lowest, highest)

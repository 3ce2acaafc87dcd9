"""A prediction worked by hand from the printed equation, with the digits a card prints.

The steps start from the card's rounded numbers: a reader who redoes them gets the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from model_cards.card import CoxModel, CoxTerm, Worked, WorkedStep
from model_cards.formats import coefficient

__all__ = ["worked"]


def worked(model: CoxModel, name: str, inputs: Mapping[str, str | float]) -> Worked | None:
    """Return the steps for one patient, or None where a term is no plain function of an input.

    Parameters
    ----------
    model : CoxModel
    name : str
        Which patient it is.
    inputs : mapping of str to (str or float)
        The patient, as the model is asked.
    """
    steps = []
    for term in model.terms:
        value = _spline(term, inputs) if term.knots else _value(term.term, inputs)
        if value is None:
            return None
        product = _printed(term.coef) * (_printed(value) - _printed(term.at_baseline))
        steps.append(WorkedStep(term.term, value, term.coef, term.at_baseline, product))
    total = sum(_printed(step.product) for step in steps)
    power = math.exp(_printed(total))
    survival = tuple((at.time, _printed(at.survival) ** _printed(power)) for at in model.baseline)
    return Worked(name, tuple(steps), total, power, survival)


def _value(term: str, inputs: Mapping[str, str | float]) -> float | None:
    if term.endswith("]"):
        predictor, _, level = term.removesuffix("]").partition("[")
        return float(inputs[predictor] == level)
    is_log = term.startswith("log(") and term.endswith(")")
    found = inputs.get(term.removeprefix("log(").removesuffix(")") if is_log else term)
    if not isinstance(found, float | int):
        return None
    return math.log(found) if is_log else float(found)


def _spline(term: CoxTerm, inputs: Mapping[str, str | float]) -> float | None:
    """Return the value of one part of a spline, from the knots as they are printed.

    The part without a mark is the number itself; with k marks, the k-th cubic one. Harrell,
    Regression Modeling Strategies (2015), section 2.4.5.
    """
    name = term.term.rstrip("'")
    part = len(term.term) - len(name)
    x = inputs.get(name)
    if x is None or isinstance(x, str):
        return None
    if not part:
        return float(x)
    knots = [_printed(knot) for knot in term.knots]
    own, before, last = knots[part - 1], knots[-2], knots[-1]

    def cube(knot: float) -> float:
        return max(_printed(x) - knot, 0.0) ** 3

    straight = cube(before) * (last - own) - cube(last) * (before - own)
    return (cube(own) - straight / (last - before)) / (last - knots[0]) ** 2


def _printed(value: float) -> float:
    return float(coefficient(value))

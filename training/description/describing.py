"""A cohort described: every number that a text or a figure shows, as one dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from riskscore.errors import InputError, Problem
from training.description.regression import regression
from training.description.sample import Sample
from training.description.survival import survival
from training.description.table_one import adverse_events, responses, table_one

__all__ = ["FORMAT", "describe_cohort"]

FORMAT = 1
"""Format of `describe.json`. Raise it when a key changes its meaning or goes."""


def describe_cohort(sample: Sample, together: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the description of a cohort.

    Parameters
    ----------
    sample : Sample
    together : sequence of str, optional
        Predictors of the multivariable model; by default all that can enter one.

    Raises
    ------
    InputError
        If `together` names a predictor that is not described or can enter no model.
    """
    cohort = sample.cohort
    _check(sample, together)
    study = cohort.study
    everybody = len(sample.arm)
    sizes = [int((sample.arm == a).sum()) for a in range(len(sample.arms))]
    by = sample.by
    return {
        "format": FORMAT,
        "study": {
            "id": study.id,
            "title": study.title,
            "time_unit": study.time_unit,
            "time_origin": study.time_origin,
        },
        "cohort": {
            "file": cohort.name,
            "sha256": cohort.sha256,
            "patients": everybody,
            "flow": cohort.flow,
            "provenance": cohort.provenance.to_dict(),
        },
        "by": None if by is None else {"name": by.name, "label": by.label},
        "arms": [{"level": a, "n": n} for a, n in zip(sample.arms, sizes, strict=True)],
        "table_one": table_one(sample),
        "left_out": sample.left_out,
        "outcomes": [
            {**survival(c, sample.arms, sample.arm), "regression": regression(c, together)}
            for c in sample.cohorts.values()
        ],
        "responses": responses(sample),
        "adverse_events": adverse_events(sample),
    }


def _check(sample: Sample, together: Sequence[str] | None) -> None:
    able = [p.name for p in sample.cohort.predictors]
    problems = [
        Problem(
            None,
            "--multivariable",
            sample.left_out.get(name, "must name described predictors"),
            name,
            f"choose from {', '.join(able)}",
        )
        for name in together or ()
        if name not in able
    ]
    if together is not None and not together:
        remedy = f"choose from {', '.join(able)}"
        rule = "must name at least one predictor"
        problems = [Problem(None, "--multivariable", rule, None, remedy)]
    if problems:
        raise InputError(problems, sample.cohort.name)

"""Validating: a finished model's predictions against what happened."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from riskscore.attached import attached_to
from riskscore.bundle import EXTERNAL
from riskscore.errors import InputError, Problem
from riskscore.manifest import json_bytes
from riskscore.metrics import evaluate
from riskscore.metrics._calibration import FOLLOW_UP
from riskscore.metrics._evaluate import Evaluation
from riskscore.model import RiskModel
from riskscore.tables import write_atomically
from riskscore.validation.case_mix import CaseMix, case_mix, unjudged
from riskscore.validation.cohort import FloatArray, ValidationCohort
from riskscore.validation.paired import Paired, paired
from riskscore.validation.subgroups import Subgroup, subgroups

__all__ = ["FORMAT", "Population", "Validation", "attach", "validate"]

FORMAT = 1
"""Format of an external validation's JSON. Raise it when a reader of the old would misread it."""

MOST_GRID = 50
"""Times over which the Brier score is integrated, at most."""


@dataclass(frozen=True)
class Population:
    """How many of a cohort belong to the population that a model is for.

    Attributes
    ----------
    within, known, rows : int
        Rows that belong to it, those of which the data tell it either way, and all.
    rule : str
        How it was judged.
    """

    within: int
    known: int
    rows: int
    rule: str

    @property
    def note(self) -> str:
        """The counts in a sentence."""
        unknown = self.rows - self.known
        return (
            f"{self.within} of {self.rows} are known to meet the criteria of the model's "
            f"population that could be checked, {self.known - self.within} do not meet them"
            + (f", for {unknown} the data do not tell" if unknown else "")
            + f" ({self.rule})"
        )


@dataclass(frozen=True)
class Validation:
    """Everything that is found of a model on other patients.

    Attributes
    ----------
    model, digest, outcome, time_unit : str
    cohort : dict
        `name`, `sha256`, `rows`, `patients`, `events`, and `competing` events where they count.
    horizons : tuple of float
        Judged.
    left_out : tuple of str
        Horizons that could not be, and why.
    case_mix : tuple of CaseMix
    evaluation : Evaluation
    subgroups : tuple of Subgroup
    paired : Paired or None
        Where a second model was named.
    notes : tuple of str
        What a reader of all of it should know.
    population : Population or None
        How many belong to the population that the model is for, where somebody counted them.
    """

    model: str
    digest: str
    outcome: str
    time_unit: str
    cohort: dict[str, Any]
    horizons: tuple[float, ...]
    left_out: tuple[str, ...]
    case_mix: tuple[CaseMix, ...]
    evaluation: Evaluation
    subgroups: tuple[Subgroup, ...]
    paired: Paired | None
    notes: tuple[str, ...]
    population: Population | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the validation for JSON; no row of a patient is in it."""
        return {
            "format": FORMAT,
            "model": self.model,
            "digest": self.digest,
            "outcome": self.outcome,
            "time_unit": self.time_unit,
            "cohort": self.cohort,
            "horizons": list(self.horizons),
            "left_out": list(self.left_out),
            "calibration_follow_up": FOLLOW_UP,
            "case_mix": [asdict(row) for row in self.case_mix],
            "evaluation": self.evaluation.to_dict(),
            "subgroups": [asdict(group) for group in self.subgroups],
            "paired": None if self.paired is None else asdict(self.paired),
            "notes": list(self.notes),
            **({} if self.population is None else {"population": asdict(self.population)}),
        }


def validate(
    model: RiskModel,
    cohort: ValidationCohort,
    *,
    against: RiskModel | None = None,
    replicates: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Validation:
    """Judge a model on a cohort it was not fitted on.

    Parameters
    ----------
    model : RiskModel
    cohort : ValidationCohort
        Checked for this model.
    against : RiskModel, optional
        A second model with the same predictors' columns in the cohort, to compare with.
    replicates : int
        Bootstrap resamples of patients, for the figures that have no formula.
    seed : int
    level : float
        Coverage of every interval.

    Raises
    ------
    InputError
        If no horizon can be judged, or the second model is of another outcome or other inputs.
    """
    horizons, left_out = _horizons(model, cohort)
    survival, score = _predictions(model, cohort, horizons)
    grid = _grid(cohort, float(horizons[-1]))
    integrate = len(grid) > 1  # one event time spans nothing to integrate over
    within = bool(cohort.time.max() <= model.manifest.follow_up_limit)
    evaluation = evaluate(
        cohort.time,
        cohort.event,
        survival,
        score,
        horizons,
        groups=cohort.groups,
        competing=cohort.competing,
        grid=grid if integrate else None,
        grid_survival=_predictions(model, cohort, grid)[0] if integrate else None,
        survival_at_time=_at_own_times(model, cohort) if within else None,
        n_bootstrap=replicates,
        seed=seed,
        level=level,
    )
    compared = None
    if against is not None:
        _check_pair(model, against)
        compared = paired(
            cohort,
            (survival, score),
            _predictions(against, cohort, horizons),
            horizons,
            f"{against.manifest.id}@{against.digest}",
            replicates=replicates,
            seed=seed,
            level=level,
        )
    manifest = model.manifest
    return Validation(
        model=manifest.id,
        digest=model.digest,
        outcome=manifest.outcome.label,
        time_unit=manifest.study.time_unit,
        cohort={
            "name": cohort.name,
            "sha256": cohort.sha256,
            "rows": len(cohort),
            "patients": cohort.patients,
            "events": int(cohort.event.sum()),
            **({} if cohort.competing is None else {"competing": int(cohort.competing.sum())}),
        },
        horizons=tuple(horizons.tolist()),
        left_out=left_out,
        case_mix=case_mix(manifest, cohort),
        evaluation=evaluation,
        subgroups=subgroups(manifest, cohort, survival, score, horizons, level),
        paired=compared,
        notes=_notes(model, cohort),
    )


def attach(model: RiskModel, validation: Validation, name: str) -> None:
    """Put a validation beside the bundle's files, as `external/NAME.json`, with its date.

    It is not hashed: adding it leaves the model what it is.

    Raises
    ------
    InputError
        If the name is no plain lower-case name, or is taken.
    """
    rule = "must be lower-case letters and digits, joined by single - or _"
    if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", name):
        raise InputError([Problem(None, "--attach", rule, name, "rename it")])
    folder = model.bundle.path / EXTERNAL
    file = folder / f"{name}.json"
    if file.exists():
        remedy = "choose another name, or remove the file"
        if f"{EXTERNAL}/{file.name}" in attached_to(model.bundle).void:
            remedy += "; it judges what the model was before it was fitted again"
        raise InputError([Problem(None, "--attach", "must not be taken", name, remedy)])
    folder.mkdir(exist_ok=True)
    dated = {"created": datetime.now(UTC).isoformat(timespec="seconds")}
    with write_atomically(file) as partial:
        partial.write_bytes(json_bytes({**validation.to_dict(), **dated}))


def _notes(model: RiskModel, cohort: ValidationCohort) -> tuple[str, ...]:
    manifest, notes = model.manifest, unjudged(model.manifest, cohort)
    if cohort.sha256 and cohort.sha256 == manifest.training["cohort"]["sha256"]:
        notes.append("this is the cohort that the model was fitted on: its figures are optimistic")
    limit, beyond = manifest.follow_up_limit, int((cohort.time > manifest.follow_up_limit).sum())
    if beyond:
        unit = manifest.study.time_unit
        notes.append(
            f"{beyond} rows were followed beyond {unit} {limit:g}, where the model ends: no "
            "D-calibration"
        )
    return tuple(notes)


def _horizons(model: RiskModel, cohort: ValidationCohort) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the horizons that can be judged, and why others cannot."""
    unit = model.manifest.study.time_unit
    usable, left_out = [], []
    for h in model.manifest.outcome.horizons:
        if not (cohort.event & (cohort.time <= h)).any():
            left_out.append(f"{unit} {h:g}: nobody had the event by then")
        elif not (cohort.time > h).any():
            left_out.append(f"{unit} {h:g}: nobody was followed beyond it")
        else:
            usable.append(h)
    if not usable:
        rule = "must have an event before a horizon and somebody followed beyond it"
        remedy = "follow the cohort longer, or validate a model with other horizons"
        problem = Problem(None, "cohort", rule, "; ".join(left_out), remedy)
        raise InputError([problem], cohort.name)
    return np.array(usable), tuple(left_out)


def _predictions(
    model: RiskModel, cohort: ValidationCohort, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    answer = model.answer_encoded(cohort.X, times.tolist())
    return answer.survival, answer.risk_score


def _grid(cohort: ValidationCohort, last: float) -> FloatArray:
    """Return event times up to the last horizon, with somebody beyond each."""
    times = np.unique(cohort.time[cohort.event & (cohort.time <= last)])
    chosen = np.linspace(0, len(times) - 1, min(len(times), MOST_GRID)).round().astype(int)
    return np.unique(times[chosen])


def _at_own_times(model: RiskModel, cohort: ValidationCohort) -> FloatArray:
    survival = model.curves(cohort.X)[0]
    place = np.searchsorted(np.array(model.manifest.times), cohort.time, side="right") - 1
    own = survival[np.arange(len(cohort)), np.maximum(place, 0)]
    return np.where(place < 0, 1.0, own)


def _check_pair(model: RiskModel, other: RiskModel) -> None:
    """Refuse a second model that the cohort was not checked for."""
    one, two = (json.dumps(m.manifest.study.to_dict()["predictors"]) for m in (model, other))
    if one != two or model.manifest.outcome != other.manifest.outcome:
        rule = "must have the first model's predictors and outcome"
        remedy = "compare models that were fitted on the same columns"
        problem = Problem(None, "--against", rule, other.manifest.id, remedy)
        raise InputError([problem])

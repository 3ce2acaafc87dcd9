"""Choosing a method and saying what was done: from a cohort to what `evaluation.json` holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskscore.errors import ModelError
from riskscore.metrics._calibration import FOLLOW_UP
from training.cohort import Cohort
from training.cox.checks import levels_without_events
from training.encoding import StudyEncoder
from training.settings import REPLICATES, Settings
from training.validation import centres, held_out, point632
from training.validation import optimism as harrell
from training.validation.optimism import Optimism, optimism
from training.validation.procedure import choices
from training.validation.results import chosen_in, clean
from training.validation.sample_size import adjusted_r2, sample_size

__all__ = ["DEFAULT", "METHODS", "described_optimism", "refuse_hopeless", "validate"]

METHODS = ("bootstrap", "oob", "632plus", "cv", "iecv", "temporal")
"""Bootstrap optimism, out-of-bag, .632+, repeated cross-validation, centres,
later years."""

DEFAULT = {"cox": "bootstrap", "forest": "oob"}
"""What a fit runs, by kind."""

LEAST_PATIENTS = 20
"""Fewer, and a resample holds a dozen different patients."""

Described = tuple[str, str, dict[str, Any]]


def validate(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    method: str | None = None,
    *,
    replicates: int = REPLICATES,
    folds: int = 10,
    repeats: int = 5,
    column: Sequence[Any] | NDArray[Any] | None = None,
    split: float | None = None,
    column_name: str = "column",
) -> dict[str, Any]:
    """Judge a procedure on its own cohort.

    Parameters
    ----------
    cohort : Cohort
    kind : str
        "cox" or "forest".
    settings : Settings
        Of the fit; the seed is that of every draw.
    method : str, optional
        One of `METHODS`; by default that of `DEFAULT`.
    replicates : int
        Resamples, for "bootstrap" and "632plus".
    folds, repeats : int
        For "cv".
    column : sequence of shape (n,), optional
        Centre, or year: for "iecv" and "temporal".
    split : float, optional
        For "temporal": rows whose column is below it are fitted, the others judged.
    column_name : str
        What the column is called, for messages.

    Returns
    -------
    dict
        What was done (`method`, `how`, `interval`), every index with its interval, and the points
        of every curve; fit for JSON.

    Raises
    ------
    ModelError
        If the method is not valid for the kind, or the cohort does not support it.
    """
    method = method or DEFAULT[kind]
    if method not in METHODS:
        raise ModelError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "bootstrap" and kind != "cox":
        raise ModelError(harrell.NOT_FOR_FORESTS)
    if method == "oob" and kind != "forest":
        raise ModelError(
            "only a forest has trees that never drew a patient; use --method bootstrap, 632plus "
            "or cv for a Cox model"
        )
    if method in ("iecv", "temporal") and column is None:
        raise ModelError(
            "iecv needs a column, such as a centre or a year: give --by COLUMN"
            if method == "iecv"
            else "temporal needs a column and a value: give --split COLUMN VALUE"
        )
    if method in ("bootstrap", "632plus") and replicates < 2:
        raise ModelError(
            f"replicates must be at least 2, got {replicates}; give --replicates {REPLICATES}, "
            "the default, or more"
        )
    if column is not None and method in ("iecv", "temporal"):
        column = _usable(column, column_name, method, split)
    refuse_hopeless(cohort)
    if method == "bootstrap":
        return described_optimism(cohort, optimism(cohort, settings, replicates), settings)
    how, interval, found = _held_out(
        cohort, kind, settings, method, replicates, folds, repeats, column, split
    )
    return _described(cohort, kind, settings, method, how, interval, found)


def described_optimism(cohort: Cohort, found: Optimism, settings: Settings) -> dict[str, Any]:
    """Return what `evaluation.json` says of a Cox model's corrected indexes."""
    content: dict[str, Any] = (
        found.to_dict(cohort)
        | {
            "replicates": found.replicates.to_dict(),
            "sample_size": _sample_size(cohort, found),
        }
        | chosen_in(found.chosen, choices("cox", settings))
    )
    how = f"{harrell.HOW}; {harrell.RELATIVE}" if settings.penalty else harrell.HOW
    done = len(found.replicates.results)
    interval = harrell.INTERVAL if done >= harrell.LEAST_DRAWS else harrell.no_interval(done)
    return _described(cohort, "cox", settings, "bootstrap", how, interval, content)


def _described(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    method: str,
    how: str,
    interval: str,
    found: dict[str, Any],
) -> dict[str, Any]:
    about = {
        "method": method,
        "model": kind,
        "how": how,
        "interval": interval,
        "calibration_follow_up": FOLLOW_UP,
        "resampled": "rows" if cohort.groups is None else "patients, with all their rows",
        "patients": cohort.n_patients,
        "rows": len(cohort.time),
        "events": int(cohort.event.sum()),
        "seed": settings.seed,
    }
    whole: dict[str, Any] = clean(found | about)
    return {key: whole[key] for key in (*about, *found) if key in whole}


def _held_out(
    cohort: Cohort,
    kind: str,
    settings: Settings,
    method: str,
    replicates: int,
    folds: int,
    repeats: int,
    column: Sequence[Any] | NDArray[Any] | None,
    split: float | None,
) -> Described:
    if method == "oob":
        found = held_out.out_of_bag(cohort, settings)
        return held_out.OUT_OF_BAG, held_out.CONDITIONAL, found
    if method == "632plus":
        found = point632.point632(cohort, kind, settings, replicates)
        return point632.HOW, point632.INTERVAL, found
    if method == "cv":
        found = held_out.cross_validation(cohort, kind, settings, folds, repeats)
        return held_out.CROSS_VALIDATION, held_out.CONDITIONAL, found
    assert column is not None
    if method == "iecv":
        found = centres.internal_external(cohort, kind, settings, column)
        return centres.HOW, held_out.CONDITIONAL, found
    assert split is not None
    found = held_out.temporal(cohort, kind, settings, np.asarray(column), split)
    return held_out.TEMPORAL, held_out.CONDITIONAL, found


def _usable(
    column: Sequence[Any] | NDArray[Any], name: str, method: str, split: float | None
) -> NDArray[Any]:
    """Return the column as the method takes it, or refuse it by its name."""
    values = np.asarray(column)
    if method == "iecv":
        if len(np.unique(values)) < 2:
            raise ModelError(
                f"{name} must have two values or more, got {values.tolist()[0]!r} in every row; "
                "give --by a column that differs, or use --method cv"
            )
        return values
    if split is None or not np.isfinite(split):
        raise ModelError(f"split must be a number, got {split}; give --split COLUMN VALUE")
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        wrong = next(value for value in values.tolist() if not _is_number(value))
        raise ModelError(
            f"{name} must be numbers, got {wrong!r}; give --split a column such as a year"
        ) from error
    if not np.isfinite(numbers).all():
        raise ModelError(
            f"{name} must have a number in every row, got {numbers[~np.isfinite(numbers)][0]:g}; "
            "fill it, or leave those rows out"
        )
    low, high = numbers.min(), numbers.max()
    if low == high:
        raise ModelError(
            f"{name} must have two values or more to be split, got {low:g} in every row; give "
            "--split a column that differs, or use --method cv"
        )
    if not low < split <= high:
        side = "before it" if split > high else "from it on"
        raise ModelError(
            f"split must be above {low:g} and at most {high:g}, the range of {name}, got "
            f"{split:g}: all rows are {side}; choose a value in between"
        )
    return numbers


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def refuse_hopeless(cohort: Cohort, remedy: str = "") -> None:
    """Refuse to judge a model on a cohort that cannot tell how good it is.

    Parameters
    ----------
    cohort : Cohort
    remedy : str
        What else the caller offers, added to the message.

    Raises
    ------
    ModelError
        If it has fewer than `LEAST_PATIENTS` patients, or fewer than two with an event.
    """
    n, died = cohort.n_patients, cohort.n_patients_with_event
    if n < LEAST_PATIENTS:
        raise ModelError(
            f"{n} patients are too few to resample: at least {LEAST_PATIENTS} are needed, and "
            f"even then nothing but a much larger cohort tells how good the model is{remedy}"
        )
    if died < 2:
        raise ModelError(
            f"{died} of the {n} patients has an event: nearly all are censored, and no model can "
            f"be judged; wait for longer follow-up{remedy}"
        )


def _sample_size(cohort: Cohort, found: Optimism) -> dict[str, Any]:
    """Return the criteria for this cohort; where they have no answer, the reason."""
    terms = len(StudyEncoder(cohort.predictors).fit(cohort.X).terms_)
    patients, events = cohort.n_patients, cohort.n_patients_with_event
    known = {"parameters": terms, "patients": patients, "events": events,
             "events_a_parameter": events / terms}  # fmt: skip
    if cohort.groups is not None:
        return known | {"reason": "the criteria take rows for patients; these repeat patients"}
    unsupported = levels_without_events(cohort.X, cohort.event, cohort.predictors)
    if found.likelihood_ratio <= terms or unsupported:
        return known | {"reason": "the predictors explain no more than as many random ones would"}
    r2 = adjusted_r2(found.likelihood_ratio, patients, terms)
    try:
        return sample_size(
            r2, terms, float(cohort.event.sum() / cohort.time.sum()), float(cohort.time.mean()),
            float(found.plan.horizons[-1]), patients=patients, events=events,
        ).to_dict()  # fmt: skip
    except ModelError as error:
        return known | {"reason": str(error)}

"""What a manifest says of the cohort a model was fitted on."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sksurv.nonparametric import kaplan_meier_estimator

from riskscore.envelope import envelope_of
from riskscore.errors import ModelError
from riskscore.manifest import Manifest
from riskscore.manifest_check import RISK_GROUPS
from riskscore.study import Predictor
from riskscore.ties import HALF, join_values
from training.cohort import Cohort

__all__ = ["check_name", "manifest_of", "risk_groups_of"]

FloatArray = NDArray[np.float64]

LIBRARIES = ("riskscore", "numpy", "scipy", "scikit-learn", "scikit-survival", "onnx", "skl2onnx")

SAME_SCORE = 1e-10
"""Share of the largest score up to which two scores stay in one risk group."""

FOREST_ON_RECONSTRUCTION = (
    "A forest fitted on a reconstructed cohort demonstrates the software only: cohorts that fit "
    "the published figures equally well give it widely different predictions."
)


def check_name(name: str) -> None:
    """Refuse a model's name that cannot be the last part of its id."""
    if not re.fullmatch(r"[a-z0-9]+([-_.][a-z0-9]+)*", name):
        rule = "must be lower-case letters and digits, joined by single - _ or ."
        raise ModelError(f"name {rule}: it becomes part of the model's id; got {name!r}")


def manifest_of(
    cohort: Cohort,
    kind: str,
    name: str,
    pipeline: Pipeline,
    times: FloatArray,
    thinned: bool,
    intervals: dict[str, Any],
    settings: dict[str, Any],
) -> Manifest:
    """Return the manifest of a fitted pipeline; its hashes are filled in when it is written."""
    provenance = cohort.provenance
    statement = provenance.statement
    if kind == "forest" and provenance.kind == "reconstructed":
        statement = f"{statement} {FOREST_ON_RECONSTRUCTION}"
    return Manifest(
        id=f"{cohort.study.id}/{cohort.outcome.name}/{name}",
        kind=kind,
        study=cohort.study,
        times=tuple(times.tolist()),
        grid="thinned" if thinned else "every event time",
        at_risk=_at_risk(cohort, times),
        at_risk_at_horizons=_at_risk(cohort, np.array(cohort.outcome.horizons)),
        follow_up_limit=float(cohort.time.max()),
        risk_groups=risk_groups_of(pipeline.predict(cohort.X)),
        intervals=intervals,
        training={
            "cohort": {
                "file": cohort.name,
                "sha256": cohort.sha256,
                **{k: v for k, v in provenance.to_dict().items() if k != "statement"},
            },
            "flow": cohort.flow,
            "rows": len(cohort.time),
            "patients": cohort.n_patients,
            "events": int(cohort.event.sum()),
            "patients_with_event": cohort.n_patients_with_event,
            "horizons_left_out": list(cohort.horizons_left_out),
            "follow_up": _follow_up(cohort),
            "predictors": {
                p.name: _distribution(cohort.X[:, j], p) for j, p in enumerate(cohort.predictors)
            },
            "in_levels": _in_levels(cohort),
            "settings": settings,
            "versions": {
                "python": platform.python_version(),
                **{library: version(library) for library in LIBRARIES},
            },
        },
        envelope=envelope_of(cohort.X, cohort.predictors, cohort.groups),
        statement=statement,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _at_risk(cohort: Cohort, times: FloatArray) -> tuple[int, ...]:
    """Return how many rows are still followed just before each time."""
    before = np.searchsorted(np.sort(cohort.time), times, side="left")
    return tuple((len(cohort.time) - before).tolist())


def risk_groups_of(score: FloatArray) -> dict[str, Any]:
    """Cut the training scores at their tertiles; scores that tie across a cut merge groups."""
    # A cut stands midway between two scores that differ by more than rounding, so that the bits in
    # which the exported graph may differ put nobody into another group.
    joined = join_values(score, SAME_SCORE * float(np.abs(score).max()))
    distinct = np.unique(joined)
    # A tertile that is some patient's own score: the last of its group.
    tertiles = np.quantile(joined, [1 / 3, 2 / 3], method="inverted_cdf")
    last = np.unique(np.searchsorted(distinct, tertiles))
    last = last[last < len(distinct) - 1]
    cuts = (distinct[last] + distinct[last + 1]) / 2
    labels = list(RISK_GROUPS[len(cuts)])
    group = np.searchsorted(cuts, score, side="left")
    counts = np.bincount(group, minlength=len(labels)).tolist()
    rule = "tertiles of the training risk scores, cut midway to the next score; ties stay together"
    return {"labels": labels, "cut_points": cuts.tolist(), "training_counts": counts, "rule": rule}


def _follow_up(cohort: Cohort) -> dict[str, float | None]:
    """Return shortest, longest and median follow-up, the median by the reverse Kaplan-Meier."""
    median = None
    if not cohort.event.all():
        times, censoring_free = kaplan_meier_estimator(~cohort.event, cohort.time)
        reached = times[censoring_free <= HALF]
        median = float(reached[0]) if len(reached) else None
    return {
        "shortest": float(cohort.time.min()),
        "median": median,
        "longest": float(cohort.time.max()),
    }


def _in_levels(cohort: Cohort) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many patients have each level, and how many of them the event while they do."""
    patient = np.arange(len(cohort.time)) if cohort.groups is None else cohort.groups
    found: dict[str, dict[str, dict[str, int]]] = {}
    for j, p in enumerate(cohort.predictors):
        for i, level in enumerate(p.levels):
            here = cohort.X[:, j] == i
            counts = {
                "patients": len(np.unique(patient[here])),
                "events": len(np.unique(patient[here & cohort.event])),
            }
            found.setdefault(p.name, {})[level] = counts
    return found


def _distribution(values: FloatArray, predictor: Predictor) -> dict[str, Any]:
    if predictor.is_category:
        counts = np.bincount(values.astype(int), minlength=len(predictor.levels))
        return dict(zip(predictor.levels, counts.tolist(), strict=True))
    low, lower, middle, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return {
        "minimum": low, "lower_quartile": lower, "median": middle, "upper_quartile": upper,
        "maximum": high, "mean": float(values.mean()), "sd": float(values.std(ddof=1)),
    }  # fmt: skip

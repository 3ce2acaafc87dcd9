"""Whether what a manifest says is of the right type and agrees with itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from riskscore.study import Predictor, Study

__all__ = ["GRIDS", "KINDS", "RISK_GROUPS", "check_content"]

KINDS = ("cox", "forest", "pipeline")
GRIDS = ("every event time", "thinned")

RISK_GROUPS = (("all",), ("low", "high"), ("low", "intermediate", "high"))
"""Labels of risk groups, lowest risk first."""

COHORT_KINDS = ("patients", "reconstructed", "not stated")
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")

LARGEST_COUNT = 10**9


def check_content(content: Mapping[str, Any], study: Study) -> None:
    """Refuse a manifest that prediction, notes or command line could not use as it is.

    Raises
    ------
    ValueError, KeyError, TypeError
        Naming the key and the rule.
    """
    outcome, predictors = _only_outcome(study), tuple(study.predictors.values())
    _check_names(content, study)
    limit = _number(content["follow_up_limit"], "follow_up_limit")
    times = _numbers(content["times"], "times")
    if not times:
        raise ValueError("times is empty")
    if times[0] <= 0 or not _ascend(times):
        raise ValueError("times must be finite and ascend from above 0")
    for key, last in (("horizon", outcome.horizons[-1]), ("time of the grid", times[-1])):
        if last > limit:
            raise ValueError(f"follow_up_limit must reach every {key}")
    _check_at_risk(content, times, outcome.horizons)
    _check_risk_groups(_table(content, "risk_groups"))
    _check_intervals(_table(content, "intervals"))
    _check_training(_table(content, "training"), predictors)
    _check_envelope(_table(content, "envelope"), predictors)
    for name, digest in _table(content, "files").items():
        if not (isinstance(digest, str) and SHA256.fullmatch(digest)):
            raise ValueError(f"files must give a SHA-256 in hexadecimal digits of {name[:80]!r}")


def _check_names(content: Mapping[str, Any], study: Study) -> None:
    for key in ("id", "kind", "grid", "statement", "created"):
        if not isinstance(content[key], str):
            raise TypeError(f"{key} must be a text")
    _one_of(content["kind"], "kind", KINDS)
    _one_of(content["grid"], "grid", GRIDS)
    head = f"{study.id}/{_only_outcome(study).name}/"
    name = content["id"].removeprefix(head)
    if not content["id"].startswith(head) or not NAME.fullmatch(name):
        raise ValueError(f"id must be {head} and a name, got {content['id'][:80]!r}")


def _check_at_risk(
    content: Mapping[str, Any], times: list[float], horizons: tuple[float, ...]
) -> None:
    at_risk = _counts(content["at_risk"], "at_risk")
    at_horizons = _counts(content["at_risk_at_horizons"], "at_risk_at_horizons")
    if len(at_risk) != len(times):
        raise ValueError("at_risk must have one count for each of times")
    if len(at_horizons) != len(horizons):
        raise ValueError("at_risk_at_horizons must have one count for each horizon")
    # In the order of time, a time of the grid before the same horizon.
    counts = [*zip(times, at_risk, strict=True), *zip(horizons, at_horizons, strict=True)]
    followed = sorted(counts, key=lambda pair: pair[0])
    for (_, before), (at, after) in pairwise(followed):
        if after > before:
            raise ValueError(
                f"at_risk must never rise, with at_risk_at_horizons; it does at {at:g}"
            )


def _check_risk_groups(groups: Mapping[str, Any]) -> None:
    labels, cuts = groups["labels"], _numbers(groups["cut_points"], "risk_groups.cut_points")
    if not isinstance(labels, list) or len(labels) != len(cuts) + 1:
        raise ValueError("risk_groups must have one label more than cut_points")
    if not _ascend(cuts):
        raise ValueError("risk_groups.cut_points must ascend")
    if tuple(labels) not in RISK_GROUPS:
        known = "; ".join(", ".join(known) for known in RISK_GROUPS)
        raise ValueError(f"risk_groups.labels must be, lowest risk first: {known}")


def _check_intervals(intervals: Mapping[str, Any]) -> None:
    if not isinstance(intervals["available"], bool):
        raise TypeError("intervals.available must be true or false")
    if not intervals["available"]:
        _text(intervals, "reason", "intervals")
        return
    _text(intervals, "method", "intervals")
    if not isinstance(intervals.get("kind", ""), str):
        raise TypeError("intervals.kind must be a text")
    if not 0 < _number(intervals["level"], "intervals.level") < 1:
        raise ValueError("intervals.level must be between 0 and 1")


def _check_training(training: Mapping[str, Any], predictors: tuple[Predictor, ...]) -> None:
    cohort = _table(training, "cohort")
    _one_of(cohort.get("kind"), "training.cohort.kind", COHORT_KINDS)
    for key in ("file", "sha256", "source"):
        if not isinstance(cohort.get(key, ""), str):
            raise TypeError(f"training.cohort.{key} must be a text")
    for key in ("rows", "patients", "events", "patients_with_event"):
        if key in training:
            _counts([training[key]], f"training.{key}")
    seen = _table(training, "predictors")
    for p in predictors:
        values = _table(seen, p.name)
        if p.is_category:
            _counts([values[level] for level in p.levels], f"training.predictors.{p.name}")
            continue
        for key, value in values.items():
            _number(value, f"training.predictors.{p.name}.{key}")
        if not values["minimum"] <= values["median"] <= values["maximum"]:
            raise ValueError(f"training.predictors.{p.name} must have its median in its range")


def _check_envelope(envelope: Mapping[str, Any], predictors: tuple[Predictor, ...]) -> None:
    ranges = _table(envelope, "ranges")
    for p in predictors:
        if not p.is_category:
            ends = _numbers(ranges[p.name], f"envelope.ranges.{p.name}")
            if len(ends) != 2 or ends[0] > ends[1]:
                raise ValueError(f"envelope.ranges.{p.name} must be least and largest value")
    sizes = [len(p.levels) for p in predictors if p.is_category]
    seen, patients = envelope["combinations"], envelope.get("patients")
    if seen is None:
        return
    if not isinstance(seen, list) or not all(isinstance(levels, list) for levels in seen):
        raise TypeError("envelope.combinations must be lists of levels")
    for levels in seen:
        if len(levels) != len(sizes):
            raise ValueError("envelope.combinations must have one level a category")
        indices = _counts(levels, "envelope.combinations")
        if any(i >= size for i, size in zip(indices, sizes, strict=True)):
            raise ValueError("envelope.combinations must have levels that there are")
    if patients is not None and len(_counts(patients, "envelope.patients")) != len(seen):
        raise ValueError("envelope.patients must count each combination")


def _only_outcome(study: Study) -> Any:
    if len(study.outcomes) != 1:
        raise ValueError("study must have one outcome")
    return next(iter(study.outcomes.values()))


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if not isinstance(content[key], Mapping):
        raise TypeError(f"{key} must be a table")
    table: Mapping[str, Any] = content[key]
    return table


def _text(table: Mapping[str, Any], key: str, where: str) -> None:
    if not isinstance(table[key], str):
        raise TypeError(f"{where}.{key} must be a text")


def _one_of(value: object, key: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}")


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{key} must be a finite number")
    return float(value)


def _numbers(values: object, key: str) -> list[float]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{key} must be a list of numbers")
    return [_number(value, key) for value in values]


def _counts(values: object, key: str) -> list[int]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{key} must be a list of counts")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_COUNT:
            raise TypeError(f"{key} must be counts, whole numbers of 0 or more")
    return list(values)


def _ascend(values: list[float]) -> bool:
    return all(a < b for a, b in pairwise(values))

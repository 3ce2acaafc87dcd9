"""How good the model is: the figures of its validation, and of every one on other patients.

Nothing is computed here: `evaluation.json` and `external/*.json` hold each figure and its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import (
    AtHorizon,
    External,
    Figure,
    Group,
    Judged,
    Later,
    Membership,
    Pairs,
    Plot,
    SampleSize,
    Subgroup,
)
from model_cards.plots.pictures import pictures
from riskscore.attached import attached_to
from riskscore.bundle import Bundle
from riskscore.errors import BundleError, Problem
from riskscore.files import parse_json

__all__ = ["external_of", "judged_of", "later_of", "pairs_of", "plots_of"]

CENSORED = "calibration_follow_up"
"""A validation without this key has slopes over the whole follow-up, which are none of a horizon's:
they are left out."""

AGAIN = "validate again, and attach the result"

SLACK = 1e-6
"""How far shares may be from adding up to 1: the last bits of a sum; a corrected share of none may
also lie a little below 0."""


def judged_of(validation: Facts) -> Judged:
    """Return the internal validation of `evaluation.json`."""
    concordance = _figure(validation, "concordance")
    slope = _figure(validation, "slope") if validation.values.get("slope") else None
    censored = CENSORED in validation
    horizons = tuple(_internal(found, censored) for found in validation.tables("horizons"))
    return Judged(
        concordance.value,
        concordance.lower,
        concordance.upper,
        validation.text("how"),
        validation.text("interval"),
        slope,
        horizons,
        _sample_size(validation.table("sample_size")) if "sample_size" in validation else None,
        pairs_of(validation.table("pairs")) if validation.values.get("pairs") else None,
    )


def pairs_of(found: Facts) -> Pairs:
    """Return the shares of pairs behind a concordance."""
    shares = [found.number(key) for key in ("right", "wrong", "same")]
    if not any(map(math.isnan, shares)) and (min(shares) < -SLACK or abs(sum(shares) - 1) > SLACK):
        found.refuse("", "must be shares that add up to 1", str(shares), FIT_AGAIN)
    return Pairs(*(max(share, 0.0) for share in shares))


def later_of(evaluation: Facts) -> Later | None:
    """Return the validation on later patients of `evaluation.json`, if there is one."""
    if "temporal" not in evaluation:
        return None
    found = evaluation.table("temporal")
    split = found.table("split")
    return Later(
        column=split.text("column").replace("_", " "),
        since=split.number("value"),
        fitted=split.count("fitted_patients"),
        patients=split.count("judged_patients"),
        events=split.count("judged_events"),
        judged=judged_of(found),
        rows=split.count("judged_rows") if "judged_rows" in split else None,
    )


def plots_of(validation: Mapping[str, Any], unit: str) -> tuple[Plot, ...]:
    """Return the pictures of an internal validation that it has the points of, not yet drawn."""
    return pictures(dict(validation), unit)


def external_of(bundle: Bundle, digest: str, problems: list[Problem]) -> tuple[External, ...]:
    """Return the attached validations of a bundle by file name, or note what is wrong with one.

    Those of another digest are not of it; `attached_to` names them.
    """
    found = []
    for name in attached_to(bundle).own:
        try:
            content = parse_json(bundle.attachment(name) or b"", name)
        except BundleError as error:
            rule = f"must be readable JSON ({error})"
            problems.append(Problem(None, name, rule, None, AGAIN))
            continue
        facts = Facts(content, name, problems)
        if facts.text("digest", AGAIN) not in ("", digest):
            rule = "must be of this bundle, whose digest is another"
            facts.refuse("digest", rule, content.get("digest"), AGAIN)
            continue
        found.append(_external(PurePosixPath(name).stem, facts))
    return tuple(found)


def _external(name: str, facts: Facts) -> External:
    cohort, evaluation = facts.table("cohort"), facts.table("evaluation")
    censored = CENSORED in facts
    horizons = tuple(_at(found, censored) for found in evaluation.tables("horizons"))
    notes = facts.texts("notes", AGAIN) + evaluation.texts("notes", AGAIN)
    return External(
        name=name,
        cohort=cohort.text("name", AGAIN),
        sha256=cohort.text("sha256", AGAIN),
        patients=cohort.count("patients", AGAIN),
        events=evaluation.count("events", AGAIN),
        concordance=_figure(evaluation, "harrell"),
        horizons=horizons,
        subgroups=tuple(_subgroup(group) for group in facts.tables("subgroups", may_be_empty=True)),
        notes=notes,
        pairs=_counted(evaluation.table("harrell")),
        population=_membership(facts.table("population")) if "population" in facts else None,
        rows=cohort.count("rows", AGAIN) if "rows" in cohort else None,
    )


def _membership(found: Facts) -> Membership:
    return Membership(
        found.count("within"), found.count("known"), found.count("rows"), found.text("rule", AGAIN)
    )


def _counted(found: Facts) -> Pairs | None:
    """Return the pairs of an external concordance, whose JSON counts them."""
    if found.values.get("concordant") is None:
        return None
    counts = [found.number(key) for key in ("concordant", "discordant", "tied_score")]
    total = sum(counts)
    return Pairs(*(n / total for n in counts)) if total > 0 else None


def _subgroup(found: Facts) -> Subgroup:
    last = (found.values.get("observed_expected") or [None])[-1]
    return Subgroup(
        label=found.text("label"),
        name=found.text("name"),
        rows=found.count("rows"),
        events=found.count("events"),
        concordance=_figure(found, "concordance") if found.values.get("concordance") else None,
        observed_expected=_of(Facts(last, found.path, found.problems)) if last else None,
        few=found.flag("few"),
    )


def _at(found: Facts, censored: bool) -> AtHorizon:
    calibration, brier = found.table("calibration"), found.table("brier")
    return AtHorizon(
        time=found.number("horizon"),
        auc=_figure(found, "auc"),
        ipa=_figure(brier, "ipa"),
        observed_expected=_figure(calibration, "observed_expected"),
        slope=_slope(calibration, censored),
        **_absolute(calibration),
    )


def _absolute(found: Facts) -> dict[str, Any]:
    """Return the risks themselves, where a validation keeps them: expected, observed, by group."""
    absolute: dict[str, Any] = {}
    if found.values.get("expected") is not None and found.values.get("observed") is not None:
        absolute["expected"] = found.number("expected")
        absolute["observed"] = _figure(found, "observed")
    groups = [
        Group(
            group.count("n"),
            group.number("predicted"),
            # Nobody of the group may have been followed so long.
            _figure(group, "observed") if _has_value(group.values.get("observed")) else None,
        )
        for group in (found.tables("groups") if found.values.get("groups") else ())
    ]
    if len(groups) > 1:
        absolute |= {"lowest": groups[0], "highest": groups[-1]}
    return absolute


def _has_value(estimate: Any) -> bool:
    return isinstance(estimate, dict) and estimate.get("value") is not None


def _internal(found: Facts, censored: bool) -> AtHorizon:
    return AtHorizon(
        time=found.number("horizon"),
        auc=_figure(found, "auc"),
        ipa=_figure(found, "ipa"),
        observed_expected=_figure(found, "observed_expected"),
        slope=_slope(found, censored),
        **_absolute(found),
    )


def _slope(found: Facts, censored: bool) -> Figure | None:
    return _figure(found, "slope") if censored and found.values.get("slope") else None


def _figure(facts: Facts, key: str) -> Figure:
    return _of(facts.table(key))


def _of(found: Facts) -> Figure:
    return Figure(
        found.number("value"), found.number_or_none("lower"), found.number_or_none("upper")
    )


def _sample_size(found: Facts) -> SampleSize | None:
    if "needed_patients" not in found:  # where rows repeat patients the criteria do not apply
        return None
    return SampleSize(
        patients=found.count("patients"),
        events=found.count("events"),
        needed_patients=found.count("needed_patients"),
        needed_events=found.number("needed_events"),
        enough=found.flag("enough"),
    )

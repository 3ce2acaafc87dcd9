"""A validation in words and aligned figures, for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from riskscore.text import pairs_in_words

__all__ = ["pairs_lines", "summary_lines", "validation_lines"]

WIDTH = 88

OVERALL = {
    "concordance": "Concordance (Harrell)",
    "dxy": "Somers' Dxy",
    "r2_nagelkerke": "R2 (Nagelkerke)",
    "slope": "Slope, whole follow-up",
    "integrated_brier": "Integrated Brier score",
    "integrated_ipa": "Integrated IPA",
}
AT = {
    "auc": "AUC",
    "brier": "Brier score",
    "ipa": "IPA",
    "observed_expected": "Observed/expected",
    "slope": "Slope to the horizon",
    "ici": "ICI",
    "e50": "E50",
    "e90": "E90",
}


def validation_lines(found: dict[str, Any], unit: str) -> list[str]:
    """Return the report of a validation, in the order a reader asks."""
    lines = [*textwrap.wrap(found["how"] + ".", WIDTH), ""]
    if found["method"] == "iecv":
        lines += _centres(found)
    else:
        apparent = any((found.get(name) or {}).get("apparent") is not None for name in OVERALL)
        heads = f"{'apparent':>10}{'corrected':>11}" if apparent else f"{'estimate':>11}"
        lines += [f"{'':<28}{heads}   95 % interval"]
        lines += _table(found, OVERALL, apparent) + pairs_lines(found.get("pairs"))
        for at in found["horizons"]:
            head = f"At {at['horizon']:g} {unit}s"
            lines += ["", f"{head} ({at['events']} events by then, {at['beyond']} rows beyond)"]
            lines += _table(at, AT, apparent)
    lines += ["", *textwrap.wrap(found["interval"] + ".", WIDTH)]
    lines += _chosen(found.get("chosen"))
    lines += _instability(found.get("instability"), unit)
    lines += _sample_size(found.get("sample_size"))
    lines += _counts(found)
    lines += [f"note: {note}" for note in found.get("notes", ())]
    return lines


def summary_lines(found: dict[str, Any] | None) -> list[str]:
    """Return one or two lines for the report of a fit; none without a validation."""
    if not found:
        return []
    last = found["horizons"][-1]
    parts = [
        f"{label} {_three(index)}"
        for index, label in (
            (found["concordance"], "concordance"),
            (found.get("slope"), "calibration slope over the whole follow-up"),
            (last["slope"], f"calibration slope at horizon {last['horizon']:g}"),
            (found["integrated_ipa"], "integrated IPA"),
        )
        if index and index["value"] is not None
    ]
    how = {"bootstrap": "Corrected for optimism", "oob": "Out-of-bag"}[found["method"]]
    lines = [f"{how}: {parts[0]}", *pairs_lines(found.get("pairs"))]
    lines += [f"  {part}" for part in parts[1:]]
    size = found.get("sample_size") or {}
    if "needed_patients" in size and not size["enough"]:
        lines.append(
            f"  Coefficients: {size['parameters']}; Riley's criteria ask for "
            f"{size['needed_patients']} patients, there are {size['patients']}"
        )
    return lines + _counts(found)


def pairs_lines(pairs: dict[str, float] | None) -> list[str]:
    """Return one line on the pairs that a concordance is made of; none where it is not known."""
    return [f"  of 100 pairs: {pairs_in_words(**pairs)}"] if pairs else []


def _table(found: dict[str, Any], names: dict[str, str], apparent: bool) -> list[str]:
    lines = []
    for name, label in names.items():
        one = found.get(name)
        if one is None or one["value"] is None:
            continue
        own = one.get("apparent")
        before = f"{'' if own is None else f'{own:.3f}':>10}" if apparent else ""
        lines.append(f"  {label:<26}{before}{one['value']:>11.3f}   {_interval(one)}".rstrip())
    return lines


def _interval(one: dict[str, Any]) -> str:
    if one["lower"] is None or one["upper"] is None:
        return ""
    return f"{one['lower']:.3f} to {one['upper']:.3f}"


def _three(one: dict[str, Any]) -> str:
    interval = _interval(one)
    return f"{one['value']:.3f}" + (f" ({interval})" if interval else "")


def _centres(found: dict[str, Any]) -> list[str]:
    lines = [f"{'':<16}{'rows':>7}{'events':>8}   concordance, 95 % interval"]
    for centre in found["centres"]:
        c = centre["concordance"]
        lines.append(
            f"  {_name(centre['value']):<14}{centre['rows']:>7}{centre['events']:>8}   "
            f"{_three(c) if c else 'none'}"
        )
    pooled = found["pooled"]["concordance"]
    if pooled:
        lines.append(f"  {'pooled':<29}   {_three(pooled)}, tau {pooled['tau']:.2f} (logit)")
        if pooled["new_lower"] is not None:
            interval = f"{pooled['new_lower']:.3f} to {pooled['new_upper']:.3f}"
            lines.append(f"  {'expected of a new one':<29}   {interval}")
    for at in found["pooled"]["horizons"]:
        for name, what in (("observed_expected", "Observed/expected"), ("slope", "Slope")):
            if at[name]:
                label = f"{what} at {at['horizon']:g}"
                lines.append(f"  {label:<29}   {_three(at[name])}")
    return lines + [f"  not judged: {reason}" for reason in found["not_judged"]]


def _name(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _chosen(found: dict[str, Any] | None) -> list[str]:
    """Return what the fits chose: a figure for one fit, its median and range for several."""
    if not found:
        return []
    words = {
        "penalty": "ridge penalty",
        "min_leaf": "rows in a leaf or more",
        "max_features": "columns tried at a split",
    }
    several = found["fits"] > 1
    return [
        "",
        f"Chosen by {found['fits']} fits: median (range)" if several else "Chosen by the fit",
        *(
            f"  {label:<26}{found[name]['median']:>11.4g}"
            + (f"   ({found[name]['least']:.4g} to {found[name]['most']:.4g})" if several else "")
            for name, label in words.items()
            if name in found
        ),
    ]


def _instability(found: dict[str, Any] | None, unit: str) -> list[str]:
    if not found:
        return []
    lines = ["", f"Instability over {found['refits']} refits: mean change of a patient's risk"]
    return lines + [
        f"  at {at['horizon']:g} {unit}s {at['mape']:.3f}; above {at['mape_90']:.3f} for one "
        "patient in ten"
        for at in found["horizons"]
    ]


def _sample_size(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    lines = [
        "",
        f"Sample size (Riley et al.): coefficients {found['parameters']}, {found['events']} "
        f"patients with an event, {found['events_a_parameter']:.1f} a coefficient",
    ]
    if "reason" in found:
        return [*lines, *textwrap.wrap(f"  {found['reason']}", WIDTH, subsequent_indent="  ")]
    words = {
        "shrinkage": "expected shrinkage 0.9 or more",
        "optimism": "R2 (Nagelkerke) optimistic by 0.05 or less",
        "overall_risk": "overall risk known to within 0.05",
    }
    for one in found["criteria"]:
        met = "met" if one["met"] else "not met"
        lines.append(f"  {words[one['name']]:<44}{one['patients']:>7} patients  {met}")
    return lines


def _counts(found: dict[str, Any]) -> list[str]:
    counts = found.get("replicates") or found.get("repeats")
    if not counts or not (counts["failed"] or counts.get("stopped_early")):
        return []
    reasons = "; ".join(f"{n} times {reason}" for reason, n in counts["reasons"].items())
    lines = []
    if counts["failed"]:
        text = f"{counts['failed']} of {counts['asked']} resamples failed: {reasons}"
        lines += textwrap.wrap(text, WIDTH)
    if counts.get("stopped_early"):
        lines.append(f"stopped after {counts['done']} of {counts['asked']} resamples")
    return lines

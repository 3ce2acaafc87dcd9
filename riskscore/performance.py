"""How good a model was found to be, in a few lines: on its own data, and on patients it never saw.

Every figure is read from the bundle (`evaluation.json`, `external/*.json`); what an older bundle
does not hold is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from riskscore.attached import attached_to
from riskscore.bundle import Bundle
from riskscore.errors import BundleError
from riskscore.files import parse_json
from riskscore.text import pairs_in_words

__all__ = ["LEVEL_OFF", "level_is_off", "performance_lines"]

LEVEL_OFF = 1.1
"""Observed over expected, or its inverse, below which a difference is too small to matter."""


def level_is_off(ratio: float, lower: float | None, upper: float | None) -> bool:
    """Return whether observed over expected is off by more than chance, and enough to matter.

    Parameters
    ----------
    ratio : float
        Observed over expected events.
    lower, upper : float or None
        Its interval; None where it has none, and then nothing is sure.

    Examples
    --------
    >>> level_is_off(0.58, 0.48, 0.71), level_is_off(0.58, 0.30, 1.10)
    (True, False)
    """
    if lower is None or upper is None or lower <= 1 <= upper:
        return False
    return ratio > 0 and max(ratio, 1 / ratio) > LEVEL_OFF


def performance_lines(bundle: Bundle) -> list[tuple[str, str]]:
    """Return pairs of a heading and a line, the model's own data first.

    A line says how pairs of patients are ordered (right, wrong, the same), and for other patients
    the horizon at which expected and observed risk differ most, of those where chance does not
    explain it.
    """
    unit = bundle.manifest.study.time_unit
    evaluation = bundle.read("evaluation.json")
    lines = [("Own data", line) for line in _own(evaluation)]
    if later := _table(evaluation, "temporal"):
        split = _table(later, "split")
        whom = f"{split.get('column', 'split')} from {split.get('value', 0):g} on".replace("_", " ")
        rows, patients = split.get("judged_rows"), split.get("judged_patients")
        if _numbers(rows, patients) and rows != patients:
            whom += f", {rows:,} records of {patients:,} patients"
        order = _order(_table(later, "pairs"), _table(later, "concordance").get("value"))
        parts = filter(None, (order, _worst(later.get("horizons"), unit)))
        lines.append(("Later", f"{whom}, fitted on those before: {'; '.join(parts)}"))
    for content in _attached(bundle):
        cohort, judged = _table(content, "cohort"), _table(content, "evaluation")
        harrell = _table(judged, "harrell")
        counts = [harrell.get(key) for key in ("concordant", "discordant", "tied_score")]
        shares = dict(zip(("right", "wrong", "same"), counts, strict=True))
        parts = filter(
            None, (_order(shares, harrell.get("value")), _worst(judged.get("horizons"), unit))
        )
        whom = f"{cohort.get('name')}, {cohort.get('patients')} patients"
        lines.append(("Elsewhere", f"{whom}: {'; '.join(parts)}"))
    if not any(heading != "Own data" for heading, _ in lines):
        lines.append(("Elsewhere", "not tested on other patients"))
    return lines


def _own(evaluation: dict[str, Any]) -> Iterator[str]:
    """Yield the line on the training data: the validated figures, else those out of bag."""
    validation, concordance = _table(evaluation, "validation"), _table(evaluation, "concordance")
    validated = _table(validation, "concordance").get("value")
    if _numbers(validated):
        yield f"{_order(_table(validation, 'pairs'), validated)} (validated)"
    elif _numbers(value := concordance.get("out_of_bag")):
        pairs = _table(_table(concordance, "pairs"), "out_of_bag")
        yield f"{_order(pairs, value)} (out of bag)"


def _attached(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Yield the external validations of this very bundle that can be read."""
    for name in attached_to(bundle).own:
        try:
            content = parse_json(bundle.attachment(name) or b"", name)
        except BundleError:
            continue
        if isinstance(content, dict) and content.get("digest") == bundle.manifest.digest:
            yield content


def _order(shares: dict[str, Any], concordance: Any) -> str:
    """Return how pairs are ordered, and the concordance, as far as they are known."""
    values: list[Any] = [shares.get(key) for key in ("right", "wrong", "same")]
    parts = []
    ties = " (equal risks counted as half right)"
    if _numbers(*values) and min(values) >= -1e-6 and sum(values) > 0:
        right, wrong, same = (max(float(value), 0.0) for value in values)
        words = pairs_in_words(right, wrong, same)
        parts.append(f"of 100 pairs {words}")
        ties = " (the same counted as half right)" if "the same" in words else ""
    if _numbers(concordance):
        parts.append(f"concordance {concordance:.2f}{ties}")
    return "; ".join(parts)


def _worst(horizons: Any, unit: str) -> str:
    """Return expected and observed risk where they differ most, of the horizons surely off."""
    off = []
    for at in horizons if isinstance(horizons, list) else ():
        inner = _table(at, "calibration") or at
        expected: Any = inner.get("expected")
        observed: Any = _table(inner, "observed").get("value")
        ratio: list[Any] = [
            _table(inner, "observed_expected").get(key) for key in ("value", "lower", "upper")
        ]
        if _numbers(expected, observed, at.get("horizon"), *ratio) and level_is_off(*ratio):
            off.append((abs(expected - observed), at["horizon"], expected, observed))
    if not off:
        return ""
    _, time, expected, observed = max(off)
    return f"by {unit} {time:g} {expected:.0%} expected to have the event, {observed:.0%} had it"


def _table(content: Any, key: str) -> dict[str, Any]:
    inner = content.get(key) if isinstance(content, dict) else None
    return inner if isinstance(inner, dict) else {}


def _numbers(*values: Any) -> bool:
    return all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )

"""One cell of a table, as text."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from training.ratios import hazard_ratio_text

__all__ = [
    "NONE", "count_text", "event_text", "fixed_text", "is_told", "p_text", "quartiles_text",
    "rate_text", "ratio_text", "short_text", "survival_text", "time_text",
]  # fmt: skip

NONE = "-"
SMALLEST_P = 0.001


def p_text(p: float | None) -> str:
    """Return a P value with three decimals, "<0.001", or a dash."""
    if p is None or not math.isfinite(p):
        return NONE
    return f"<{SMALLEST_P}" if p < SMALLEST_P else f"{p:.3f}"


def ratio_text(found: dict[str, Any] | None) -> str:
    """Return a hazard ratio with its interval."""
    if found is None:
        return NONE
    values = [_ratio(found[key]) for key in ("hazard_ratio", "lower", "upper")]
    return f"{values[0]} ({values[1]} to {values[2]})"


def _ratio(value: float | None) -> str:
    if value is None or math.isnan(value):
        return NONE
    return hazard_ratio_text(value, ".3f" if value < 100 else ".3g")


def event_text(group: dict[str, Any]) -> str:
    """Return how many had an event, of those recorded; a dash where nothing was recorded."""
    return f"{group['count']} of {group['n']} ({100 * group['share']:.1f})" if group["n"] else NONE


def rate_text(group: dict[str, Any]) -> str:
    """Return a share in percent with its interval; a dash where nobody was evaluated."""
    if group["share"] is None:
        return NONE
    share, lower, upper = (100 * group[key] for key in ("share", "lower", "upper"))
    return f"{share:.1f} % ({lower:.1f} to {upper:.1f})"


def count_text(count: int, n: int) -> str:
    """Return a count with its percentage; a dash where there is nobody to count."""
    return f"{count} ({100 * count / n:.1f})" if n else NONE


def survival_text(at: dict[str, Any]) -> str:
    """Return survival in percent with its interval; a dash beyond the arm's follow-up."""
    if at["survival"] is None:
        return NONE
    if not is_told(at["lower"]):
        return f"{100 * at['survival']:.0f}"
    return f"{100 * at['survival']:.0f} ({100 * at['lower']:.0f} to {100 * at['upper']:.0f})"


def is_told(value: float | None) -> TypeGuard[float]:
    """Whether a number exists: neither None, as JSON has it, nor infinite, nor NaN."""
    return value is not None and math.isfinite(value)


def time_text(value: float | None) -> str:
    """Return a time with one decimal, or that it was not reached."""
    return f"{value:.1f}" if is_told(value) else "not reached"


def fixed_text(value: float | None, decimals: int) -> str:
    """Return a number with so many decimals, or a dash."""
    return f"{value:.{decimals}f}" if is_told(value) else NONE


def short_text(value: float | None) -> str:
    """Return a number with one decimal, a large one with none."""
    if value is None:
        return NONE
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def quartiles_text(group: dict[str, Any]) -> str:
    """Return the median with its quartiles."""
    if group["median"] is None:
        return NONE
    low, middle, high = (
        short_text(group[k]) for k in ("lower_quartile", "median", "upper_quartile")
    )
    return f"{middle} ({low}, {high})"

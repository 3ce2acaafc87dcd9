"""How a card writes numbers and counts people: the one place where a number becomes text.

Everything here returns plain text; escaping for Markdown is the renderer's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from model_cards.card import Data, Estimate, Figure, Judged, Pairs
from riskscore.text import in_100 as in_100_parts

__all__ = [
    "against", "change", "coefficient", "cohort_size", "count", "duration", "estimate", "figure",
    "in_100", "in_words_of", "joined", "p_value", "pairs", "pairs_in_100", "people", "percent",
    "percent_figure", "quantity", "ratio", "score", "sentence", "spread", "with_event",
    "with_unit",
]  # fmt: skip

WORDS_FOR_TIME = ("day", "week", "month", "year")


def count(n: int) -> str:
    """Return a count with thousands separated: 7,756."""
    return f"{n:,}"


def percent(p: float) -> str:
    """Return a probability as a whole per cent; what rounds to certainty is given as a bound.

    >>> percent(0.618), percent(0.002), percent(0.9991), percent(1.0)
    ('62 %', 'below 1 %', 'above 99 %', '100 %')
    """
    if 0 < p < 0.005:
        return "below 1 %"
    if 0.995 <= p < 1:
        return "above 99 %"
    return f"{100 * p:.0f} %"


def estimate(found: Estimate) -> str:
    """Return a predicted probability with its interval, if there is one: 62 % (53 to 70)."""
    if found.lower is None or found.upper is None:
        return percent(found.survival)
    ends = [percent(end).removesuffix(" %") for end in (found.lower, found.upper)]
    return f"{percent(found.survival)} ({ends[0]} to {ends[1]})"


def percent_figure(found: Figure) -> str:
    """Return a measured probability with its interval: 49 % (39 to 59)."""
    return estimate(Estimate(0.0, found.value, found.lower, found.upper, None, None))


def spread(found: Estimate) -> str:
    """Return the sensitivity envelope of a predicted probability: 48 to 75 %."""
    if found.lowest is None or found.highest is None:
        return ""
    return f"{percent(found.lowest).removesuffix(' %')} to {percent(found.highest)}"


def ratio(value: float) -> str:
    """Return a hazard ratio or a concordance with two decimals."""
    return f"{value:.2f}"


def figure(found: Figure | Judged) -> str:
    """Return a measured figure with two decimals and its interval: 0.62 (0.53 to 0.70)."""
    if found.lower is None or found.upper is None:
        return f"{found.value:.2f} (no interval)"
    return f"{found.value:.2f} ({found.lower:.2f} to {found.upper:.2f})"


def coefficient(value: float) -> str:
    """Return a number of the model's equation with enough digits to compute with: five significant.

    >>> coefficient(0.002687727408), coefficient(-0.9551946063)
    ('0.0026877', '-0.95519')
    """
    return f"{value:#.5g}"


def change(value: float) -> str:
    """Return a difference of concordances with its sign and three decimals.

    >>> change(0.01524), change(-0.00096), change(-0.0001)
    ('+0.015', '-0.001', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text


def score(value: float) -> str:
    """Return a risk score, which has no unit, with two decimals; never "-0.00"."""
    return f"{round(value, 2) + 0.0:.2f}"


def p_value(p: float) -> str:
    """Return a P value with three decimals, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def quantity(value: float) -> str:
    """Return a measured number with three significant digits, and all of those before the point.

    >>> quantity(22.1), quantity(30.554), quantity(121000.0), quantity(0.03286)
    ('22.1', '30.6', '121,000', '0.0329')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def with_unit(value: float, unit: str) -> str:
    """Return a number, in full, with its unit; a word for time takes the plural.

    >>> with_unit(55.0, "year"), with_unit(122.0, "ng/mL"), with_unit(1.0, "month")
    ('55 years', '122 ng/mL', '1 month')
    """
    return f"{value:,.12g} {_plural(unit, value)}"


def against(high: float, low: float, unit: str) -> str:
    """Return a contrast of two values of a number: "63 against 46 years"."""
    return f"{quantity(high)} against {quantity(low)} {_plural(unit, low)}"


def duration(value: float, unit: str) -> str:
    """Return a measured time with its unit: 22.1 months."""
    plural = "" if value == 1 else "s"
    return f"{quantity(value)} {unit}{plural}"


def pairs_in_100(concordance: float) -> str:
    """Return a concordance as pairs in 100: 0.62 is 62."""
    return f"{100 * concordance:.0f}"


def pairs(found: Pairs) -> tuple[int, ...]:
    """Return pairs in 100: right, wrong, the same score; whole numbers that add up to 100."""
    return in_100_parts((found.right, found.wrong, found.same))


def in_100(found: Figure | Judged) -> str:
    """Return a measured share in 100 and its interval, in whole numbers: 62 (53 to 70)."""
    middle = f"{100 * found.value:.0f}"
    if found.lower is None or found.upper is None:
        return f"{middle} (no interval)"
    return f"{middle} ({100 * found.lower:.0f} to {100 * found.upper:.0f})"


def joined(items: Sequence[str]) -> str:
    """Return a list in words: "6, 12 and 18"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(text: str) -> str:
    """Return text with one full stop at its end."""
    return text if text.endswith(("!", "?")) else text.rstrip(". ") + "."


def people(kind: str, *, repeated: bool = False) -> str:
    """Return what one row of the training data may be called.

    Rows of a reconstructed cohort, and rows of unknown origin, are no patients.
    """
    return "patient" if kind == "patients" and not repeated else "record"


def cohort_size(data: Data) -> str:
    """Return how many the model was fitted on, in words that claim nothing the data are not."""
    rows = count(data.rows)
    if data.kind == "reconstructed":
        return f"{rows} reconstructed records"
    if data.kind != "patients":
        return f"{rows} records of unstated origin"
    return (
        f"{rows} records of {count(data.patients)} patients"
        if data.repeated
        else f"{rows} patients"
    )


def with_event(data: Data) -> str:
    """Return how many of them had the event, and whose they are where patients return."""
    whose = f" (of {count(data.patients_with_event)} patients)"
    returning = data.repeated and data.kind == "patients"
    return f"{count(data.events)} of them{whose if returning else ''}"


def in_words_of(kind: str, text: str) -> str:
    """Return a method's description with "patient" made "record" where no patient was seen.

    The words of a bundle's methods are the same for every cohort; those of a reconstructed one hold
    no patient.

    >>> in_words_of("reconstructed", "trees that never drew the patient")
    'trees that never drew the record'
    """
    return text if kind == "patients" else re.sub(r"\bpatient(s?)\b", r"record\1", text)


def _plural(unit: str, value: float) -> str:
    return f"{unit}s" if unit in WORDS_FOR_TIME and value != 1 else unit

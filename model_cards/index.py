"""The page that compares the models side by side."""

from __future__ import annotations

from collections.abc import Sequence

from model_cards import prose
from model_cards.card import Card
from model_cards.formats import count, figure, joined, pairs, ratio
from model_cards.miscalibration import level_in_words, worst
from model_cards.render import escape_markdown

__all__ = ["INDEX", "render_index"]

INDEX = "index.md"


def render_index(cards: Sequence[Card]) -> str:
    """Return a Markdown page with a column a model, each headed by a link to its card."""
    rows = [
        ("Model", [f"[{c.identity.id}]({c.identity.id}/card.md)" for c in cards]),
        ("Outcome", [c.question.outcome for c in cards]),
        ("Kind", [prose.model_type(c) for c in cards]),
        ("Stage", [c.statements.release.stage for c in cards]),
        ("Review", [c.identity.review for c in cards]),
        ("For whom", [c.question.population for c in cards]),
        ("Training data", [c.data.kind for c in cards]),
        ("Records", [count(c.data.rows) for c in cards]),
        ("Events", [count(c.data.events) for c in cards]),
        ("Predictors", [joined([p.label for p in c.predictors]) for c in cards]),
        (
            "Horizons",
            [
                f"{joined([f'{t:g}' for t in c.question.horizons])} {c.question.time_unit}s"
                for c in cards
            ],
        ),
        ("Concordance, corrected (95 %)", [_corrected(c) for c in cards]),
        ("Calibration slope at the last horizon, corrected (95 %)", [_slope(c) for c in cards]),
        ("Concordance on other patients (95 %)", [_elsewhere(c) for c in cards]),
        ("Worst risks on other patients (95 %)", [_worst(c) for c in cards]),
        ("Concordance, out of bag", [ratio(c.performance.out_of_bag) for c in cards]),
        ("Of 100 pairs, out of bag: right, wrong, the same risk", [_pairs(c) for c in cards]),
        ("Bounds of an answer", [c.intervals.kind for c in cards]),
        ("Limitations found by rule", [count(len(c.limitations)) for c in cards]),
        ("Digest", [c.identity.digest for c in cards]),
    ]
    lines = ["# The models side by side", ""]
    for i, (label, cells) in enumerate(rows):
        # The links of the first row are ours; everything else may hold markup by chance.
        shown = cells if i == 0 else [escape_markdown(cell) for cell in cells]
        lines.append(f"| {label} | {' | '.join(shown)} |")
        if i == 0:
            lines.append("|---" * (len(cards) + 1) + "|")
    lines += [
        "",
        "Concordances of different outcomes or cohorts are not to be compared: each depends on "
        "who is in it. A pair is of two records, one known to have had the event first; it is "
        "right where that one has the higher risk. A concordance counts equal risks as half "
        "right: guessing gives 0.50.",
    ]
    return "\n".join(lines) + "\n"


def _corrected(card: Card) -> str:
    judged = card.performance.judged
    if judged is None:
        return "not validated"
    return figure(judged)


def _pairs(card: Card) -> str:
    shares = card.performance.pairs_out_of_bag
    return ", ".join(map(str, pairs(shares))) if shares else "not counted"


def _worst(card: Card) -> str:
    """Return the largest sure difference of expected and observed risk on unseen patients."""
    if largest := worst(card):
        return f"on {largest.whom}, {level_in_words(largest.at, card.question.time_unit)}"
    if not card.performance.external and not card.performance.later:
        return "not tested"
    return "none beyond chance"


def _slope(card: Card) -> str:
    judged = card.performance.judged
    last = judged.horizons[-1] if judged and judged.horizons else None
    return figure(last.slope) if last and last.slope else "none"


def _elsewhere(card: Card) -> str:
    found = [f"{figure(e.concordance)}: {e.cohort}" for e in card.performance.external]
    return "; ".join(found) or "not tested"

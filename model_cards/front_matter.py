"""The front matter of the Markdown card, as Hugging Face reads it.

Source: https://huggingface.co/docs/hub/model-cards. Every text is written as JSON, which is YAML
too, so that no value can be taken for markup.
"""

from __future__ import annotations

import json
from typing import Any

from model_cards import prose
from model_cards.card import Card

__all__ = ["front_matter"]

KNOWN = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc0-1.0")
"""Licences that the hub knows by these names; any other is "other", with its name beside it."""


def front_matter(card: Card) -> str:
    """Return the block between two lines of dashes, with the results as a model index."""
    stated = card.statements.open_science.licence
    licence: dict[str, Any] = (
        {"license": stated} if stated in KNOWN else {"license": "other", "license_name": stated}
    )
    p = card.performance
    metrics: list[dict[str, Any]] = [
        {
            "type": "concordance-index",
            "name": "Harrell's concordance, out of bag",
            "value": round(p.out_of_bag, 4),
        },
        {
            "type": "concordance-index",
            "name": "Harrell's concordance, in-sample (optimistic)",
            "value": round(p.in_sample, 4),
        },
    ]
    if p.judged:
        ends = "no interval"
        if p.judged.lower is not None and p.judged.upper is not None:
            ends = f"95 % interval {p.judged.lower:.4f} to {p.judged.upper:.4f}"
        metrics.insert(
            0,
            {
                "type": "concordance-index",
                "name": f"Harrell's concordance, corrected ({ends})",
                "value": round(p.judged.value, 4),
            },
        )
    result = {
        "task": {"type": "survival-analysis", "name": card.question.outcome},
        "dataset": {"type": "tabular", "name": card.data.source},
        "metrics": metrics,
    }
    content = {
        "language": "en",
        **licence,
        "library_name": "riskscore",
        "tags": ["survival-analysis", *card.statements.release.keywords],
        "metrics": ["concordance-index"],
        "model-index": [{"name": prose.title(card), "results": [result]}],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    return "\n".join(["---", *lines, "---", "", ""])

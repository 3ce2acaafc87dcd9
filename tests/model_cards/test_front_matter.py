"""The front matter as huggingface_hub reads it, which is the oracle here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from model_cards import Card, card_of, render_all
from model_cards.front_matter import front_matter
from riskscore.bundle import shipped_bundles


@pytest.mark.parametrize("model", sorted(shipped_bundles()))
def test_the_hub_reads_it(model: str) -> None:
    """Licence, tags and results come back as they stand on the card."""
    card = card_of(model)
    # An invalid model index raises unless told to be ignored.
    read = ModelCard(render_all(card)["card.md"], ignore_metadata_errors=False)
    assert read.data.license == "apache-2.0"
    assert read.data.library_name == "riskscore"
    assert read.data.tags[1:] == list(card.statements.release.keywords)
    first = read.data.eval_results[0]
    assert first.dataset_name == card.data.source
    assert card.performance.judged is not None  # every shipped model was validated
    assert "95 % interval" in first.metric_name
    # 0.00005: written with four decimals.
    assert first.metric_value == pytest.approx(card.performance.judged.value, abs=0.00005)
    assert read.text.lstrip().startswith("# ")


def test_hostile_text_stays_text(awkward_card: Card) -> None:
    """Quotes, colons and dashes in a title do not end the block."""
    question = replace(awkward_card.question, title='a: "b"\n---\n# c')
    read = ModelCard(front_matter(replace(awkward_card, question=question)) + "body\n")
    assert read.data.model_name == 'Overall survival: a: "b"\n---\n# c'
    assert read.text.strip() == "body"


def test_a_licence_that_the_hub_does_not_know_is_other(awkward_card: Card) -> None:
    """Its name stands beside it."""
    read = ModelCard(front_matter(awkward_card) + "body\n")
    assert read.data.license == "other"
    assert read.data.to_dict()["license_name"] == awkward_card.statements.open_science.licence

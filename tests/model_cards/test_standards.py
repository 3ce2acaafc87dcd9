"""HTI-1 and TRIPOD+AI: every item answered, and every answer where the card says it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from model_cards import Card, CardError, card_of, render_markdown
from model_cards.as_json import render_json
from model_cards.standards import items, source_attributes
from riskscore.bundle import shipped_bundles


@pytest.mark.parametrize("model", sorted(shipped_bundles()))
def test_every_item_of_both_standards_is_answered(model: str) -> None:
    """31 attributes, 27 items; every section that is named has an anchor on the card."""
    card = card_of(model)
    content = json.loads(render_json(card))
    anchors = set(re.findall(r'<a id="(\w+)">', render_markdown(card, anchors=True)))
    hti, tripod = content["hti_1"], content["tripod_ai"]
    assert [row["number"] for row in hti] == list(range(1, 32))
    assert all(row["answer"].strip() for row in hti)
    assert {row["section"] for row in hti} <= anchors
    assert [row["number"] for row in tripod] == list(range(1, 28))
    for row in tripod:
        assert bool(row["sections"]) != bool(row["not_applicable"])
        assert set(row["sections"]) <= anchors
    assert [row["number"] for row in tripod if row["not_applicable"]] == [13, 24]


def test_a_card_without_a_source_section_points_to_none(cox_card: Card) -> None:
    """Only a model that carries its audit or draws has such a section."""
    named = {section for item in items(cox_card) for section in item.sections}
    assert "source" not in named
    assert named <= set(re.findall(r'<a id="(\w+)">', render_markdown(cox_card, anchors=True)))


def test_every_number_of_the_card_is_in_the_json(cox_card: Card) -> None:
    """To ten digits, so that last bits of a machine make no difference."""
    content = json.loads(render_json(cox_card))["card"]
    found = content["profiles"][0]["answers"][0]["estimates"][0]["survival"]
    wanted = cox_card.profiles[0].answers[0].estimates[0].survival
    assert found == pytest.approx(wanted, rel=1e-9)  # half a unit of the tenth digit
    assert content["identity"]["digest"] == cox_card.identity.digest
    assert len(content["predictors"]) == len(cox_card.predictors)


def test_answers_come_from_the_statements(cox_card: Card) -> None:
    """An answer changes with what is stated, and a blank one makes no JSON."""
    s = cox_card.statements
    changed = replace(cox_card, statements=replace(s, use=replace(s.use, users="Nurses.")))
    assert source_attributes(changed)[6].answer == "Nurses."
    blank = replace(cox_card, statements=replace(s, use=replace(s.use, users=" ")))
    with pytest.raises(CardError, match=r"card\.statements\.use\.users is empty"):
        render_json(blank)

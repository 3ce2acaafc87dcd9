"""Each limitation appears exactly when its rule is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_cards import Card
from model_cards.card import Intervals
from model_cards.limitations import RULES, limitations

FEW = "few at risk"


def said(card: Card, rule: str) -> list[str]:
    """Return what a rule says of a card."""
    return [item.text for item in limitations(card).limitations if item.rule == rule]


def with_data(card: Card, **changes: Any) -> Card:
    """Return the card with other facts about its data."""
    return replace(card, data=replace(card.data, **changes))


def with_performance(card: Card, **changes: Any) -> Card:
    """Return the card with other performance."""
    return replace(card, performance=replace(card.performance, **changes))


def test_events_per_effect(cox_card: Card, forest_card: Card) -> None:
    """Four effects want 40 events under Cox; a forest wants far more."""
    assert said(with_data(cox_card, events=40), "events per effect") == []
    (text,) = said(with_data(cox_card, events=39), "events per effect")
    assert text.startswith(
        "Few events: 39 for 4 estimated effects are 9.75 each; a Cox model wants 10"
    )
    (text,) = said(forest_card, "events per effect")
    assert "for 5 estimated effects" in text
    assert "a forest wants 200 or more" in text


def test_a_level_with_fewer_than_ten(cox_card: Card, awkward_card: Card) -> None:
    """The rare level is named with its count; ten is enough."""
    (text,) = said(awkward_card, "small level")
    assert text.startswith('Stage | of `disease` "_c_ *d* [e](f)" rests on ')
    first, *others = cox_card.predictors
    for rows, expected in ((9, 1), (10, 0)):
        levels = (replace(first.levels[0], rows=rows), *first.levels[1:])
        card = replace(cox_card, predictors=(replace(first, levels=levels), *others))
        assert len(said(card, "small level")) == expected


def test_few_at_risk_at_a_horizon(cox_card: Card) -> None:
    """Fewer than ten followed is said for that horizon; ten is enough."""
    first, *others = (replace(found, rows=30) for found in cox_card.at_risk)
    for rows, words in ((9, "9 training records were"), (1, "1 training record was")):
        (text,) = said(replace(cox_card, at_risk=(replace(first, rows=rows), *others)), FEW)
        assert text.startswith(f"At 6 months only {words} still followed")
    assert said(replace(cox_card, at_risk=(replace(first, rows=10), *others)), FEW) == []


def test_weak_and_flattering_concordance(cox_card: Card) -> None:
    """Below 0.6 is weak; a fall of more than 0.05 is flattery."""
    good = with_performance(cox_card, in_sample=0.64, out_of_bag=0.6)
    assert said(good, "weak concordance") == []
    assert said(good, "flattering concordance") == []
    bad = with_performance(cox_card, in_sample=0.66, out_of_bag=0.59)
    assert "out-of-bag concordance is 0.59" in said(bad, "weak concordance")[0]
    assert "of 0.66 flatters: it falls to 0.59" in said(bad, "flattering concordance")[0]


def test_out_of_bag_coverage(cox_card: Card) -> None:
    """Rows never left out, and refits that failed, are counted."""
    assert said(cox_card, "out-of-bag coverage") == []
    rows, refits = said(
        with_performance(cox_card, out_of_bag_rows=80, refits=97, refits_failed=3),
        "out-of-bag coverage",
    )
    assert "covers 80 of 90 records" in rows
    assert "3 of 100 refits failed" in refits


@pytest.mark.parametrize("rule", ["origin not stated", "repeated records"])
def test_data_of_unstated_origin(cox_card: Card, rule: str) -> None:
    """A cohort nobody vouches for is called neither patients nor reconstructed."""
    card = with_data(cox_card, kind="not stated", patients=50)
    assert said(cox_card, rule) == []
    assert len(said(card, rule)) == 1
    assert said(card, "reconstructed") == []
    assert not any("patients" in item.text for item in limitations(card).limitations)


def test_what_follows_from_kind(cox_card: Card, forest_card: Card, awkward_card: Card) -> None:
    """Reconstruction, missing intervals, thinned curves and repeats are said where they are so."""
    assert len(said(cox_card, "reconstructed")) == 2
    assert len(said(forest_card, "reconstructed")) == 1
    assert said(awkward_card, "reconstructed") == []
    assert said(cox_card, "no interval") == []
    assert "this forest carries no measure" in said(forest_card, "no interval")[0]
    assert said(cox_card, "stability only") == []
    banded = replace(cox_card, intervals=Intervals(True, "forest stability", 0.95, "little bags"))
    assert "band of forest stability" in said(banded, "stability only")[0]
    assert said(cox_card, "thinned curve") == []
    assert said(replace(cox_card, grid="thinned"), "thinned curve")
    assert "some of whom return" in said(awkward_card, "repeated records")[0]
    assert said(awkward_card, "horizon beyond follow-up")
    assert said(cox_card, "internal figures only")


def test_every_rule_is_tried_here() -> None:
    """A new rule needs a test."""
    assert set(RULES) == {
        "reconstructed", "origin not stated", "internal figures only", "events per effect",
        "repeated records", "weak concordance", "flattering concordance", "out-of-bag coverage",
        "small level", "few at risk", "horizon beyond follow-up", "no interval", "thinned curve",
        "stability only",
    }  # fmt: skip

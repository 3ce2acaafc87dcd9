"""Each limitation appears exactly when its rule is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_cards import Card
from model_cards.card import (
    AtHorizon,
    CoxModel,
    External,
    Figure,
    Intervals,
    Judged,
    SampleSize,
)  # fmt: skip
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
    """A level of fewer than ten events is named with them; ten are enough, however many rows."""
    (text,) = said(awkward_card, "small level")
    assert text.startswith('Stage | of `disease` "_c_ *d* [e](f)" rests on ')
    first, *others = cox_card.predictors

    def told(**counts: int | None) -> list[str]:
        levels = tuple(replace(item, **{"events": 10, **counts}) for item in first.levels[:1])
        rest = tuple(replace(p, levels=()) for p in others)
        changed = (replace(first, levels=levels), *rest)
        return said(replace(cox_card, predictors=changed), "small level")

    assert told(events=10, rows=3) == []
    (text,) = told(events=9, patients=50, rows=80)
    assert "rests on 9 events among 50 training records" in text
    (text,) = told(events=1, patients=1)
    assert "rests on 1 event among 1 training record:" in text
    # A bundle of before does not count events: its rows are judged.
    assert told(events=None, rows=10) == []
    (text,) = told(events=None, rows=9)
    assert "rests on 9 training records" in text


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
    assert not any(
        "patients" in item.text.replace("no other patients", "")
        for item in limitations(card).limitations
    )


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


def elsewhere(slope: float, observed_expected: float) -> External:
    """Return a validation on other patients, with these figures at its only horizon."""
    figure = Figure(0.6, 0.5, 0.7)
    at = AtHorizon(
        12.0, figure, figure, Figure(observed_expected, None, None), Figure(slope, 0.1, 2.0)
    )
    return External("there", "there.csv", "ab", 80, 40, figure, at.slope, (at,), (), ())


def judged(slope: float, *, enough: bool) -> Judged:
    """Return an internal validation with this slope."""
    size = SampleSize(90, 59, 358, 234.7, enough)
    return Judged(0.6, 0.5, 0.7, "how", "which", Figure(slope, 0.5, 1.2), (), size)


@pytest.mark.parametrize(
    ("slope", "words"), [(0.84, "too extreme"), (0.86, None), (1.14, None), (1.16, "too moderate")]
)
def test_a_slope_far_from_one(cox_card: Card, slope: float, words: str | None) -> None:
    """Below 1 predictions are too extreme, above 1 too moderate, here and elsewhere."""
    card = with_performance(
        cox_card, judged=judged(slope, enough=True), external=(elsewhere(slope, 1.0),)
    )
    texts = said(card, "slope far from 1")
    assert len(texts) == (2 if words else 0)
    assert all(words in text and f"{slope:.2f}" in text for text in texts if words)
    assert said(card, "internal figures only") == []
    assert said(cox_card, "slope far from 1") == []


@pytest.mark.parametrize(
    ("found", "told"), [(0.0, True), (0.79, True), (0.81, False), (1.24, False), (1.26, True)]
)
def test_events_off_elsewhere(cox_card: Card, found: float, told: bool) -> None:
    """A quarter too many or too few events is told; none at all too."""
    texts = said(
        with_performance(cox_card, external=(elsewhere(1.0, found),)), "events off elsewhere"
    )
    assert bool(texts) is told
    assert all("there.csv" in text and "12 months" in text for text in texts)


def test_too_small_a_sample(cox_card: Card) -> None:
    """What the criteria ask for stands beside what there was."""
    (text,) = said(with_performance(cox_card, judged=judged(1.0, enough=False)), "sample size")
    assert "358" in text
    assert "90" in text
    assert said(with_performance(cox_card, judged=judged(1.0, enough=True)), "sample size") == []


@pytest.mark.parametrize(("p", "told"), [(0.049, True), (0.051, False)])
def test_an_effect_that_changes_with_time(cox_card: Card, p: float, told: bool) -> None:
    """The predictor is named, and the test of all together names none."""
    assert isinstance(cox_card.model, CoxModel)
    tests = tuple(
        replace(test, p=p if i == 0 else 0.001 if test.label == "all together" else 0.5)
        for i, test in enumerate(cox_card.model.proportional)
    )
    card = replace(cox_card, model=replace(cox_card.model, proportional=tests))
    texts = said(card, "effects change with time")
    assert bool(texts) is told
    assert all(tests[0].label in text and "together" not in text for text in texts)


@pytest.mark.parametrize(("width", "told"), [(0.399, False), (0.401, True)])
def test_bounds_wider_than_forty_points(cox_card: Card, width: float, told: bool) -> None:
    """Counted among the examples that stand on the card."""
    profile = cox_card.profiles[0]
    estimate = replace(profile.answers[0].estimates[0], lower=0.2, upper=0.2 + width)
    answer = replace(profile.answers[0], estimates=(estimate,))
    card = replace(cox_card, profiles=(replace(profile, answers=(answer,)),))
    assert bool(said(card, "wide bounds")) is told


def test_every_rule_is_tried_here() -> None:
    """A new rule needs a test."""
    assert set(RULES) == {
        "reconstructed", "origin not stated", "internal figures only", "events per effect",
        "repeated records", "weak concordance", "flattering concordance", "out-of-bag coverage",
        "small level", "few at risk", "horizon beyond follow-up", "no interval", "thinned curve",
        "stability only", "slope far from 1", "events off elsewhere", "sample size",
        "effects change with time", "wide bounds",
    }  # fmt: skip

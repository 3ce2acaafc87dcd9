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
    Group,
    Intervals,
    Judged,
    Later,
    SampleSize,
)  # fmt: skip
from model_cards.limitations import RULES, limitations, main_warnings

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
    assert "of 0.66 is optimistic: it falls to 0.59" in said(bad, "flattering concordance")[0]


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
    assert "some with several: they hold less" in said(awkward_card, "repeated records")[0]
    assert said(awkward_card, "horizon beyond follow-up")
    assert said(cox_card, "internal figures only")


def at(
    time: float,
    ratio: tuple[float, float | None, float | None] = (1.0, 0.9, 1.1),
    slope: tuple[float, float, float] | None = (1.0, 0.9, 1.1),
    **absolute: Any,
) -> AtHorizon:
    """Return figures at a horizon: observed over expected and slope with their intervals."""
    figure = Figure(0.6, 0.5, 0.7)
    return AtHorizon(
        time, figure, figure, Figure(*ratio), None if slope is None else Figure(*slope), **absolute
    )


def elsewhere(*horizons: AtHorizon) -> External:
    """Return a validation on other patients with these figures."""
    figure = Figure(0.6, 0.5, 0.7)
    return External("there", "there.csv", "ab", 80, 40, figure, horizons, (), ())


def judged(*horizons: AtHorizon, enough: bool) -> Judged:
    """Return an internal validation with these figures."""
    size = SampleSize(90, 59, 358, 234.7, enough)
    return Judged(0.6, 0.5, 0.7, "how", "which", Figure(1.0, 0.5, 1.2), horizons, size)


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        ((0.66, 0.25, 1.07), None),  # 1 lies in the interval
        ((0.45, -0.17, 1.06), None),
        ((0.59, 0.37, 0.80), "too far apart"),
        ((0.95, 0.92, 0.98), None),  # sure, and too small to matter
        ((1.40, 1.10, 1.70), "too close together"),
        ((2.58, 0.90, 4.26), None),
    ],
)
def test_a_slope_is_told_where_its_interval_excludes_one(
    cox_card: Card, slope: tuple[float, float, float], words: str | None
) -> None:
    """Here and elsewhere, and never without observed over expected beside it."""
    horizon = at(12.0, (0.80, 0.70, 0.91), slope)
    card = with_performance(
        cox_card, judged=judged(horizon, enough=True), external=(elsewhere(horizon),)
    )
    texts = said(card, "slope far from 1")
    assert len(texts) == (2 if words else 0)
    for text in texts:
        assert words
        assert words in text
        assert f"{slope[0]:.2f} (" in text
        assert "observed over expected is 0.80 (0.70 to 0.91)" in text
    assert said(card, "internal figures only") == []
    assert said(cox_card, "slope far from 1") == []


def test_the_surest_finding_is_named_and_not_the_largest_ratio(cox_card: Card) -> None:
    """0.47 rests on 3 events, 1.37 is sure; a slope is judged at each horizon as well."""
    external = elsewhere(
        at(6.0, (0.47, 0.16, 1.42), (0.2, -1.0, 1.4)),
        at(12.0, (0.40, 0.17, 0.95), (0.5, 0.1, 0.9)),
        at(36.0, (1.37, 1.18, 1.59), (0.7, 0.6, 0.8)),
    )
    card = with_performance(cox_card, external=(external,))
    (text,) = said(card, "events off elsewhere")
    assert "1.37 (1.18 to 1.59)" in text
    assert "36 months" in text
    (text,) = said(card, "slope far from 1")
    assert "at 36 months" in text
    assert "0.70 (0.60 to 0.80)" in text


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        ((0.79, 0.70, 0.89), True),
        ((0.79, 0.60, 1.04), False),
        ((0.95, 0.92, 0.98), False),
        ((1.26, 1.10, 1.44), True),
        ((0.50, None, None), False),
    ],
)
def test_events_off_elsewhere(
    cox_card: Card, ratio: tuple[float, float | None, float | None], told: bool
) -> None:
    """Told where the interval excludes 1 and the difference is of a tenth or more."""
    card = with_performance(cox_card, external=(elsewhere(at(12.0, ratio)),))
    texts = said(card, "events off elsewhere")
    assert bool(texts) is told
    assert all("there.csv" in text and "12 months" in text for text in texts)


def test_risks_elsewhere_are_told_as_such_and_by_group(cox_card: Card) -> None:
    """The figures of SurvivalPath: all risks were too high, and the lowest most of all."""
    low = Group(431, 0.70, Figure(0.42, 0.38, 0.48))
    high = Group(20, 0.98, Figure(0.67, 0.44, 0.87))
    horizon = at(
        24.0, (0.64, 0.60, 0.67), (0.59, 0.37, 0.80), expected=0.84,
        observed=Figure(0.54, 0.51, 0.56), lowest=low, highest=high,
    )  # fmt: skip
    card = with_performance(cox_card, external=(elsewhere(horizon),))
    (text,) = said(card, "events off elsewhere")
    assert "expected the event in 84 %, and it happened in 54 % (51 to 56)" in text
    assert (
        "Of the 431 patients with the lowest predicted risk, 70 % were expected to have the" in text
    )
    assert "event and 42 % (38 to 48) had it; of the 20 patients with the highest" in text
    assert "98 % were expected to have the event and 67 % (44 to 87) had it." in text
    (spread,) = said(card, "slope far from 1")
    assert "lowest" not in spread  # said in the line before
    short = main_warnings(limitations(card))
    assert "Its risks were too high on other patients." in short
    line = (
        "In the lowest-risk group of 80 other patients, 70 % were expected to have the event by 24"
    )
    assert f"{line} months; 42 % had it." in short


def test_a_refit_on_later_patients_is_not_taken_for_the_model(cox_card: Card) -> None:
    """What a refit predicted of later records is told apart, with how many records they are."""
    refit = judged(at(12.0, (0.5, 0.45, 0.55)), enough=True)
    later = Later("first year", 2016.0, 50, 40, 20, refit, rows=90)
    card = with_performance(
        cox_card, later=later, external=(elsewhere(at(36.0, (1.37, 1.18, 1.59))),)
    )
    first, _ = said(card, "events off elsewhere")
    assert first.startswith("Wrong level of risk on 90 records of 40 later patients (first year")
    assert (
        "A refit's risks were too high on later patients; its own were too low on other patients."
    ) in main_warnings(limitations(card))


@pytest.mark.parametrize(
    ("slope", "words_"), [((1.4, 1.1, 1.7), "little"), ((0.6, 0.4, 0.8), "much")]
)
def test_the_short_line_says_which_way_risks_differ(
    cox_card: Card, slope: tuple[float, float, float], words_: str
) -> None:
    """A slope above 1 is of risks that lie too close together."""
    own = judged(at(12.0, slope=slope), enough=True)
    card = with_performance(cox_card, judged=own, later=None, external=())
    line = f"On its own records its risks differ too {words_} from each other."
    assert line in main_warnings(replace(limitations(card), statement="x"))
    for words in ("too low", "extreme"):
        assert not any(words in item.text for item in limitations(card).limitations)


def test_too_small_a_sample(cox_card: Card) -> None:
    """What the criteria ask for stands beside what there was."""
    (text,) = said(with_performance(cox_card, judged=judged(enough=False)), "sample size")
    assert "358" in text
    assert "90" in text
    assert said(with_performance(cox_card, judged=judged(enough=True)), "sample size") == []


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


def test_a_competing_event_that_was_censored_is_named(cox_card: Card) -> None:
    """The card of an outcome that declares one said nothing of it."""
    card = limitations(cox_card, "death_without_progression")
    (text,) = said_of(card, "competing event censored")
    assert "(death without progression) was censored" in text
    assert "Aalen-Johansen" in text
    assert "It leaves a competing event out" in main_warnings(card)[0]
    assert not said_of(limitations(cox_card), "competing event censored")


def said_of(card: Card, rule: str) -> list[str]:
    """Return what a card that has its limitations says by a rule."""
    return [item.text for item in card.limitations if item.rule == rule]


def test_a_slope_before_shrinking_is_told_as_such(cox_card: Card) -> None:
    """Read as the shrunken model's it would be corrected twice."""
    assert isinstance(cox_card.model, CoxModel)
    own = judged(at(12.0, (0.9, 0.8, 1.1), (0.6, 0.5, 0.7)), enough=True)
    card = with_performance(cox_card, judged=own, external=())
    shrunken = replace(cox_card.model, no_errors="uniform shrinkage factor: none")
    (text,) = said(replace(card, model=shrunken), "slope far from 1")
    assert "before its coefficients were shrunken" in text
    (text,) = said(card, "slope far from 1")
    assert "shrunken" not in text


def test_every_rule_is_tried_here() -> None:
    """A new rule needs a test."""
    assert set(RULES) == {
        "reconstructed", "origin not stated", "internal figures only", "events per effect",
        "repeated records", "weak concordance", "flattering concordance", "out-of-bag coverage",
        "small level", "few at risk", "horizon beyond follow-up", "no interval", "thinned curve",
        "stability only", "slope far from 1", "events off elsewhere", "sample size",
        "effects change with time", "wide bounds",
    }  # fmt: skip

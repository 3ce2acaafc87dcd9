"""Limitations that follow from the numbers, each by a rule with a stated threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from model_cards.card import Card, CoxModel, Limitation
from model_cards.fitted import n_terms
from model_cards.formats import (
    count,
    duration,
    figure,
    joined,
    p_value,
    people,
    percent,
    quantity,
    ratio,
)  # fmt: skip

__all__ = [
    "EVENTS_PER_EFFECT", "EVENTS_PER_EFFECT_FOREST", "FEWEST_AT_RISK", "FEWEST_IN_LEVEL", "LOSS",
    "NOT_PROPORTIONAL", "RULES", "SLOPE_OFF", "TIMES_OFF", "WEAK_CONCORDANCE", "WIDEST",
    "limitations", "main_warnings",
]  # fmt: skip

EVENTS_PER_EFFECT = 10
"""Events per estimated effect below which a Cox model's effects are unstable. Source: Peduzzi et
al., J. Clin. Epidemiol. 48 (1995) 1503."""

EVENTS_PER_EFFECT_FOREST = 200
"""The same for a forest, which needs far more. Source: van der Ploeg et al., BMC Med. Res.
Methodol. 14 (2014) 137."""

FEWEST_IN_LEVEL = 10
FEWEST_AT_RISK = 10
WEAK_CONCORDANCE = 0.6
SLOPE_OFF = 0.15
"""Distance of a calibration slope from 1 that is told."""

TIMES_OFF = 1.25
"""How many times too many or too few events there may be on other patients."""

NOT_PROPORTIONAL = 0.05
WIDEST = 0.4
LOSS = 0.05
"""Concordance lost from in-sample to out-of-bag above which the in-sample figure misleads."""


def limitations(card: Card) -> Card:
    """Return the card with the limitations that its own numbers imply."""
    found = [Limitation(name, text) for name, rule in RULES.items() for text in rule(card)]
    return replace(card, limitations=tuple(found))


def main_warnings(card: Card) -> list[str]:
    """Return what the first page says of the limitations: a short line a rule, by their weight."""
    broken = dict.fromkeys(item.rule for item in card.limitations)
    short = [IN_SHORT[rule] for rule in broken]
    return [text if isinstance(text, str) else text(card) for text in short]


def _reconstructed(card: Card) -> Iterator[str]:
    if card.data.kind == "reconstructed":
        yield (
            "The training cohort was reconstructed to agree with summary figures: nobody's own "
            "data were used to fit the model."
        )
        # A forest carries no P value; of its stability band the next rule tells.
        if card.intervals.available and card.intervals.kind == "confidence":
            yield (
                "Intervals and P values take the reconstructed records for observed ones: other "
                "reconstructions, which agree as well with those figures, would give other numbers."
            )


def _origin(card: Card) -> Iterator[str]:
    if card.data.kind == "not stated":
        yield (
            "Where the training data come from was not stated, so nobody can judge whom they "
            "stand for."
        )


def _internal(card: Card) -> Iterator[str]:
    if not card.performance.external:
        yield (
            "All figures of performance come from the data the model was fitted on: it was tested "
            "on no other patients."
        )
    if card.performance.judged is None:
        yield "Nobody measured how well predicted and observed survival agree."


def _tested_in_short(card: Card) -> str:
    if not card.performance.external:
        return "It was not tested on other patients."
    return "Nobody measured how well its risks agree with what happened."


def _slope(card: Card) -> Iterator[str]:
    judged = card.performance.judged
    if judged and judged.slope and abs(judged.slope.value - 1) > SLOPE_OFF:
        yield (
            f"Predictions are too {_spread(judged.slope.value)}: the calibration slope, corrected "
            f"for being measured on the training data, is {figure(judged.slope)}; 1 would be right."
        )
    for found in card.performance.external:
        if found.slope and abs(found.slope.value - 1) > SLOPE_OFF:
            yield (
                f"On other patients ({found.cohort}) predictions were too "
                f"{_spread(found.slope.value)}: calibration slope {figure(found.slope)}; "
                "1 would be right."
            )


def _spread_in_short(card: Card) -> str:
    judged = (card.performance.judged, *card.performance.external)
    slopes = [found.slope.value for found in judged if found and found.slope]
    off = [slope for slope in slopes if abs(slope - 1) > SLOPE_OFF]
    if all(slope < 1 for slope in off):
        return "Its high risks are too high, and its low ones too low."
    if all(slope > 1 for slope in off):
        return "Its high risks are too low, and its low ones too high."
    return "How far its risks lie apart is not right."


def _spread(slope: float) -> str:
    """Return what a slope says of the predictions, in words for who knows no statistics."""
    if slope < 1:
        return "extreme (high risks too high, low ones too low)"
    return "moderate (high risks too low, low ones too high)"


def _off(card: Card) -> Iterator[str]:
    judged = [(f"other patients ({e.cohort})", e.horizons) for e in card.performance.external]
    if later := card.performance.later:
        whose = f"later patients ({later.column} from {later.since:g} on)"
        judged.insert(0, (whose, later.judged.horizons))
    for whom, horizons in judged:
        worst = max(horizons, key=lambda at: _times_off(at.observed_expected.value), default=None)
        if worst and _times_off(worst.observed_expected.value) > TIMES_OFF:
            when = duration(worst.time, card.question.time_unit)
            yield (
                f"On {whom} the number of events was not what the model expects: at {when} "
                f"observed over expected was {figure(worst.observed_expected)}."
            )


def _times_off(observed_expected: float) -> float:
    """Return how many times too many or too few events there were."""
    if observed_expected <= 0:
        return math.inf
    return max(observed_expected, 1 / observed_expected)


def _sample_size(card: Card) -> Iterator[str]:
    judged = card.performance.judged
    if judged and judged.sample_size and not judged.sample_size.enough:
        need = judged.sample_size
        yield (
            f"Too small: for this many effects, at the strength measured, the criteria of Riley et "
            f"al. ask for {count(need.needed_patients)} {people(card.data.kind)}s; there were "
            f"{count(need.patients)}."
        )


def _not_proportional(card: Card) -> Iterator[str]:
    if not isinstance(card.model, CoxModel):
        return
    labels = {p.label for p in card.predictors}  # not the test of all of them together
    changing = [t for t in card.model.proportional if t.label in labels and t.p < NOT_PROPORTIONAL]
    if changing:
        largest = max(t.p for t in changing)
        size = f"P {p_value(largest)}" if largest < 0.001 else f"largest P {p_value(largest)}"
        yield (
            f"Effects that change with time: {joined([t.label for t in changing])}. The tests "
            f"speak against the same effect at all times ({size}), which this model assumes; its "
            "hazard ratios are means over time."
        )


def _wide(card: Card) -> Iterator[str]:
    found = [
        e
        for profile in card.profiles
        for answer in profile.answers
        for e in answer.estimates
        if e.lower is not None and e.upper is not None
    ]
    wide = [e for e in found if (e.upper or 0) - (e.lower or 0) > WIDEST]
    if wide:
        yield (
            f"Wide bounds: {len(wide)} of the {len(found)} probabilities among the examples span "
            f"more than {percent(WIDEST).removesuffix(' %')} points."
        )


def _few_events(card: Card) -> Iterator[str]:
    model = card.model
    effects = len(model.terms) if isinstance(model, CoxModel) else n_terms(card.predictors)
    per_effect = card.data.events / effects
    least = EVENTS_PER_EFFECT_FOREST if _has_trees(card) else EVENTS_PER_EFFECT
    if per_effect < least:
        yield (
            f"Few events: {count(card.data.events)} for {effects} estimated effects are "
            f"{quantity(per_effect)} each; a {_model_word(card)} wants {least} or more. "
            "On another cohort of this size the model could look different."
        )


def _repeated(card: Card) -> Iterator[str]:
    if card.data.repeated:
        whose = "patients" if card.data.kind == "patients" else "names"
        yield (
            f"The {count(card.data.rows)} records are under {count(card.data.patients)} "
            f"{whose}, some of whom return: they tell less than as many independent ones, and "
            f"one event ({card.question.event}) may be counted in several of them."
        )


def _small_level(card: Card) -> Iterator[str]:
    whose = people(card.data.kind)
    who = people(card.data.kind, repeated=card.data.repeated)
    for p in card.predictors:
        for item in p.levels:
            if item.events is not None and item.events < FEWEST_IN_LEVEL:
                had, plural = item.patients or 0, "" if item.events == 1 else "s"
                yield (
                    f'{p.label} "{item.label}" rests on {count(item.events)} event{plural} '
                    f"among {count(had)} training {whose}{'' if had == 1 else 's'}: predictions "
                    "for it are little more than a guess."
                )
            elif item.events is None and item.rows < FEWEST_IN_LEVEL:
                plural = "" if item.rows == 1 else "s"
                yield (
                    f'{p.label} "{item.label}" rests on {count(item.rows)} training {who}{plural}: '
                    "predictions for it are little more than a guess."
                )


def _small_at_risk(card: Card) -> Iterator[str]:
    who = people(card.data.kind, repeated=card.data.repeated)
    for found in card.at_risk:
        if found.rows < FEWEST_AT_RISK:
            when = duration(found.time, card.question.time_unit)
            plural, verb = ("", "was") if found.rows == 1 else ("s", "were")
            yield (
                f"At {when} only {found.rows} training {who}{plural} {verb} still followed: read "
                "that figure with care."
            )


def _beyond(card: Card) -> Iterator[str]:
    q = card.question
    if q.beyond:
        times = joined([f"{t:g}" for t in q.beyond])
        longest = duration(q.follow_up_limit, q.time_unit)
        yield f"Nothing is predicted at {q.time_unit} {times}: the longest follow-up is {longest}."


def _weak(card: Card) -> Iterator[str]:
    found = card.performance.out_of_bag
    if found < WEAK_CONCORDANCE:
        yield (
            f"Weak discrimination: the out-of-bag concordance is {ratio(found)}, where 0.50 is "
            "chance. The model hardly tells who fares worse."
        )


def _flattering(card: Card) -> Iterator[str]:
    p = card.performance
    if p.in_sample - p.out_of_bag > LOSS:
        yield (
            f"The in-sample concordance of {ratio(p.in_sample)} flatters: it falls to "
            f"{ratio(p.out_of_bag)} where the model had not seen the {people(card.data.kind)}."
        )


def _unscored(card: Card) -> Iterator[str]:
    p = card.performance
    if p.out_of_bag_rows < card.data.rows:
        yield (
            f"The out-of-bag concordance covers {count(p.out_of_bag_rows)} of "
            f"{count(card.data.rows)} records; those left out were drawn every time."
        )
    if p.refits_failed:
        tried = p.refits_failed + (p.refits or 0)
        yield (
            f"{count(p.refits_failed)} of {count(tried)} refits failed on their resample: the "
            "cohort barely supports this model."
        )


def _unscored_in_short(card: Card) -> str:
    if card.performance.refits_failed:
        return "Some runs of its test failed: the records barely support it."
    return "Its test left some records out."


def _no_interval(card: Card) -> Iterator[str]:
    if not card.intervals.available:
        how = card.intervals.how
        yield f"Predictions carry no interval: {how}. How sure one is cannot be seen."


def _stability(card: Card) -> Iterator[str]:
    if card.intervals.available and card.intervals.kind != "confidence":
        yield (
            f"The bounds of predictions are a band of {card.intervals.kind}: they say how far the "
            "answer depends on who was in the training data, and not how far it is from the truth."
        )


def _thinned(card: Card) -> Iterator[str]:
    if card.grid == "thinned":
        yield (
            "The curve is kept at part of the event times; between them it is that of the time "
            "before."
        )


def _model_word(card: Card) -> str:
    if card.identity.kind == "pipeline":
        return "model of trees" if _has_trees(card) else "linear model"
    return "forest" if card.identity.kind == "forest" else "Cox model"


def _has_trees(card: Card) -> bool:
    return not isinstance(card.model, CoxModel) and card.model.trees is not None


SLOPE = "slope far from 1"

RULES: dict[str, Callable[[Card], Iterator[str]]] = {
    "reconstructed": _reconstructed,
    "origin not stated": _origin,
    "internal figures only": _internal,
    SLOPE: _slope,
    "events off elsewhere": _off,
    "sample size": _sample_size,
    "effects change with time": _not_proportional,
    "events per effect": _few_events,
    "repeated records": _repeated,
    "weak concordance": _weak,
    "flattering concordance": _flattering,
    "out-of-bag coverage": _unscored,
    "small level": _small_level,
    "few at risk": _small_at_risk,
    "horizon beyond follow-up": _beyond,
    "no interval": _no_interval,
    "wide bounds": _wide,
    "stability only": _stability,
    "thinned curve": _thinned,
}
"""Every rule by name, in the order of the card; a rule yields a sentence for each breach."""

IN_SHORT: dict[str, str | Callable[[Card], str]] = {
    "reconstructed": "No patient's data were used: the records were made to fit published figures.",
    "origin not stated": "Nobody said where its records come from.",
    "internal figures only": _tested_in_short,
    SLOPE: _spread_in_short,
    "events off elsewhere": "On other patients the number of events was not what it expects.",
    "sample size": "It learnt from too few records.",
    "effects change with time": "It takes effects as constant in time; the data speak against it.",
    "events per effect": "It learnt from few events: on other records it could look different.",
    "repeated records": "Some patients are in the records more than once.",
    "weak concordance": "It hardly tells who fares worse.",
    "flattering concordance": "It looks better on the records it learnt from than on others.",
    "out-of-bag coverage": _unscored_in_short,
    "small level": "Some groups were too small to learn from: their answers are guesses.",
    "few at risk": "At the last times few were still followed.",
    "horizon beyond follow-up": "It says nothing about times beyond its follow-up.",
    "no interval": "It does not say how sure it is.",
    "wide bounds": "Many of its answers are very unsure.",
    "stability only": "Its bands do not say how far it is from the truth.",
    "thinned curve": "Between the times that it keeps, its answers are those of the time before.",
}
"""Every rule in plain words, without a number: what the first page has room for."""

"""Limitations that follow from the numbers, each by a rule with a stated threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from model_cards.miscalibration import (
    Tested,
    groups_in_words,
    level_in_words,
    off_in_level,
    off_in_spread,
    tested,
)

__all__ = [
    "EVENTS_PER_EFFECT", "EVENTS_PER_EFFECT_FOREST", "FEWEST_AT_RISK", "FEWEST_IN_LEVEL", "LOSS",
    "NOT_PROPORTIONAL", "RULES", "WEAK_CONCORDANCE", "WIDEST", "limitations", "main_warnings",
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
NOT_PROPORTIONAL = 0.05
WIDEST = 0.4
LOSS = 0.05
"""Concordance lost from in-sample to out-of-bag above which the in-sample figure misleads."""

COMPETING = "competing event censored"
CENSORED = (
    "The competing event ({}) was censored, so that survival here is of the event in a world "
    "without it: the risks are too high where it is common. The internal validation compares them "
    "with 1 - Kaplan-Meier, which censors it too, an external one with Aalen-Johansen's cumulative "
    "incidence, which does not."
)
IN_SHORT_COMPETING = "It leaves a competing event out: its risks are too high where that is common."


def limitations(card: Card, competing: str = "") -> Card:
    """Return the card with the limitations that its numbers, or a competing event, imply."""
    told = [Limitation(name, text) for name, rule in RULES.items() for text in rule(card)]
    if competing:
        told.insert(0, Limitation(COMPETING, CENSORED.format(competing.replace("_", " "))))
    return replace(card, limitations=tuple(told))


def main_warnings(card: Card) -> list[str]:
    """Return a short line for each rule that is broken, those of most weight first.

    For the first page, which has said above them that a cohort was reconstructed.
    """
    broken = dict.fromkeys(item.rule for item in card.limitations)
    if card.statement:
        broken.pop("reconstructed", None)
    short = [IN_SHORT_COMPETING if rule == COMPETING else IN_SHORT[rule] for rule in broken]
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
            "The source of the training data was not stated, so nobody can judge whom "
            "they represent."
        )


def _internal(card: Card) -> Iterator[str]:
    if not card.performance.external:
        yield (
            "All figures of performance come from the data the model was fitted on: it was tested "
            "on no other patients."
        )
    if card.performance.judged is None:
        yield "Agreement of predicted with observed survival was not measured."


def _tested_in_short(card: Card) -> str:
    if not card.performance.external:
        return "It was not tested on other patients."
    return "Whether its risks agree with what happened was not measured."


def _slope(card: Card) -> Iterator[str]:
    for one in (*tested(card), *_on_its_own(card)):
        at = off_in_spread(one.horizons)
        if at is None or at.slope is None:
            continue
        # A slope below 1 is of risks that differ more than what happened.
        apart = "too far apart" if at.slope.value < 1 else "too close together"
        text = (
            f"Predicted risks lie {apart} on {one.whom}: at "
            f"{duration(at.time, card.question.time_unit)} the calibration slope is "
            f"{figure(at.slope)}, where 1 would be right; observed over expected is "
            f"{figure(at.observed_expected)}."
        )
        # The rule before this one has told what happened to the groups at its own horizon.
        groups = "" if at is off_in_level(one.horizons) else groups_in_words(at, one.row)
        yield f"{text} {groups}".strip()


def _on_its_own(card: Card) -> Iterator[Tested]:
    """Yield the validation on the training data, if there is one."""
    if judged := card.performance.judged:
        row = people(card.data.kind, repeated=card.data.repeated)
        own = f"its own {row}s"
        whom = f"{own} (corrected)"
        if isinstance(card.model, CoxModel) and "shrinkage factor" in card.model.no_errors:
            whom += ", before its coefficients were shrunken for that"
        yield Tested(whom, own, own, row, judged.horizons)


def _slope_in_short(card: Card) -> str:
    """Return what a slope on unseen patients means at lowest risk, else which way risks are off."""
    for one in tested(card):
        at = off_in_spread(one.horizons)
        if at and at.lowest and at.lowest.observed:
            return (
                f"In the lowest-risk group of {one.brief}, {percent(at.lowest.predicted)} were "
                f"expected to have the event by {duration(at.time, card.question.time_unit)}; "
                f"{percent(at.lowest.observed.value)} had it."
            )
    for one in (*tested(card), *_on_its_own(card)):
        at = off_in_spread(one.horizons)
        if at and at.slope:
            size = "much" if at.slope.value < 1 else "little"
            return f"On {one.short} its risks differ too {size} from each other."
    return "Its risks do not differ as much as what happened."


def _off(card: Card) -> Iterator[str]:
    for one in tested(card):
        if at := off_in_level(one.horizons):
            level = level_in_words(at, card.question.time_unit)
            text = f"Wrong level of risk on {one.whom}: {level}. {groups_in_words(at, one.row)}"
            yield text.strip()


def _off_in_short(card: Card) -> str:
    """Return whether risks were too high or too low, a refit's and the model's own apart."""
    refits = [one for one in tested(card) if one.refit]
    tests = [one for one in tested(card) if not one.refit]
    parts = []
    if off := _levels_off(refits):
        parts.append(f"a refit's risks were {off[0]} on later patients")
    if off := _levels_off(tests):
        whose = "its own" if parts else "its risks"
        counts = " and ".join(f"{level} in {off.count(level)}" for level in dict.fromkeys(off))
        where = (
            f"{off[0]} on other patients"
            if len(tests) == 1
            else f"{counts} of {len(tests)} tests on other patients"
        )
        parts.append(f"{whose} were {where}")
    return f"{'; '.join(parts)}.".capitalize()


def _levels_off(tests: Sequence[Tested]) -> list[str]:
    """Return "too high" or "too low" for each test whose level of risk is off."""
    off = [at for one in tests if (at := off_in_level(one.horizons))]
    return sorted("too high" if at.observed_expected.value < 1 else "too low" for at in off)


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
    estimates = [
        e
        for profile in card.profiles
        for answer in profile.answers
        for e in answer.estimates
        if e.lower is not None and e.upper is not None
    ]
    wide = [e for e in estimates if (e.upper or 0) - (e.lower or 0) > WIDEST]
    if wide:
        yield (
            f"Wide bounds: {len(wide)} of the {len(estimates)} probabilities among the examples "
            f"{'spans' if len(wide) == 1 else 'span'} more than "
            f"{percent(WIDEST).removesuffix(' %')} points."
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
        whose = "patients" if card.data.kind == "patients" else "identifiers"
        yield (
            f"The {count(card.data.rows)} records are of {count(card.data.patients)} {whose}, some "
            "with several: they hold less information than as many independent ones, and one event "
            f"({card.question.event}) may count in several of them."
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
            "chance. The model barely separates those who fare worse from those who fare better."
        )


def _flattering(card: Card) -> Iterator[str]:
    p = card.performance
    if p.in_sample - p.out_of_bag > LOSS:
        yield (
            f"The in-sample concordance of {ratio(p.in_sample)} is optimistic: it falls to "
            f"{ratio(p.out_of_bag)} on {people(card.data.kind)}s that the model had not seen."
        )


def _unscored(card: Card) -> Iterator[str]:
    p = card.performance
    if p.out_of_bag_rows < card.data.rows:
        yield (
            f"The out-of-bag concordance covers {count(p.out_of_bag_rows)} of "
            f"{count(card.data.rows)} records; the others were in every resample."
        )
    if p.refits_failed:
        tried = p.refits_failed + (p.refits or 0)
        yield (
            f"{count(p.refits_failed)} of {count(tried)} refits failed on their resample: the "
            "cohort barely supports this model."
        )


def _unscored_in_short(card: Card) -> str:
    if card.performance.refits_failed:
        return "Some refits of its test failed: the records barely support it."
    return "Its test left some records out."


def _no_interval(card: Card) -> Iterator[str]:
    if not card.intervals.available:
        how = card.intervals.how
        yield f"Predictions have no interval, so their uncertainty is not known: {how}."


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


OFF = "events off elsewhere"
SLOPE = "slope far from 1"

RULES: dict[str, Callable[[Card], Iterator[str]]] = {
    "reconstructed": _reconstructed,
    "origin not stated": _origin,
    "internal figures only": _internal,
    OFF: _off,
    SLOPE: _slope,
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
    "origin not stated": "The source of its training data was not stated.",
    "internal figures only": _tested_in_short,
    OFF: _off_in_short,
    SLOPE: _slope_in_short,
    "sample size": "It was fitted on too few records.",
    "effects change with time": "It takes effects as constant over time; in the data they change.",
    "events per effect": "It was fitted on few events: other records could give another model.",
    "repeated records": "Some patients are in the records more than once.",
    "weak concordance": "It barely separates those who fare worse from those who fare better.",
    "flattering concordance": "It does better on the records it was fitted on than on others.",
    "out-of-bag coverage": _unscored_in_short,
    "small level": "Some groups were very small: predictions for them are guesses.",
    "few at risk": "At the last times few were still under follow-up.",
    "horizon beyond follow-up": "It predicts nothing beyond its follow-up.",
    "no interval": "Its uncertainty is not known.",
    "wide bounds": "Some of its estimates have very wide intervals.",
    "stability only": "Its bands do not say how far its estimates may be from the truth.",
    "thinned curve": "Between the times that it keeps, it gives the survival of the time before.",
}
"""Every rule in plain words, at the length that the first page has room for."""

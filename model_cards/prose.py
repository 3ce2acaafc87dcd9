"""Sentences that several formats of the card need, made from its numbers, as plain text."""

from __future__ import annotations

from model_cards.card import Card, PipelineModel
from model_cards.formats import cohort_size, count, duration, figure, joined, ratio, sentence

__all__ = [
    "development_data", "inputs", "internal_validity", "known_limits", "model_type", "outputs",
    "summary", "title",
]  # fmt: skip


def title(card: Card) -> str:
    """Return the name of the model as people say it."""
    return f"{card.question.outcome}: {card.question.title}"


def model_type(card: Card) -> str:
    """Return what kind of model it is."""
    if isinstance(card.model, PipelineModel):
        return f"Pipeline with {card.model.estimator}"
    if card.identity.kind == "forest":
        return "Random survival forest"
    return "Cox proportional hazards model"


def outputs(card: Card) -> str:
    """Return what the model gives."""
    q = card.question
    times = joined([f"{t:g}" for t in q.horizons])
    bounds = (
        f"each with bounds ({card.intervals.how})"
        if card.intervals.available
        else f"without bounds ({card.intervals.how})"
    )
    return (
        f"For one patient, the probability of being free of the event ({q.event}) at {q.time_unit} "
        f"{times} after {q.time_origin}, {bounds}; the median time; a risk score and one of "
        f"{len(card.risk_groups.groups)} risk groups. These are predictions, not recommendations."
    )


def inputs(card: Card) -> str:
    """Return what the model asks."""
    asked = [
        f"{p.label} ({', '.join(item.label for item in p.levels)})"
        if p.levels
        else f"{p.label} ({p.unit}, {p.range[0]:g} to {p.range[1]:g})"
        if p.range
        else p.label
        for p in card.predictors
    ]
    return "; ".join(asked) + ". Every predictor is required."


def summary(card: Card) -> str:
    """Return what the model predicts, for whom and from what data."""
    warned = f"{sentence(card.statement)} " if card.statement else ""
    return (
        f"{warned}{model_type(card)} of {card.question.outcome.lower()}. "
        f"For: {sentence(card.question.population)} {outputs(card)} {development_data(card)}"
    )


def development_data(card: Card) -> str:
    """Return what the model was fitted on."""
    d, unit = card.data, card.question.time_unit
    kind = {
        "patients": "data of individual patients",
        "reconstructed": "records made to agree with summary figures, nobody's own data",
    }.get(d.kind, "data whose kind was not stated")
    return (
        f"Fitted on {cohort_size(d)}, {count(d.events)} with the event: {kind}. Source: "
        f"{sentence(d.source)} Follow-up {duration(d.shortest, unit)} to "
        f"{duration(d.longest, unit)}."
    )


def internal_validity(card: Card) -> str:
    """Return how well the model orders those it was fitted on, seen and unseen."""
    p = card.performance
    judged = (
        f"Harrell's concordance, corrected for being judged on its own training data: "
        f"{figure(p.judged)}. "
        f"{sentence(p.judged.how)} {sentence(p.judged.interval)} "
        if p.judged
        else ""
    )
    return (
        f"{judged}Harrell's concordance {ratio(p.out_of_bag)} out of bag ({p.out_of_bag_how}), "
        f"{ratio(p.in_sample)} on the very records it was fitted on; 0.50 is chance, 1.00 a "
        f"perfect order."
    )


def known_limits(card: Card) -> tuple[str, ...]:
    """Return the limitations by rule, then those of the data, then the stated risks."""
    found = tuple(item.text for item in card.limitations)
    return (*found, *map(sentence, card.data.limits), *card.statements.risk.risks)

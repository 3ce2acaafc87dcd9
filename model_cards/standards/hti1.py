"""The 31 source attributes of a predictive decision support intervention.

Source: ONC, Health Data, Technology, and Interoperability (HTI-1), 45 CFR 170.315(b)(11)(iv)(B).
The numbers and the headings in our words follow the order of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_cards import prose
from model_cards.card import Card

__all__ = ["SourceAttribute", "source_attributes"]


@dataclass(frozen=True)
class SourceAttribute:
    """One attribute: its answer in words, and the section of the card that says more."""

    number: int
    attribute: str
    answer: str
    section: str


def source_attributes(card: Card) -> tuple[SourceAttribute, ...]:
    """Return the 31 attributes, in the rule's order, each answered."""
    s = card.statements
    steps = "; ".join(f"left out, {e.rule}: {e.rows}" for e in card.data.excluded)
    flow = f"{card.data.read} read; {steps or 'none left out'}; {card.data.analysed} analysed."
    rows = [
        ("Developer and contact", f"{s.developer.name}. {s.developer.contact}.", "statements"),
        ("Funding", s.developer.funding, "statements"),
        ("Value produced as output", prose.outputs(card), "summary"),
        ("Type of output: prediction", f"Prediction, by a {prose.model_type(card)}.", "model"),
        ("Intended use", s.use.intended, "statements"),
        ("Intended patient population", card.question.population, "purpose"),
        ("Intended users", s.use.users, "statements"),
        ("Role in the decision", s.use.role, "statements"),
        ("Out-of-scope use", " ".join(s.use.out_of_scope), "statements"),
        ("Known risks and limitations", " ".join(prose.known_limits(card)), "limitations"),
        ("Inclusion and exclusion criteria", f"{s.methods.eligibility} {flow}", "data"),
        ("Use of sensitive variables", s.fairness.sensitive_variables, "predictors"),
        ("Demographic representativeness", s.fairness.representativeness, "statements"),
        ("Relevance to the deployed setting", s.fairness.relevance, "statements"),
        ("Approach to fairness", s.fairness.approach, "statements"),
        ("Bias reduction", s.fairness.bias_reduction, "statements"),
        ("External validation: data source", s.validation.external_source, "statements"),
        ("External validation: tester", s.validation.external_tester, "statements"),
        (
            "External validation: representativeness",
            s.validation.external_representativeness,
            "statements",
        ),
        ("External validation: process", s.validation.external_process, "statements"),
        ("Validity in internal test data", prose.internal_validity(card), "performance"),
        ("Fairness in internal test data", s.fairness.internal, "statements"),
        ("Validity in external data", s.validation.external_validity, "statements"),
        ("Fairness in external data", s.fairness.external, "statements"),
        ("Evaluations of outcomes of use", s.validation.outcome_evaluations, "statements"),
        ("Monitoring of validity over time", s.maintenance.validity, "statements"),
        ("Validity in local data", s.validation.local, "statements"),
        ("Monitoring of fairness over time", s.maintenance.fairness, "statements"),
        ("Fairness in local data", s.validation.local_fairness, "statements"),
        ("Process and frequency of updates", s.maintenance.updates, "statements"),
        ("Process for correcting faults", s.maintenance.faults, "statements"),
    ]
    return tuple(SourceAttribute(i, *row) for i, row in enumerate(rows, start=1))

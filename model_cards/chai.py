"""The card as a CHAI Applied Model Card, version 0.2 (XML).

Source: Coalition for Health AI, https://mc.chai.org/v0.2/schema.xsd. The order of the elements is
the schema's. A list becomes one paragraph, since the schema has plain text there.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from model_cards import prose
from model_cards.as_json import rounded
from model_cards.card import Card
from model_cards.completeness import blanks
from model_cards.errors import CardError

__all__ = ["NAMESPACE", "render_chai"]

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"

Tree = dict[str, "str | Tree | list[Tree]"]
"""Elements by name: text, children, or a repeated element's children."""


def render_chai(card: Card) -> str:
    """Return the card as XML, valid against the schema.

    Raises
    ------
    CardError
        If a field of the card holds nothing; every one is listed.
    """
    if found := blanks(card):
        raise CardError(found, card.identity.id or "card")
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}AppliedModelCard")
    _grow(root, _content(card))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _content(card: Card) -> Tree:
    s, q = card.statements, card.question
    return {
        "BasicInfo": {
            "ModelName": f"{prose.title(card)} ({card.identity.id})",
            "ModelDeveloper": s.developer.name,
            "DeveloperContact": s.developer.contact,
        },
        "ReleaseInfo": {
            "ReleaseStage": f"{s.release.stage}; review: {card.identity.review}",
            "ReleaseDate": card.identity.created[:10],
            "ReleaseVersion": card.identity.digest,
            "GlobalAvailability": s.release.availability,
            "RegulatoryApproval": s.release.regulatory,
        },
        "ModelSummary": {
            "Summary": prose.summary(card),
            "Keywords": {"Keyword": [{"": word} for word in s.release.keywords]},
        },
        "UsesAndDirections": {
            "IntendedUseAndWorkflow": f"{s.use.intended} {s.use.role}",
            "PrimaryIntendedUsers": s.use.users,
            "HowToUse": f"{s.use.how} {s.use.input_quality} {s.use.expertise}",
            "TargetedPatientPopulation": q.population,
            "CautionedOutOfScopeSettings": " ".join(s.use.out_of_scope),
        },
        "Warnings": {
            "KnownRisksAndLimitations": " ".join(prose.known_limits(card)),
            "KnownBiasesOrEthicalConsiderations": s.ethics.considerations,
            "ClinicalRiskLevel": s.risk.level,
        },
        "TrustIngredients": {
            "AISystemFacts": {
                "OutcomesAndOutputs": prose.outputs(card),
                "ModelType": prose.model_type(card),
                "FoundationModels": "None.",
                "InputDataSource": f"{prose.inputs(card)} {s.methods.predictors_assessed}",
                "OutputAndInputDataTypes": (
                    "In: categories and numbers of one patient, as JSON, a table or a call of "
                    "the library. Out: probabilities, a time, a score and a group."
                ),
                "DevelopmentDataCharacterization": (
                    f"{prose.development_data(card)} {s.methods.setting} {s.methods.eligibility} "
                    f"{s.fairness.representativeness}"
                ),
                "BiasMitigationApproaches": f"{s.fairness.approach} {s.fairness.bias_reduction}",
                "OngoingMaintenance": (
                    f"{s.maintenance.validity} {s.maintenance.updates} {s.maintenance.faults}"
                ),
                "Security": s.maintenance.security,
                "Transparency": f"{s.open_science.code} {s.open_science.data}",
            },
            "TransparencyInformation": {
                "FundingSource": f"{s.developer.funding} {s.developer.conflicts}",
                "ThirdPartyInformation": s.developer.third_parties,
                "StakeholdersConsulted": s.developer.stakeholders,
            },
        },
        "KeyMetrics": {
            "UsefulnessUsabilityEfficacy": _usefulness(card),
            "FairnessEquity": _fairness(card),
            "SafetyReliability": _safety(card),
        },
        "Resources": {
            "EvaluationReferences": s.validation.external_validity,
            "ClinicalTrial": s.open_science.registration,
            "PeerReviewedPublications": s.open_science.publications,
            "PatientConsentOrDisclosure": f"{s.ethics.approval} {s.ethics.consent}",
        },
        "Bibliography": q.source or card.data.source,
    }


def _usefulness(card: Card) -> Tree:
    p = card.performance
    judged = p.judged
    results = [
        *(
            [
                _result(
                    "Harrell's concordance, corrected, and its interval",
                    [
                        number
                        for number in (judged.value, judged.lower, judged.upper)
                        if number is not None
                    ],
                )
            ]
            if judged
            else []
        ),
        _result("Harrell's concordance, out of bag", p.out_of_bag),
        _result("Harrell's concordance, in-sample", p.in_sample),
        *(
            _result(
                f"Harrell's concordance on other patients ({found.cohort}), and its interval",
                [
                    number
                    for number in (
                        found.concordance.value,
                        found.concordance.lower,
                        found.concordance.upper,
                    )
                    if number is not None
                ],
            )
            for found in p.external
        ),
    ]
    return _metric(
        "To give the higher risk to the one of two who has the event first.",
        results,
        prose.internal_validity(card),
        "Internal, by resampling",
        prose.development_data(card),
        f"{p.out_of_bag_how}; {card.statements.validation.external_process}",
    )


def _fairness(card: Card) -> Tree:
    shares = [
        _result(f"Share of the training data: {p.label} {item.label}", item.share)
        for p in card.predictors
        for item in p.levels
    ]
    s = card.statements
    return _metric(
        "To know whom the training data hold, and how groups fare.",
        shares or [_result("Training records", card.data.rows)],
        s.fairness.internal,
        "Description of the training data",
        s.fairness.representativeness,
        s.fairness.approach,
    )


def _safety(card: Card) -> Tree:
    return _metric(
        "To say how far each answer can be relied on, and to answer only where there are data.",
        [
            *(
                _result(f"Training records followed at {found.time:g}", found.rows)
                for found in card.at_risk
            ),
            _result("Limitations found by rule", [item.rule for item in card.limitations]),
        ],
        " ".join(item.text for item in card.limitations),
        "Rules on the numbers of the model",
        prose.development_data(card),
        card.intervals.how,
    )


def _metric(
    goal: str, results: list[Tree], meaning: str, test: str, data: str, process: str
) -> Tree:
    return {
        "MetricGoal": goal,
        "Results": {"MetricResult": results},
        "Interpretation": meaning,
        "TestType": test,
        "TestingDataDescription": data,
        "ValidationProcessAndJustification": process,
    }


def _result(label: str, value: float | list[str] | list[float]) -> Tree:
    # Ten digits: the last bits of a figure may differ between machines.
    shown = rounded(value)
    return {"Label": label, "ValueJson": json.dumps(shown, ensure_ascii=False, allow_nan=False)}


def _grow(parent: ET.Element, content: Tree) -> None:
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            child = ET.SubElement(parent, f"{{{NAMESPACE}}}{name}")
            if isinstance(item, dict) and "" in item:
                item = str(item[""])
            if isinstance(item, str):
                # XML 1.0 cannot hold control characters, not even as references.
                child.text = " ".join("".join(c if c.isprintable() else " " for c in item).split())
            else:
                _grow(child, item)

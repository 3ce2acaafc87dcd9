"""The CHAI card against the schema that its authors published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree

from model_cards import Card, card_of
from model_cards.chai import NAMESPACE, render_chai
from riskscore.bundle import shipped_bundles

STANDARDS = Path(__file__).parents[3] / "shared" / "standards"
SIGNATURE = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' targetNamespace="http://www.w3.org/2000/09/xmldsig#">'
    '<xs:element name="Signature"/></xs:schema>'
)
"""Stands for the schema of XML signatures, which is imported by address; our cards have none."""


class _Offline(etree.Resolver):
    def resolve(self, url, public_id, context):  # type: ignore[no-untyped-def]
        return self.resolve_string(SIGNATURE, context) if "xmldsig" in url else None


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """Return the schema, v0.2; skip where it is absent."""
    path = STANDARDS / "chai-applied-model-card-v0.2.xsd"
    if not path.is_file():
        pytest.skip(f"the schema is not part of the project and not at {STANDARDS.name}/")
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Offline())
    return etree.XMLSchema(etree.fromstring(path.read_bytes(), parser))


@pytest.mark.parametrize("model", sorted(shipped_bundles()))
def test_every_shipped_card_is_valid(schema: etree.XMLSchema, model: str) -> None:
    """Elements, their order and their types are the schema's, and none is empty."""
    root = etree.fromstring(render_chai(card_of(model)).encode())
    schema.assertValid(root)
    assert [e.tag for e in root.iter() if len(e) == 0 and not (e.text or "").strip()] == []


def test_hostile_names_stay_valid(schema: etree.XMLSchema, awkward_card: Card) -> None:
    """Tags and line breaks in levels are text."""
    root = etree.fromstring(render_chai(awkward_card).encode())
    schema.assertValid(root)
    asked = root.find(f".//{{{NAMESPACE}}}InputDataSource")
    assert asked is not None
    assert "<script>|" in asked.text


def test_the_schema_would_refuse_a_card_with_a_part_left_out(
    schema: etree.XMLSchema, cox_card: Card
) -> None:
    """The check has teeth: without its warnings the card is not valid."""
    root = etree.fromstring(render_chai(cox_card).encode())
    root.remove(root.find(f"{{{NAMESPACE}}}Warnings"))
    assert not schema.validate(root)


def test_results_are_json_and_the_cards_own(cox_card: Card) -> None:
    """A metric's value reads back as the number that was measured."""
    root = etree.fromstring(render_chai(cox_card).encode())
    found = {
        r.findtext(f"{{{NAMESPACE}}}Label"): json.loads(r.findtext(f"{{{NAMESPACE}}}ValueJson"))
        for r in root.iter(f"{{{NAMESPACE}}}MetricResult")
    }
    value = found["Harrell's concordance, out of bag"]
    assert value == pytest.approx(cox_card.performance.out_of_bag, rel=1e-9)  # ten digits kept

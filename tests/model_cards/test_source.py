"""What the card says of a reconstruction's source: contradictions, other cohorts, the misprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_cards.card import Card
from model_cards.errors import CardError
from model_cards.filling import card_of
from model_cards.render import render_markdown
from riskscore import load_model
from riskscore.bundle import open_bundle
from tests.model_cards.conftest import stated
from tests.riskscore.test_sensitivity import of_four, with_table


@pytest.fixture(scope="module")
def shipped() -> Card:
    """Return the card of the shipped Cox model."""
    return card_of("deb-tace-hcc/os/cox")


def test_findings_of_one_meaning_stand_in_one_row(shipped: Card) -> None:
    """Every impossible and every inconsistent finding is counted once; remarks only in sum."""
    audit = shipped.audit
    assert audit is not None
    findings = open_bundle("deb-tace-hcc/os/cox").read("audit.json")["findings"]
    grave = [f for f in findings if f["severity"] != "remark"]
    assert sum(c.findings for c in audit.contradictions) == len(grave)
    assert (audit.impossible, audit.inconsistent) == (10, 44)
    assert len(audit.contradictions) == len({(f["severity"], f["meaning"]) for f in grave})
    text = render_markdown(shipped)
    assert "| impossible | 4 | The coefficient and the hazard ratio" in text


def test_examples_stand_above_their_range_over_the_draws(shipped: Card) -> None:
    """The numbers are those of `predict`, and no word takes the range for an interval."""
    patient = dict(shipped.profiles[0].answers[0].inputs)
    found = load_model("deb-tace-hcc/os/cox").predict(patient, times=[6])
    low, high = found.sensitivity_lower.loc[0, 6.0], found.sensitivity_upper.loc[0, 6.0]
    text = render_markdown(shipped)
    assert f"| over 50 cohorts | {100 * low:.0f} to {100 * high:.0f} % |" in text
    assert "This sensitivity envelope is not an interval: it has no coverage" in text


def test_the_misprint_is_shown_for_every_profile(shipped: Card) -> None:
    """Sixteen rows at 12 months: the fitted model is the hazard ratios' column."""
    assert shipped.draws is not None
    columns = shipped.draws.columns
    assert columns is not None
    assert (columns.time, len(columns.rows)) == (12.0, 16)
    patients = [
        {
            p.name: next(item.level for item in p.levels if item.label == trait)
            for p, trait in zip(shipped.predictors, row.traits, strict=True)
        }
        for row in columns.rows
    ]
    survival = load_model("deb-tace-hcc/os/cox").answer(patients, [12]).survival[:, 0]
    # 0.0005: hazard ratios within half a unit of their third decimal move survival no further.
    assert [row.hazard_ratio for row in columns.rows] == pytest.approx(survival, abs=0.0005)
    gained = [b.coefficient - a.coefficient for a, b in zip(columns.rows[::2], columns.rows[1::2],
              strict=True)]  # fmt: skip
    assert min(gained) > 0.25


def test_a_model_of_its_own_data_has_no_such_section(cox_card: Card) -> None:
    """Nothing is said of audits and draws where the bundle carries none."""
    text = render_markdown(cox_card)
    assert "Where the knowledge comes from" not in text
    assert "over 50 cohorts" not in text


def test_a_table_without_its_columns_is_a_card_without_them(
    cox_bundle: Path, tmp_path: Path
) -> None:
    """The misprint is one study's; draws are any reconstruction's."""
    table = of_four() | {"events": {"least": 50.0, "median": 55.0, "most": 60.0}}
    card = card_of(stated(with_table(cox_bundle, tmp_path / "b", table)))
    assert card.draws is not None
    assert card.draws.columns is None
    assert "3 others were searched for, with 50 to 60 events" in render_markdown(card)


def test_a_table_that_lacks_a_fact_makes_no_card(cox_bundle: Path, tmp_path: Path) -> None:
    """The blank is named with its path."""
    bundle = with_table(cox_bundle, tmp_path / "b", of_four())
    with pytest.raises(CardError, match=r"sensitivity\.events is missing"):
        card_of(bundle)

"""Where a model comes from and how it does later and elsewhere stands on its card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from model_cards import CardError, card_of
from model_cards.card import Card
from model_cards.html import render_html
from model_cards.render import render_markdown
from model_cards.rendering import RENDERERS
from model_cards.statements import STATEMENTS
from riskscore.bundle import open_bundle
from riskscore.model import load_model
from riskscore.study import load_study
from riskscore.validation import attach, validate
from riskscore.validation.cohort import check_validation_cohort
from tests.conftest import PATIENT, simulate
from tests.model_cards.conftest import damaged, stated
from training.cohort import check_cohort
from training.provenance import Provenance
from training.updating import update


@pytest.mark.parametrize("method", ["baseline", "slope"])
def test_an_updated_model_names_its_parent_and_why_it_has_no_errors(
    method: str, cox: Path, tmp_path: Path
) -> None:
    """Parent, digest and what was changed; nothing of a penalty that was never there."""
    provenance = Provenance("patients", "simulated", "none", "Simulated.", ("simulated",))
    cohort = check_cohort(
        simulate(200, 9), load_study("deb-tace-hcc"), "os", list(PATIENT),
        provenance=provenance, name="here.csv", sha256="ab" * 32,
    )  # fmt: skip
    found = update(open_bundle(cox), cohort, method).fitted
    assert found is not None
    found.write(tmp_path / "updated")
    stated(tmp_path / "updated")
    card = card_of(tmp_path / "updated")
    for render in RENDERERS.values():
        assert render(card)
    text = render_markdown(card)
    parent = load_model(cox)
    assert f"| Updated from | {parent.manifest.id}, digest {parent.digest} |" in text
    assert "| What was changed | " in text
    assert "the coefficients are the parent model's" in text
    assert "penalty leaves" not in text
    assert "shrunken on purpose" not in text


def test_subgroups_elsewhere_stand_with_their_intervals(cox: Path, tmp_path: Path) -> None:
    """Each level is a row; what rests on fewer than ten events says so."""
    bundle = damaged(cox, tmp_path)
    model = load_model(bundle)
    frame = simulate(60, 4)
    cohort = check_validation_cohort(frame, model.manifest, name="there.csv", sha256="ab" * 32)
    found = validate(model, cohort, replicates=20)
    attach(model, found, "there")
    text = render_markdown(card_of(bundle))
    assert len(found.subgroups) >= 4
    for group in found.subgroups:
        events = f"{group.events}{' (too few)' if group.few else ''}"
        (row,) = (
            line
            for line in text.splitlines()
            if line.startswith(f"| {group.label}: ") and f"| {group.rows} | {events} |" in line
        )
        assert group.concordance is not None
        c = group.concordance
        assert f"| {c.value:.2f} ({c.lower:.2f} to {c.upper:.2f}) |" in row


def test_a_test_elsewhere_is_not_denied_beside_its_figures(cox: Path, tmp_path: Path) -> None:
    """Statements that were true before somebody tested the model are refused, each by name."""
    bundle = damaged(cox, tmp_path)
    own = bundle / STATEMENTS
    text = own.read_text(encoding="utf-8")
    denials = {
        "validation.external_source": "None: the model was tested on no other data.",
        "validation.external_tester": "Nobody.",
        "fairness.external": "Not assessed: there was no test on other data.",
    }
    for field, denial in denials.items():
        section, key = field.split(".")
        head, mark, tail = text.partition(f"[{section}]")
        tail = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{denial}"', tail, count=1)
        text = head + mark + tail
    own.write_text(text, encoding="utf-8")
    assert "tested on no other data" in render_markdown(card_of(bundle))
    model = load_model(bundle)
    cohort = check_validation_cohort(
        simulate(60, 4), model.manifest, name="there.csv", sha256="ab" * 32
    )
    attach(model, validate(model, cohort, replicates=0), "there")
    with pytest.raises(CardError) as caught:
        card_of(bundle)
    assert {problem.field for problem in caught.value.problems} == set(denials)
    assert "the bundle holds one in external/" in str(caught.value)


def test_later_patients_are_told_apart_from_others(cox: Path, tmp_path: Path) -> None:
    """The temporal validation of `evaluation.json`, and the rule on events that are off."""
    figure = {"value": 0.6, "lower": 0.5, "upper": 0.7}
    horizon = {"horizon": 6.0, "auc": figure, "ipa": figure, "slope": figure}
    later: dict[str, Any] = {
        "how": "fitted before, judged after",
        "interval": "over the patients judged",
        "concordance": figure,
        "horizons": [horizon | {"observed_expected": {"value": 0.5, "lower": 0.4, "upper": 0.6}}],
        "split": {
            "column": "first_year", "value": 2016.0, "fitted_patients": 50,
            "judged_patients": 40, "judged_events": 20,
        },
    }  # fmt: skip

    def add(evaluation: dict[str, Any]) -> None:
        evaluation["temporal"] = later

    text = render_markdown(card_of(damaged(cox, tmp_path, evaluation=add)))
    assert "fitted on the 50 patients whose first year is before 2016" in text
    assert "judged on the 40 from then on: concordance 0.60 (0.50 to 0.70)" in text
    assert "| 6 months | 0.50 (0.40 to 0.60) | none |" in text  # it was over the whole follow-up
    later["calibration_follow_up"] = "administratively censored at each horizon"
    text = render_markdown(card_of(damaged(cox, tmp_path, evaluation=add)))
    assert "| 6 months | 0.50 (0.40 to 0.60) | 0.60 (0.50 to 0.70) |" in text
    assert "on 40 later patients (first year from 2016 on), when fitted on the 50 earlier" in text
    assert "of 100 events expected by 6 months, 50 happened (observed over expected 0.50" in text
    assert "**Worst result.**" not in text  # the ratio alone is no risk
    horizon |= {
        "expected": 0.4,
        "observed": {"value": 0.2, "lower": 0.15, "upper": 0.3},
        "groups": [
            {"n": 20, "predicted": 0.3, "observed": {"value": 0.1, "lower": 0.05, "upper": 0.2}},
            {"n": 20, "predicted": 0.5, "observed": {"value": 0.3, "lower": 0.2, "upper": 0.4}},
        ],
    }  # fmt: skip
    later["horizons"][0] |= horizon
    text = render_markdown(card_of(damaged(cox, tmp_path, evaluation=add)))
    assert "expected the event in **40 %** by 6 months; it happened in **20 % (15 to 30)**" in text
    assert "Of the 20 patients with the lowest predicted risk, 30 % were expected" in text
    del later["split"]["judged_patients"]
    with pytest.raises(Exception, match=r"evaluation\.temporal\.split\.judged_patients is missing"):
        card_of(damaged(cox, tmp_path, evaluation=add))


def test_the_nomogram_stands_with_the_equation(cox_card: Card, forest_card: Card) -> None:
    """Of a Cox model, every predictor and horizon; a forest has no points to add."""
    section = render_html(cox_card).split('<section id="model">')[1].split("</section>")[0]
    picture = section.split('<figure class="nomogram">')[1]
    for predictor in cox_card.predictors:
        assert predictor.label.split()[0] in picture
    for horizon in cox_card.question.horizons:
        assert f"at month {horizon:g}, %" in picture
    assert "Total points" in picture
    assert "nomogram" not in render_html(forest_card).split("</style>")[1]

"""What a card says, against numbers computed another way from the bundle and the cohort."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_cards import Card, CardError, card_of, render_markdown
from model_cards.card import CoxModel, ForestModel
from riskscore import load_model
from riskscore.bundle import shipped_bundles
from riskscore.text import in_100
from tests.model_cards.conftest import awkward_frame, damaged, read


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Return the cells of every table row in a section."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def cox_of(card: Card) -> CoxModel:
    """Return the card's Cox model."""
    assert isinstance(card.model, CoxModel)
    return card.model


def test_hazard_ratios_are_those_of_the_inference(cox: Path, cox_card: Card) -> None:
    """A category's row shows ratio, interval and P of its coefficient, at two or three digits."""
    table = rows_of(render_markdown(cox_card), "The model in full")
    for c in read(cox, "inference")["coefficients"]:
        p = "&lt; 0.001" if c["p"] < 0.001 else f"{c['p']:.3f}"
        interval = f"{c['lower']:.2f} to {c['upper']:.2f}"
        assert any(row[2:] == [f"{c['hazard_ratio']:.2f}", interval, p] for row in table)


def test_a_number_is_compared_between_its_quartiles(
    awkward_bundle: Path, awkward_card: Card
) -> None:
    """The ratio and its bounds are those of the coefficient over the middle half in training."""
    inference, frame = read(awkward_bundle, "inference"), awkward_frame()
    found = {c.label: c for c in cox_of(awkward_card).contrasts}
    for name, term, shape in (("Size", "size", float), ("Marker", "log(marker)", math.log)):
        low, high = np.quantile(frame[name.lower()], [0.25, 0.75])
        c = next(c for c in inference["coefficients"] if c["term"] == term)
        step = shape(high) - shape(low)
        for value, sign in (
            (found[name].hazard_ratio, 0.0),
            (found[name].lower, -1.959964),
            (found[name].upper, 1.959964),
        ):
            # The quantile of the normal above is rounded to 7 digits.
            assert value == pytest.approx(math.exp(step * (c["coef"] + sign * c["se"])), rel=1e-6)


def test_the_equation_redone_by_hand_gives_the_model_s_survival(
    awkward_bundle: Path, awkward_card: Card
) -> None:
    """The printed, rounded numbers are enough to predict for a new patient."""
    table = rows_of(render_markdown(awkward_card), "The model in full")
    table = table[table.index(["Term", "Coefficient", "Standard error", "At baseline"]) :]
    terms = [row for row in table if len(row) == 4 and re.fullmatch(r"-?[\d.e+-]+", row[1])]
    baseline = next(row for row in table if row[0] == "Baseline survival")
    printed = [[float(cell) for cell in row[1:]] for row in terms]
    values = [1, 0, 0, 7.5, math.log(33.0)]  # second level; size 7.5; marker 33
    score = sum(
        coef * (value - mean) for value, (coef, _, mean) in zip(values, printed, strict=True)
    )
    patient = {"stage": "<script>|", "size": 7.5, "marker": 33.0}
    survival = load_model(awkward_bundle).predict(patient, times=[1, 90]).survival.loc[0]
    for cell, expected in zip(baseline[1:], survival, strict=True):
        # Five significant digits of six coefficients.
        assert float(cell) ** math.exp(score) == pytest.approx(expected, abs=2e-4)


def test_examples_are_what_load_model_answers(cox: Path, cox_card: Card) -> None:
    """Each row is the served model's answer for that patient, in whole per cent."""
    table = rows_of(render_markdown(cox_card), "What it answers: examples")
    model = load_model(cox)
    reference = {p.name: p.levels[0] for p in model.manifest.predictors}
    labels = {"deb_tace": "DEB-TACE", "deb_tace_sorafenib": "DEB-TACE with sorafenib"}
    for level, label in labels.items():
        p = model.predict({**reference, "treatment": level})
        row = next(row for row in table if row[0] == label)
        for cell, s, low, high in zip(
            row[1:5], p.survival.loc[0], p.lower.loc[0], p.upper.loc[0], strict=True
        ):
            assert cell == f"{100 * s:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
        assert row[5] == f"{p.median[0]:.3g} months"
        assert row[6] == p.risk_group[0]


def test_a_number_stands_at_its_training_median(
    forest_card: Card, cohort_frame: pd.DataFrame
) -> None:
    """The example's age is the cohort's median."""
    inputs = dict(forest_card.profiles[0].answers[0].inputs)
    assert inputs["age"] == cohort_frame["age"].median()
    assert "Age: " in render_markdown(forest_card)


def test_a_second_example_has_the_commonest_levels(awkward_card: Card) -> None:
    """Where the reference is not the commonest level, both are shown."""
    first, second = awkward_card.profiles
    assert dict(first.answers[0].inputs)["stage"] == "<=3"
    assert dict(second.answers[0].inputs)["stage"] == "<script>|"


def test_numbers_at_risk_are_the_cohort_s_own_count(
    cox_card: Card, awkward_card: Card, cohort_frame: pd.DataFrame
) -> None:
    """The counts are those of the rows whose time is the horizon or later."""
    visits = awkward_frame()["days"]
    for card, times in ((cox_card, cohort_frame["os_months"]), (awkward_card, visits)):
        for found in card.at_risk:
            assert found.rows == (times >= found.time).sum()


def test_a_horizon_beyond_the_follow_up_is_left_out_and_said(awkward_card: Card) -> None:
    """Nothing is predicted at day 5000, and the card says why."""
    assert [e.time for e in awkward_card.profiles[0].answers[0].estimates] == [1, 90]
    text = render_markdown(awkward_card)
    assert "Nothing is predicted at day 5000: the longest follow-up is" in text
    assert "| 1 day | 90 days |" in text


def test_concordance_is_explained_in_pairs(cox: Path, cox_card: Card) -> None:
    """Right, wrong and the same risk stand apart; both concordances stand with their names."""
    c = read(cox, "evaluation")["concordance"]
    text = " ".join(render_markdown(cox_card).split())
    right, wrong, same = in_100([c["pairs"]["out_of_bag"][k] for k in ("right", "wrong", "same")])
    assert same > 0
    told = f"in **{right}**, to the other in **{wrong}**, and the same risk to both in **{same}**"
    assert text.count(told) == 2  # on the first page, and where its figures are explained
    assert f"the out-of-bag concordance, {c['out_of_bag']:.2f};" in text
    assert f"it is {c['in_sample']:.2f} (in-sample concordance)" in text
    assert "of 100 pairs**" not in text


def test_a_bundle_that_counts_no_pairs_is_not_said_to_be_right(cox: Path, tmp_path: Path) -> None:
    """A bundle of before has the concordance alone: it is said to count equal risks as half."""

    def forget(evaluation: dict[str, Any]) -> None:
        del evaluation["concordance"]["pairs"]

    text = render_markdown(card_of(damaged(cox, tmp_path, evaluation=forget)))
    assert "of 100 pairs**, equal risks counted as half; guessing gives 50" in text
    assert "| not counted |" in text
    assert "equal risks counted as half, is the concordance" in text


@pytest.mark.parametrize("shares", [(0.5, 0.4, 0.2), (-0.1, 0.9, 0.2), (0.0, 0.0, 0.0)])
def test_pairs_that_do_not_add_up_are_refused(
    shares: tuple[float, ...], cox: Path, tmp_path: Path
) -> None:
    """Shares of pairs are of all pairs."""

    def change(evaluation: dict[str, Any]) -> None:
        kinds = ("right", "wrong", "same")
        evaluation["concordance"]["pairs"]["out_of_bag"] = dict(zip(kinds, shares, strict=True))

    with pytest.raises(CardError, match=r"pairs\.out_of_bag must be shares that add up to 1"):
        card_of(damaged(cox, tmp_path, evaluation=change))


def test_a_forest_shows_its_size_importance_and_lack_of_intervals(
    forest: Path, forest_card: Card
) -> None:
    """Importance is sorted, and the reason for having no interval is the manifest's."""
    text, inference = render_markdown(forest_card), read(forest, "inference")
    assert isinstance(forest_card.model, ForestModel)
    lost = [item.concordance_lost for item in forest_card.model.importance]
    assert lost == sorted((i["concordance_lost"] for i in inference["importance"]), reverse=True)
    assert f"{inference['trees']} trees with {inference['leaves']:,} leaves in all" in text
    reason = read(forest, "manifest")["intervals"]["reason"]
    assert f"predictions carry no interval ({reason})" in text
    assert " to " not in "".join(rows_of(text, "What it answers: examples")[2][1:5])


def test_prevalence_and_flow_are_the_cohort_s(awkward_card: Card) -> None:
    """Level counts, exclusions and changes stand as they were counted."""
    frame, text = awkward_frame(), render_markdown(awkward_card)
    n = int((frame["stage"] == "<=3").sum())
    level = frame[frame["stage"] == "<=3"]
    whom, died = level["patient"].nunique(), level[level["death"] == 1]["patient"].nunique()
    share = f"{n} ({100 * n / len(frame):.0f} %)"
    assert f"| &lt;=3 | {share} | {whom} | {died} | reference |" in text
    assert "| Left out: no &lt;visit&gt; | 20 |" in text
    assert "| Changed or noted: size &#124; rounded | 4 |" in text
    patients = frame["patient"].nunique()
    events, whom = frame["death"].sum(), frame[frame["death"] == 1]["patient"].nunique()
    had = f"{events} of them (of {whom} patients) with the event"
    assert f"240 records of {patients} patients, {had}." in text


def test_identity_names_digest_and_every_hash(cox: Path, cox_card: Card) -> None:
    """The digest is the loaded model's."""
    text = render_markdown(cox_card)
    assert f"| Digest | {load_model(cox).digest} |" in text
    for name, sha in read(cox, "manifest")["files"].items():
        assert f"| SHA-256 of {name} | {sha} |" in text


SEEN = (
    r"\d patients|training patients|patients that|patients? it was fitted|[Ee]ach patient scored|"
    r"drew the patient|Patients? in training|individual patients"
)


@pytest.mark.parametrize("name", ["cox_card", "forest_card"])
def test_a_reconstructed_cohort_is_never_called_patients(
    name: str, request: pytest.FixtureRequest
) -> None:
    """No wording suggests that patient data were seen."""
    text = render_markdown(request.getfixturevalue(name))
    assert re.findall(SEEN, text) == []
    assert "90 reconstructed records" in text
    assert "They were made to agree with published figures." in text


def test_real_patients_are_called_patients(awkward_card: Card) -> None:
    """The same words do appear where patients were seen, so that the test above can fail."""
    assert re.findall(SEEN, render_markdown(awkward_card))


def test_the_statement_is_the_first_thing_said(cox_card: Card, awkward_card: Card) -> None:
    """A warning stands under the title; without a statement there is no empty one."""
    lines = render_markdown(cox_card).splitlines()
    assert lines[0].startswith("# Overall survival: ")
    assert lines[2] == "> **Warning.** For method review, not for care."
    assert "**Warning.**" not in render_markdown(awkward_card)


def test_the_snippet_runs_on_the_bundle(awkward_bundle: Path, awkward_card: Card) -> None:
    """What a reader copies works as printed, hostile level names included."""
    code = render_markdown(awkward_card).split("```python\n")[1].split("```")[0]
    scope: dict[str, object] = {}
    exec(code.replace("./bundle", str(awkward_bundle)), scope)
    assert scope["prediction"].survival.shape == (1, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", [*shipped_bundles()])
def test_every_shipped_model_has_a_whole_card(model: str) -> None:
    """A shipped model is named by its id, in the card as on the command line."""
    card = card_of(model)
    text = render_markdown(card)
    assert f'load_model("{model}")' in text
    assert "**Warning.**" in text
    # Three parts alone speak of patients: the audit's table, of those whom the source counted, the
    # validations, of others, and what a limitation says of these by group.
    text = re.sub(
        r"(?<=[Oo]f the )[\d,]+ patients(?= with the (low|high)est predicted risk)", "", text
    )
    text = re.sub(r"^### On other patients.*?(?=^<a|^## )", "", text, flags=re.M | re.S)
    text = re.sub(r"^\*\*On other patients.*$", "", text, flags=re.M)
    ours = [s for s in text.splitlines() if not s.startswith(("| impossible", "| inconsistent"))]
    if card.data.kind == "reconstructed":
        assert re.findall(SEEN, "\n".join(ours)) == []


def test_the_same_bundle_gives_the_same_card(cox: Path, cox_card: Card) -> None:
    """Nothing in a card depends on when or where it is written."""
    assert render_markdown(card_of(cox)) == render_markdown(cox_card)
    assert str(cox) not in render_markdown(cox_card)

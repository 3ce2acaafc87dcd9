"""A reader with the printed card and a calculator gets the model's own answers."""

from __future__ import annotations

import copy
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

from model_cards import card_of
from model_cards.render import render_markdown
from riskscore import load_model
from riskscore.design import spline_basis
from riskscore.study import Study
from tests.model_cards.conftest import AWKWARD, awkward_frame, stated
from training.cohort import check_cohort
from training.fit import Settings, fit
from training.provenance import Flow, Provenance

MODELS = ("deb-tace-hcc/os/cox", "deb-tace-hcc/pfs/cox", "deb-tace-hcc/ttp/cox")

CLOSE = 5e-5
"""What five printed digits can move a probability by; a card prints whole per cent."""


def printed(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading row, with character references read."""
    lines = text.split(heading, 1)[1].splitlines()[2:]
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [[re.sub(r"&#(\d+);", lambda m: chr(int(m[1])), c).replace("&gt;", ">") for c in row]
            for row in cells]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_the_printed_equation_gives_every_profile(model: str) -> None:
    """Subtract, multiply, add, raise: from nothing but the numbers on the card."""
    text = render_markdown(card_of(model))
    terms = printed(text, "| Term | Coefficient | Standard error | At baseline |")
    (baseline,) = re.findall(r"^\| Baseline survival \|(.*)\|$", text, re.M)
    survivals = [float(cell) for cell in baseline.split("|")]
    loaded = load_model(model)
    study = loaded.manifest.study
    names = [p.name for p in loaded.manifest.predictors]
    levels = [study.predictors[name].levels for name in names]
    tried, largest = 0, 0.0
    for chosen in itertools.product(*levels):
        patient = dict(zip(names, chosen, strict=True))
        total = 0.0
        for term, coef, _, at_baseline in terms:
            name, level = term.rstrip("]").split("[")
            total += float(coef) * (float(patient[name] == level) - float(at_baseline))
        by_hand = [survival ** math.exp(total) for survival in survivals]
        answer = loaded.predict([patient], times=list(loaded.manifest.outcome.horizons))
        for ours, found in zip(by_hand, answer.survival.to_numpy()[0], strict=True):
            largest = max(largest, abs(ours - float(found)))
            tried += 1
    assert tried == math.prod(map(len, levels)) * len(survivals)
    assert largest < CLOSE


@pytest.mark.parametrize("model", [*MODELS, "hcc-tace/os/cox"])
def test_the_steps_on_the_card_are_right(model: str) -> None:
    """Each printed product follows from its row, and the end is what the model answers."""
    card = card_of(model)
    assert card.worked is not None
    rows = printed(
        render_markdown(card), "| Term | Value | less at baseline | times coefficient | Product |"
    )
    for row in rows:
        value, at_baseline, coef, product = map(float, row[1:])
        assert product == pytest.approx(coef * (value - at_baseline), rel=1e-3, abs=1e-5)
    answer = load_model(model).predict(
        [dict(card.profiles[0].answers[-1].inputs)], times=[t for t, _ in card.worked.survival]
    )
    for (_, ours), found in zip(card.worked.survival, answer.survival.to_numpy()[0], strict=True):
        assert ours == pytest.approx(float(found), abs=CLOSE)


@pytest.fixture(scope="module")
def curved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Cox bundle of simulated patients whose size is a spline of four knots."""
    declared = copy.deepcopy(AWKWARD)
    declared["predictors"]["size"] |= {"form": "spline", "knots": 4}  # type: ignore[index]
    cohort = check_cohort(
        awkward_frame(),
        Study.from_dict(declared),
        "os",
        flow=Flow(260, [("no <visit>", 20)], []),
        provenance=Provenance("patients", "a register", "MIT", "", ("One centre.",)),
        name="visits.csv",
        sha256="cd" * 32,
    )
    path = tmp_path_factory.mktemp("curved") / "bundle"
    fit(cohort, "cox", Settings(n_jobs=1)).write(path)
    return stated(path)


def test_a_spline_is_worked_by_hand_too(curved: Path) -> None:
    """The parts follow from the printed knots, as R's rcs has them, and the end is the model's."""
    card = card_of(curved)
    assert card.worked is not None
    text = render_markdown(card)
    forms = {line.split("|")[2].strip(): line.split("|")[-2].strip() for line in text.splitlines()
             if line.startswith(("| Size |", "| Marker |")) and line.count("|") == 8}  # fmt: skip
    assert forms == {"size": "curve (restricted cubic spline)", "marker": "logarithm"}
    rows = printed(text, "| Term | Value | less at baseline | times coefficient | Product |")
    (told,) = re.findall(r"The knots \(size: ([\d., ]+)\)", text)
    values = {term: float(value) for term, value, *_ in rows if term.startswith("size")}
    assert list(values) == ["size", "size'", "size''"]
    # design.spline_basis is held to R's rms::rcs by the tests of fits; five digits are printed.
    basis = spline_basis(np.array([values["size"]]), [float(knot) for knot in told.split(",")])
    assert list(values.values()) == pytest.approx(basis[0].tolist(), rel=1e-4)
    for _, value, at_baseline, coef, product in rows:
        by_hand = float(coef) * (float(value) - float(at_baseline))
        assert float(product) == pytest.approx(by_hand, rel=1e-3, abs=1e-4)
    answer = load_model(curved).predict(
        [dict(card.profiles[0].answers[-1].inputs)], times=[t for t, _ in card.worked.survival]
    )
    for (_, ours), found in zip(card.worked.survival, answer.survival.to_numpy()[0], strict=True):
        assert ours == pytest.approx(float(found), abs=CLOSE)

"""Notes: what the training data cannot carry is said with every prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from riskscore import load_model
from riskscore.envelope import Envelope, envelope_of
from riskscore.study import load_study

STUDY = load_study("deb-tace-hcc")
TWO = (STUDY.predictors["tumor_number"], STUDY.predictors["treatment"])


def test_few_patients_with_the_same_levels_are_a_note() -> None:
    """Five are enough; four, one and none are told by their number."""
    rows = [[0, 0]] * 5 + [[0, 1]] * 4 + [[1, 0]]
    found = Envelope(envelope_of(np.array(rows, float), TWO), TWO)
    asked = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    enough, four, one, none = found.notes(asked)
    assert enough == ()
    assert four == (
        "few such patients in the training data: 4 training patients had these levels together",
    )
    assert "1 training patient had" in one[0]
    assert none == ("no such patient in the training data: nobody had these levels together",)


def test_a_patient_with_many_rows_is_one_patient() -> None:
    """Nine visits of two patients are two patients, and a changed level counts for both."""
    X = np.array([[0, 0]] * 8 + [[0, 1]], float)
    groups = np.array([1, 1, 1, 1, 1, 2, 2, 2, 2])
    content = envelope_of(X, TWO, groups)
    assert content["combinations"] == [[0, 0], [0, 1]]
    assert content["patients"] == [2, 1]


def test_a_bundle_that_does_not_count_tells_only_of_nobody() -> None:
    """An earlier version kept which combinations occurred, not how often."""
    content = {"ranges": {}, "combinations": [[0, 0]]}
    found = Envelope(content, TWO)
    known, unknown = found.notes(np.array([[0, 0], [1, 1]], float))
    assert known == ()
    assert "nobody" in unknown[0]


def test_times_that_few_reached_are_a_note(cox_bundle: Path, patient: dict[str, str]) -> None:
    """The number is recounted from the curve's own numbers at risk; early times have no note."""
    model = load_model(cox_bundle)
    m = model.manifest
    last = m.times[-1]
    assert m.at_risk[-1] < 10
    assert "followed" not in model.predict(patient, [m.times[0]]).notes[0]
    late = model.predict(patient, [last]).notes[0]
    n = m.at_risk[-1]
    word = "patient was" if n == 1 else "patients were"
    assert f"only {n} training {word} still followed" in late
    between = model.predict(patient, [(last + m.follow_up_limit) / 2]).notes[0]
    assert f"only at most {n} training" in between


def test_rows_of_patients_seen_often_are_called_rows(cox_bundle: Path, tmp_path: Path) -> None:
    """Numbers at risk count rows; only where each patient has one are they patients."""
    from riskscore.manifest import Manifest
    from riskscore.notes import Notes

    shutil.copytree(cox_bundle, tmp_path / "b")
    content = json.loads((tmp_path / "b" / "manifest.json").read_text())
    content["training"]["rows"] += 1
    manifest = Manifest.from_dict(content, "b")
    last = np.array([manifest.times[-1]])
    (notes,) = Notes(manifest).of(np.zeros((1, 4)), last, np.array([np.nan]))
    assert "training row" in notes[-1]


@pytest.mark.parametrize("model", ["os/cox", "os/forest"])
def test_the_last_horizon_of_the_shipped_models_is_noted(
    model: str, patient: dict[str, str]
) -> None:
    """Nine are followed at 24 months."""
    notes = load_model(f"deb-tace-hcc/{model}").predict(patient).notes[0]
    assert "at month 24 only 9 training patients were still followed" in notes
    assert "month 18" not in notes

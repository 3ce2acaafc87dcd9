"""The review beside a bundle: what it says, of which bundle, and what came after it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from riskscore import load_model
from riskscore.bundle import Bundle, open_bundle
from riskscore.cli import main
from riskscore.errors import BundleError
from riskscore.review import REVIEW, review_of

TEXT = """status = "{status}"
reviewer_role = "Hepatologist"
date = 2026-11-23
decision = "For the tumour board."
conditions = ["Look again after a year."]
digest = "{digest}"
"""


@pytest.fixture
def bundle(cox_bundle: Path, tmp_path: Path) -> Bundle:
    """Return a bundle that may be reviewed."""
    return open_bundle(shutil.copytree(cox_bundle, tmp_path / "copy"))


def _write(bundle: Bundle, status: str = "approved", digest: str = "") -> None:
    text = TEXT.format(status=status, digest=digest or bundle.manifest.digest)
    (bundle.path / REVIEW).write_text(text)


def test_no_file_is_a_draft(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has reviewed it: a draft, of a demonstration as the cohort is reconstructed."""
    review = review_of(bundle)
    assert (review.status, review.is_approved) == ("draft", False)
    assert main(["show", str(bundle.path)]) == 0
    told = capsys.readouterr().out
    assert "Review: draft: demonstration (nobody has reviewed it)" in told


@pytest.mark.parametrize("status", ["draft", "approved", "rejected", "retired"])
def test_a_file_says_what_was_decided(bundle: Bundle, status: str) -> None:
    """Each status is read; only an approval approves; conditions are kept."""
    _write(bundle, status)
    review = review_of(bundle)
    assert (review.status, review.is_approved) == (status, status == "approved")
    assert review.to_dict()["conditions"] == ["Look again after a year."]
    assert review.label.startswith(
        "draft: demonstration, 2026-11-23, by " if status == "draft" else f"{status} on 2026-11-23"
    )
    assert review.decision in review.label


def test_another_bundles_review_is_void(bundle: Bundle) -> None:
    """An approval of another digest approves nothing, and names what it was of."""
    other = f"sha256:{'0' * 64}"
    _write(bundle, digest=other)
    review = review_of(bundle)
    assert (review.status, review.is_approved) == ("void", False)
    assert review.label == f"draft: demonstration (the review was of another version, {other})"


def test_a_later_validation_is_named_and_voids_nothing(bundle: Bundle) -> None:
    """A validation dated after the review, or without a date, is named beside the approval."""
    _write(bundle)
    (bundle.path / "external").mkdir()
    for name, day in (("a", "2026-11-23T23:00:00+00:00"), ("b", "2026-11-24T01:00:00+00:00")):
        (bundle.path / "external" / f"{name}.json").write_text(json.dumps({"created": day}))
    (bundle.path / "external" / "c.json").write_text("{")
    review = review_of(bundle)
    assert review.is_approved
    assert review.added_later == ("b.json", "c.json")
    assert review.label.endswith("added after the review: b.json, c.json")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("approved", "fine", "status must be draft or approved"),
        ("2026-11-23", '"soon"', "date must be a day"),
        ('["Look again after a year."]', '"none"', "conditions must be a list of texts"),
        ("decision", "decided", "lacks decision"),
        ("decision =", "decision", "must be TOML"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(
    bundle: Bundle, old: str, new: str, rule: str
) -> None:
    """It might hide a rejection."""
    _write(bundle)
    path = bundle.path / REVIEW
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BundleError, match=rule):
        review_of(bundle)


def test_a_file_that_cannot_be_read_is_refused(bundle: Bundle) -> None:
    """Bytes that are no text, and a folder of the name."""
    path = bundle.path / REVIEW
    path.write_bytes(b"\xff")
    with pytest.raises(BundleError, match="not UTF-8 text"):
        review_of(bundle)
    path.unlink()
    path.mkdir()
    with pytest.raises(BundleError, match="review.toml must be a regular file, it is a directory"):
        review_of(bundle)


def test_a_prediction_carries_the_status(bundle: Bundle) -> None:
    """As it stood when the model was loaded, beside the model's id and digest."""
    _write(bundle)
    model = load_model(bundle.path)
    _write(bundle, "retired")
    patient = {p.name: p.levels[0] for p in model.manifest.predictors}
    prediction = model.predict(patient)
    assert prediction.review.status == "approved"
    assert prediction.to_frame().attrs == {
        "model": model.manifest.id,
        "digest": model.digest,
        "review_status": "approved",
    }
    assert load_model(bundle.path).review.status == "retired"

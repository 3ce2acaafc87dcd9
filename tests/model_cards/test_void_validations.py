"""A validation of another version of a model is never shown as this one's, and never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_cards import card_of, render_markdown
from riskscore import load_model
from riskscore.bundle import open_bundle, shipped_bundles
from riskscore.cli import main
from riskscore.errors import InputError
from riskscore.review import review_of
from riskscore.validation import attach, validate
from riskscore.validation.cohort import check_validation_cohort
from tests.conftest import simulate
from tests.model_cards.conftest import damaged


@pytest.fixture
def refitted(tmp_path: Path) -> Path:
    """Return a shipped bundle with its validations, as if fitted again with another result."""
    bundle = Path(shutil.copytree(shipped_bundles()["deb-tace-hcc/os/cox"], tmp_path / "same"))
    (tmp_path / "again").mkdir()
    return damaged(
        bundle,
        tmp_path / "again",
        evaluation=lambda content: content["concordance"].update(out_of_bag=0.6),
    )


def test_a_card_names_them_and_shows_none_of_their_figures(refitted: Path) -> None:
    """The card was refused until somebody removed the file."""
    names = sorted(file.name for file in (refitted / "external").glob("*.json"))
    assert names
    card = card_of(refitted)
    assert card.performance.external == ()
    assert card.performance.void == tuple(f"external/{name}" for name in names)
    text = render_markdown(card)
    assert "Beside the model lie validations of another version of it" in text
    assert "It was not tested on other patients." in text
    assert "### On other patients" not in text


def test_show_tells_them_apart(refitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the shipped bundle they are its own."""
    assert main(["show", str(refitted)]) == 0
    out = capsys.readouterr().out
    assert "Of another version of this model, so not counted: external/" in out
    assert "Validations on other patients" not in out
    assert main(["show", "deb-tace-hcc/os/cox"]) == 0
    out = capsys.readouterr().out
    assert "Validations on other patients: external/" in out
    assert "Of another version" not in out


def test_none_is_named_as_added_after_a_review(refitted: Path) -> None:
    """It was not added: it was left over."""
    digest = open_bundle(refitted).manifest.digest
    (refitted / "review.toml").write_text(
        'status = "approved"\nreviewer_role = "board"\ndate = "2020-01-01"\ndecision = "use it"\n'
        f'digest = "{digest}"\n'
    )
    assert review_of(open_bundle(refitted)).added_later == ()


def test_its_name_is_taken_still(refitted: Path) -> None:
    """Nobody's work is overwritten; the message says of what it was."""
    model = load_model(refitted)
    name = next((refitted / "external").glob("*.json")).stem
    cohort = check_validation_cohort(simulate(150, 3), model.manifest, name="others.csv")
    found = validate(model, cohort, replicates=0)
    with pytest.raises(InputError, match=r"must not be taken.*judges what the model was before"):
        attach(model, found, name)

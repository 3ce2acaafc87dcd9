"""What only people know: layers of files, and everything that stands for no answer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import model_cards.__main__ as cli
from model_cards import CardError, card_of
from model_cards.statements import DEFAULT, STATEMENTS, read_statements, rows, template
from riskscore.bundle import shipped_bundles
from riskscore.errors import Problem


@pytest.fixture
def bundle(cox: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle, with its statements, that a test may edit."""
    return Path(shutil.copytree(cox, tmp_path / "bundle"))


def edit(bundle: Path, pattern: str, text: str) -> None:
    """Replace what matches once in the bundle's statements."""
    path = bundle / STATEMENTS
    new, count = re.subn(pattern, text, path.read_text(encoding="utf-8"), count=1, flags=re.M)
    assert count == 1
    path.write_text(new, encoding="utf-8")


@pytest.mark.parametrize("model", sorted(shipped_bundles()))
def test_every_shipped_model_has_its_statements(model: str) -> None:
    """None is blank."""
    said = dict(rows(card_of(model).statements))
    assert all(text.strip() for pairs in said.values() for _, text in pairs)


def test_a_template_that_nobody_answered_makes_no_card(
    awkward_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`new` asks, `render` lists every question still open at once and writes nothing."""
    bundle = Path(shutil.copytree(awkward_bundle, tmp_path / "bundle"))
    (bundle / STATEMENTS).unlink()
    assert cli.main(["render", str(bundle)]) == 2
    assert "statements.toml does not exist; write a template by" in capsys.readouterr().err
    assert cli.main(["new", str(bundle)]) == 0
    asked = (bundle / STATEMENTS).read_text(encoding="utf-8").count(DEFAULT) - 1  # one in the head
    assert cli.main(["render", str(bundle)]) == 2
    err = capsys.readouterr().err
    assert f"no card, {asked} blanks" in err
    assert err.count("is still at its default, got 'TO BE STATED'; state it: ") == asked
    assert not list(bundle.glob("card.*"))
    assert cli.main(["new", str(bundle)]) == 2
    assert "exists; answer its questions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "text", "message"),
    [
        (r"^name = .*$", "", "developer.name is missing; state it: Who developed the model?"),
        (r"^name = .*$", 'name = "  "', "developer.name is empty"),
        (r"^name = .*$", "name = 3", "developer.name must be a text, got 3"),
        (r"^name = .*$", 'name = "TODO: ask"', "developer.name is still at its default"),
        (r"^name = .*$", 'name = "A" \nfax = "B"', "developer.fax is unknown; use one of name"),
        (r"^keywords = .*$", "keywords = []", "release.keywords is empty"),
        (r"^keywords = .*$", 'keywords = "a"', "release.keywords must be a list of texts"),
        (r"^keywords = .*$", 'keywords = ["a", "tbd"]', "release.keywords is still at its default"),
        (r"^\[ethics\]$", "[ethic]", "ethic is no section of the statements"),
        (r"^\[ethics\]$", "[ethic]", "ethics.approval is missing"),
        (r"^\[risk\]$", "[risk", "statements.toml must be TOML in UTF-8"),
        (r"^data_source = .*$", 'data_source = "Another"', "about.data_source must be the source"),
    ],
)  # fmt: skip
def test_what_is_no_statement_makes_no_card(
    bundle: Path, pattern: str, text: str, message: str
) -> None:
    """Each is named with its path and the question that it should answer."""
    edit(bundle, pattern, text)
    with pytest.raises(CardError, match=re.escape(message)):
        card_of(bundle)


def test_blanks_of_statements_and_bundle_are_listed_together(bundle: Path) -> None:
    """One run tells everything that is to be mended."""
    edit(bundle, r"^name = .*$", 'name = ""')
    edit(bundle, r"^updates = .*$", "")
    with pytest.raises(CardError) as caught:
        card_of(bundle)
    found = [problem.field for problem in caught.value.problems]
    assert found == ["developer.name", "maintenance.updates"]


def test_a_file_elsewhere_is_taken_where_it_is_named(bundle: Path, tmp_path: Path) -> None:
    """`--statements` wins over the bundle's own."""
    other = tmp_path / "other.toml"
    text = (bundle / STATEMENTS).read_text(encoding="utf-8")
    other.write_text(text.replace("name = ", 'name = "The clinic" #', 1), encoding="utf-8")
    assert card_of(bundle, other).statements.developer.name == "The clinic"
    with pytest.raises(CardError, match=r"none\.toml does not exist"):
        card_of(bundle, tmp_path / "none.toml")


def test_statements_of_ours_do_not_speak_for_a_cohort_of_yours(bundle: Path) -> None:
    """A model under a shipped model's id, fitted on other data, needs statements of its own."""
    (bundle / STATEMENTS).unlink()
    with pytest.raises(CardError, match=r"about\.data_source must be the source"):
        card_of(bundle)


def test_the_nearer_file_wins_key_by_key(tmp_path: Path) -> None:
    """What a study states is overridden by its model, and only that."""
    far, near = tmp_path / "far.toml", tmp_path / "near.toml"
    far.write_text(template("s").replace(DEFAULT, "far"), encoding="utf-8")
    near.write_text('[developer]\nname = "near"\n', encoding="utf-8")
    problems: list[Problem] = []
    made = read_statements([far, near], problems)
    assert problems == []
    assert (made.developer.name, made.developer.contact, made.use.users) == ("near", "far", "far")

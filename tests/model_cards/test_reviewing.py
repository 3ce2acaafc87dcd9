"""A decision is recorded beside the bundle it is about, or nothing is."""

from __future__ import annotations

import datetime as dt
import shutil
import tomllib
from pathlib import Path

import pytest

from model_cards import reviewing
from model_cards.__main__ import main
from model_cards.reviewing import Decision, review_text, write_review
from riskscore.bundle import find_bundle, open_bundle
from riskscore.errors import BundleError
from riskscore.review import REVIEW, review_of

MODEL = "deb-tace-hcc/pfs/cox"
GIVEN = ("--status", "approved", "--reviewer-role", "Consultant", "--decision", "For rounds.")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a shipped bundle in a folder of its own."""
    return shutil.copytree(find_bundle(MODEL), tmp_path / "bundle")


def test_a_decision_is_read_back_as_it_was_given(bundle: Path) -> None:
    """Whatever characters it has; the digest is the bundle's."""
    decided = Decision("approved", 'The "board" \\ 🏥', "2026-11-23", "Für Visiten.", ("Ä", "b"))
    found = write_review(bundle, decided)
    assert found == review_of(open_bundle(bundle))
    assert found.is_approved
    assert (found.reviewer_role, found.decision) == (decided.reviewer_role, decided.decision)
    assert (found.date, found.conditions) == (decided.date, decided.conditions)
    assert found.digest == open_bundle(bundle).manifest.digest
    content = tomllib.loads(review_text(decided, "sha256:0"))
    assert content["date"] == dt.date(2026, 11, 23)


def test_the_command_writes_and_replaces(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the digest and what it wrote; today is the day."""
    assert main(["review", str(bundle), *GIVEN, "--condition", "Yearly.", "--yes"]) == 0
    printed = capsys.readouterr().out
    assert open_bundle(bundle).manifest.digest in printed
    assert review_of(open_bundle(bundle)).conditions == ("Yearly.",)
    assert main(["review", str(bundle), *GIVEN, "--status", "retired", "--yes"]) == 0
    assert review_of(open_bundle(bundle)).status == "retired"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("--date", "2999-01-01"), "date must be a day until today, got '2999-01-01'"),
        (("--date", "20261123"), "date must be a day until today"),
        (("--reviewer-role", " "), "reviewer_role must be one line of text"),
        (("--decision", "a\nb"), "decision must be one line of text"),
        (("--condition", ""), "conditions must be one line of text"),
    ],
)
def test_a_bad_answer_writes_nothing(
    bundle: Path, given: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, the field, its rule and what was found."""
    assert main(["review", str(bundle), *GIVEN, *given, "--yes"]) == 2
    assert problem in capsys.readouterr().err
    assert not (bundle / REVIEW).exists()


def test_without_a_terminal_it_says_what_to_give(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing waits for an answer that cannot come."""
    assert main(["review", str(bundle)]) == 2
    assert "--status must be given" in capsys.readouterr().err
    assert main(["review", str(bundle), *GIVEN]) == 2
    assert "--yes must be given" in capsys.readouterr().err
    assert not (bundle / REVIEW).exists()


def _answers(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    given = iter(answers)

    def answer(_: str) -> str:
        try:
            return next(given)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(reviewing.sys.stdin, "isatty", lambda: True, raising=False)


def test_it_asks_on_a_terminal(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question, conditions until an empty one, then whether to write."""
    _answers(monkeypatch, "rejected", "Board", "2026-01-02", "Too few.", "More.", "", "y")
    assert main(["review", str(bundle)]) == 0
    found = review_of(open_bundle(bundle))
    assert (found.status, found.date, found.conditions) == ("rejected", "2026-01-02", ("More.",))


@pytest.mark.parametrize("answers", [("approved", "Board"), (*["approved", "B", "", "d", ""], "n")])
def test_stopping_or_declining_writes_nothing(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...]
) -> None:
    """Neither Ctrl-C nor a no leaves half a review."""
    _answers(monkeypatch, *answers)
    assert main(["review", str(bundle)]) == (0 if answers[-1] == "n" else 2)
    assert not (bundle / REVIEW).exists()


def test_a_damaged_bundle_cannot_be_reviewed(bundle: Path) -> None:
    """What a committee looked at is not what lies there."""
    (bundle / "evaluation.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError):
        write_review(bundle, Decision("approved", "Board", "2026-11-23", "Yes."))
    assert not (bundle / REVIEW).exists()

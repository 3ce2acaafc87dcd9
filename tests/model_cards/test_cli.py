"""The command line: where the card goes, and what a user sees when none can be made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import model_cards.__main__ as cli
from model_cards import Card, render_all, render_markdown
from model_cards.rendering import RENDERERS
from riskscore import load_model
from tests.model_cards.conftest import damaged


@pytest.fixture
def bundle(cox: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle that a test may write into."""
    return Path(shutil.copytree(cox, tmp_path / "bundle"))


def test_the_card_lands_in_the_bundle_and_changes_no_digest(
    bundle: Path, cox_card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default is every format beside the model, which stays the same model."""
    before = load_model(bundle).digest
    assert cli.main(["render", str(bundle)]) == 0
    for name, text in render_all(cox_card).items():
        assert (bundle / name).read_text(encoding="utf-8") == text
    assert capsys.readouterr().out.split() == [str(bundle / name) for name in RENDERERS]
    assert load_model(bundle).digest == before


def test_a_dash_prints_the_card_alone(
    bundle: Path, cox_card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output holds the card and nothing else; nothing is written."""
    assert cli.main(["render", str(bundle), "--out", "-"]) == 0
    assert capsys.readouterr().out == render_markdown(cox_card)
    assert not (bundle / "card.md").exists()


def test_a_blank_is_exit_status_2_and_leaves_the_old_card(
    cox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every blank is on standard error, and what was there before is untouched."""
    copy = damaged(cox, tmp_path, manifest=lambda c: c["training"].pop("events"))
    (copy / "card.md").write_text("old", encoding="utf-8")
    assert cli.main(["render", str(copy)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "python -m model_cards: " in err
    assert "- manifest.training.events is missing; fit the model again" in err
    assert (copy / "card.md").read_text(encoding="utf-8") == "old"


def test_writing_is_whole_or_not_at_all(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure while writing leaves the old card and no half of a new one."""
    target = tmp_path / "card.md"
    target.write_text("old", encoding="utf-8")

    def full(*_: object, **__: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert cli.main(["render", str(bundle), "--out", str(tmp_path)]) == 2
    monkeypatch.undo()
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "card.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "{bundle}", "{bundle}", "--out", "x"], "--out is for one bundle, got 2"),
        (["render", "./nowhere"], "no manifest.json in ./nowhere"),
        (["render", "{bundle}", "--out", "{bundle}/manifest.json"], "File exists"),
    ],
)  # fmt: skip
def test_bad_input_is_exit_status_2(
    bundle: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is told on standard error, in one message."""
    assert cli.main([a.format(bundle=bundle) for a in arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["render"], ["paint", "x"]])
def test_a_wrong_command_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As every argparse program does, with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m model_cards" in capsys.readouterr().err


def test_the_module_runs_without_a_traceback(tmp_path: Path) -> None:
    """`python -m model_cards` passes the exit status on."""
    done = subprocess.run(
        [sys.executable, "-m", "model_cards", "render", str(tmp_path / "none")],
        cwd=Path(cli.__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("python -m model_cards: ")
    assert "Traceback" not in done.stderr

"""The committed cards are those of the shipped bundles, and `check` would see if they were not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import model_cards.__main__ as cli
from model_cards.rendering import RENDERERS
from model_cards.statements import HERE
from riskscore.bundle import shipped_bundles
from tests.model_cards.conftest import damaged, read


def test_committed_cards_are_their_bundles(capsys: pytest.CaptureFixture[str]) -> None:
    """Every format of every shipped model, and the index; `make cards` writes them again."""
    if not (HERE / "index.md").exists():
        pytest.skip("no card was committed yet: make cards writes them")
    assert cli.main(["check"]) == 0, capsys.readouterr().out


def test_check_passes_on_what_all_wrote_and_names_what_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line changed by hand is named with both texts; a file that is gone is missing."""
    cards = ["--cards", str(tmp_path)]
    assert cli.main(["all", *cards]) == 0
    assert cli.main(["check", *cards]) == 0
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {"index.md"} | {f"{m}/{f}" for m in shipped_bundles() for f in RENDERERS}
    card = tmp_path / "deb-tace-hcc/os/cox/card.md"
    lines = card.read_text(encoding="utf-8").split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("# "))
    lines[at] += " (better)"
    card.write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "deb-tace-hcc/os/forest/card.json").unlink()
    capsys.readouterr()
    assert cli.main(["check", *cards]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3
    assert out[0].startswith(f"{card}, line {at + 1}: is '# ")
    assert out[0].count("(better)") <= 1
    assert out[1].endswith("card.json is missing")
    assert out[2].endswith("cards, 2 differences")


def test_a_changed_bundle_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card of yesterday's model is not today's."""
    shipped = shipped_bundles()["deb-tace-hcc/os/cox"]
    cards = tmp_path / "cards"
    bundle = Path(shutil.copytree(shipped, tmp_path / "same"))
    same = cards / read(bundle, "manifest")["id"]
    assert cli.main(["render", str(bundle), "--out", str(same)]) == 0
    assert cli.main(["check", str(bundle), "--cards", str(cards)]) == 0
    changed = damaged(
        bundle,
        tmp_path,
        evaluation=lambda content: content["concordance"].update(out_of_bag=0.9),
    )
    capsys.readouterr()
    assert cli.main(["check", str(changed), "--cards", str(cards)]) == 1
    out = capsys.readouterr().out
    assert all(f"{name}, line " in out for name in RENDERERS)

"""The card as HTML: one file, safe, readable by a screen reader, and short on paper."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from model_cards import Card, card_of
from model_cards.html import render_html
from riskscore.bundle import shipped_bundles


class Reader(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))


def tags(card: Card) -> list[tuple[str, dict[str, str | None]]]:
    """Return the tags of a card's HTML."""
    reader = Reader()
    reader.feed(render_html(card))
    return reader.tags


@pytest.fixture(params=["cox_card", "forest_card", "awkward_card"])
def card(request: pytest.FixtureRequest) -> Card:
    """Return each kind of card in turn, one of them with hostile names."""
    found: Card = request.getfixturevalue(request.param)
    return found


def test_it_loads_nothing_and_runs_nothing(card: Card) -> None:
    """No tag fetches or runs anything, hostile names included."""
    text = render_html(card)
    found = tags(card)
    assert not {"script", "link", "img", "iframe", "object", "a", "b"} & {tag for tag, _ in found}
    assert not [a for _, a in found if {"src", "href"} & a.keys()]
    assert "url(" not in text
    assert "@import" not in text


def test_headings_descend_one_level_at_a_time(card: Card) -> None:
    """One first heading, and no level is skipped."""
    levels = [int(tag[1]) for tag, _ in tags(card) if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_sections_can_be_named_and_headers_have_a_scope(card: Card) -> None:
    """Each section that others point to has its id once, the summary first."""
    found = tags(card)
    ids = [a["id"] for tag, a in found if tag == "section" and "id" in a]
    assert ids[:3] == ["summary", "not-for", "warnings"]
    assert len(set(ids)) == len(ids)
    assert set(ids) >= {"data", "predictors", "performance", "model", "examples", "limitations"}
    assert all(a.get("scope") == "col" for tag, a in found if tag == "th")


@pytest.mark.parametrize("name", [n for n in shipped_bundles() if n.startswith("deb-tace-hcc/")])
def test_a_shipped_card_prints_on_eight_pages_the_first_alone(name: str, tmp_path: Path) -> None:
    """A browser prints a card on at most eight sheets of A4, and its summary on one."""
    if missing := [tool for tool in ("chromium", "pdfinfo", "pdftotext") if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)}")
    page, pdf = tmp_path / "card.html", tmp_path / "card.pdf"
    page.write_text(render_html(card_of(shipped_bundles()[name])), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    options = ["--headless", "--no-sandbox", "--no-pdf-header-footer", profile]
    run("chromium", *options, f"--print-to-pdf={pdf}", page.as_uri())
    told = run("pdfinfo", str(pdf))
    assert "A4" in told
    assert int(told.split("Pages:")[1].split()[0]) <= 8
    assert "Limitations" in run("pdftotext", "-l", "1", str(pdf), "-")
    second = run("pdftotext", "-f", "2", "-l", "2", str(pdf), "-")
    assert second.lstrip().startswith("What it answers")


def run(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

"""Text survives Markdown and the HTML made of it; numbers are written in one way."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import pytest

import model_cards
from model_cards import Card, formats, render_markdown
from model_cards.render import _gate, escape_markdown
from tests.model_cards.conftest import AWKWARD

LEVELS = AWKWARD["predictors"]["stage"]["levels"]  # type: ignore[index]


class Cells(HTMLParser):
    """The text of every table cell, and every tag met."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Note the tag, and the cell it begins."""
        self.tags.add(tag)
        if tag in ("td", "th"):
            self._inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave the cell."""
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Gather the cell's text."""
        if self._inside:
            self.cells[-1] += data


def test_the_door_is_pinned() -> None:
    """What other rooms and scripts may use."""
    assert model_cards.__all__ == [
        "Card", "CardError", "blanks", "card_of", "render_all", "render_markdown", "write_all",
    ]  # fmt: skip


def test_no_table_is_broken_by_a_name(awkward_card: Card) -> None:
    """Every row of a table has as many cells as its rule, whatever the levels are called."""
    width = 0
    for line in render_markdown(awkward_card).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.count("|") - 1
        width = width or cells
        assert cells == width, line


def test_no_name_becomes_a_tag(awkward_card: Card) -> None:
    """Outside fenced code there is no raw angle bracket for HTML to swallow."""
    text = re.sub(r"```.*?```", "", render_markdown(awkward_card), flags=re.DOTALL)
    prose = re.sub(r"^> ", "", text, flags=re.MULTILINE)
    assert "<" not in prose
    assert ">" not in prose


@pytest.mark.skipif(which("pandoc") is None, reason="pandoc, which renders the card, is not here")
def test_names_come_out_of_html_as_they_went_in(awkward_card: Card) -> None:
    """Rendered by pandoc as GitHub's Markdown, the level cells read as declared."""
    done = subprocess.run(
        ["pandoc", "-f", "gfm", "-t", "html"],
        input=render_markdown(awkward_card), capture_output=True, text=True, check=True,
    )  # fmt: skip
    parser = Cells()
    parser.feed(done.stdout)
    for level in LEVELS:
        assert " ".join(level.split()) in parser.cells
    assert not parser.tags & {"script", "b", "em"}
    assert done.stdout.count("<h1") == 1


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<=3", "&lt;=3"),
        (">3 | x", "&gt;3 &#124; x"),
        ("a\n\n# b", "a # b"),
        ("# heading", "&#35; heading"),
        ("- item", "&#45; item"),
        ("-0.025", "-0.025"),
        ("1. item", "1&#46; item"),
        ("1.5 cm", "1.5 cm"),
        ("---", "&#45;--"),
        ("B_or_C", "B_or_C"),
        ("_x_ __y", "&#95;x&#95; &#95;&#95;y"),
        ("`x` *y* [z](u)", "&#96;x&#96; &#42;y&#42; &#91;z&#93;(u)"),
        ("~t~ $m$", "&#126;t&#126; &#36;m&#36;"),
        ("&lt;", "&amp;lt;"),
        ("a\x00\u2028b", "a b"),
    ],
)  # fmt: skip
def test_escaping(text: str, escaped: str) -> None:
    """Markup is written as character references, which every dialect reads as text."""
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize("value", [0.618, None, True, [1]])
def test_an_unformatted_value_is_refused(value: object) -> None:
    """A template cannot print a bare float, nor a None as "None"."""
    with pytest.raises(TypeError, match="format .* by a filter first"):
        _gate(value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.p_value(0.00099), "< 0.001"),
        (formats.p_value(0.001), "0.001"),
        (formats.p_value(0.2421), "0.242"),
        (formats.ratio(2.147), "2.15"),
        (formats.percent(0.0), "0 %"),
        (formats.quantity(100.4), "100"),
        (formats.duration(1.0, "month"), "1 month"),
        (formats.duration(22.14, "month"), "22.1 months"),
        (formats.with_unit(2.0, "cm"), "2 cm"),
        (formats.count(7756), "7,756"),
        (formats.against(63.0, 46.0, "year"), "63 against 46 years"),
        (formats.score(-0.001), "0.00"),
        (formats.joined(["6"]), "6"),
        (formats.joined(["6", "12", "18"]), "6, 12 and 18"),
        (formats.sentence("Done."), "Done."),
        (formats.sentence("Done"), "Done."),
        (formats.sentence("Done?"), "Done?"),
        (formats.pairs_in_100(0.6159), "62"),
    ],
)
def test_numbers_are_written_in_one_way(written: str, expected: str) -> None:
    """Each kind of number has its digits."""
    assert written == expected


def test_a_card_needs_nothing_of_training(cox: Path) -> None:
    """In a fresh interpreter, writing a card loads neither scikit-learn nor the training room."""
    code = (
        "import sys\n"
        "from model_cards import card_of, render_markdown\n"
        f"render_markdown(card_of({str(cox)!r}))\n"
        "unwanted = {'sklearn', 'sksurv', 'skl2onnx', 'onnx', 'lifelines', 'bentoml', 'training'}\n"
        "sys.exit(', '.join(unwanted & set(sys.modules)) or 0)"
    )
    root = Path(model_cards.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

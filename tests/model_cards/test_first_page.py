"""The first page of a card, for a clinician in a hurry who knows no statistics."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from model_cards import Card, card_of
from model_cards.card import Limitation
from model_cards.html import render_html
from model_cards.limitations import IN_SHORT, RULES, main_warnings
from model_cards.render import render_markdown
from riskscore.bundle import shipped_bundles

WORDS = 400
"""Two minutes at 200 words a minute, slow for an adult who reads English (Brysbaert, J. Mem. Lang.
109 (2019) 104047: 238)."""

GRADE = 9.0
"""Years of school: what Kincaid et al. (1975) find plain."""

JARGON = (
    "concordance", "calibration", "slope", "hazard", "censor", "brier", "auc", "ipa",
    "discrimination", "overfit", "bootstrap", "out-of-bag", "confidence", "covariate",
)  # fmt: skip


def first_page(document: str) -> str:
    """Return the words of the first page, a line a block."""
    page = document.split('<div class="first">')[1].split("</div>")[0]
    text = html.unescape(re.sub(r"<(?!/?(?:strong|em)\b)[^>]+>", "\n", page))
    return re.sub(r"</?\w+>", "", text)


@cache
def first_page_of(name: str) -> str:
    """Return the first page of a shipped model's card, as it would be written now."""
    return first_page(render_html(card_of(shipped_bundles()[name])))


def words(text: str) -> list[str]:
    """Return the words and numbers of a text."""
    return re.findall(r"[A-Za-z][A-Za-z'-]*|\d[\d.,]*", text)


def sentences(text: str) -> int:
    """Return how many sentences a text has; a block without a full stop is one."""
    blocks = [block.strip() for block in text.split("\n") if block.strip()]
    return sum(len(re.findall(r"[.!?](?=\s|$)", block.rstrip(".") + ".")) for block in blocks)


def syllables(word: str) -> int:
    """Return the groups of vowels of a word, a silent e at its end left out; a number has one."""
    found = len(re.findall(r"[aeiouy]+", word.lower()))
    return max(1, found - word.lower().endswith("e"))


def grade(text: str) -> float:
    """Return Flesch and Kincaid's grade."""
    found = words(text)
    per_sentence = len(found) / sentences(text)
    return 0.39 * per_sentence + 11.8 * sum(map(syllables, found)) / len(found) - 15.59


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_first_page_is_read_in_two_minutes(name: str) -> None:
    """At most 400 words, in short sentences, and no word of statistics unexplained."""
    text = first_page_of(name)
    assert len(words(text)) <= WORDS
    assert grade(text) <= GRADE
    unexplained = [word for word in JARGON if word in text.lower()]
    if "Censored means:" in text:
        unexplained.remove("censor")
    assert not unexplained


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_first_page_says_what_must_be_said_first(name: str) -> None:
    """What, for whom, for whom not, how good, how sure, warnings, review."""
    text = first_page_of(name)
    asked = (
        "Warning.", "Review status:", "What it does.", "For whom.", "Training data.",
        "How good it is.", "Uncertainty.", "Not for", "Main warnings",
    )  # fmt: skip
    places = [text.index(words_) for words_ in asked]
    assert places == sorted(places)


def test_the_grade_is_that_of_a_known_text() -> None:
    """Hand-counted: 6 words, 1 sentence, 6 syllables."""
    assert grade("The cat sat on the mat.") == pytest.approx(0.39 * 6 + 11.8 - 15.59)


def test_every_rule_has_a_short_line(cox_card: Card) -> None:
    """No rule is missing, each line is one plain sentence, and a rule is told once."""
    assert IN_SHORT.keys() == RULES.keys()
    found = tuple(Limitation(rule, "x") for rule in RULES for _ in range(2))
    lines = main_warnings(replace(cox_card, limitations=found, statement=""))
    assert len(lines) == len(RULES)
    for line in lines:
        assert len(words(line)) <= 25, line
        assert not [word for word in JARGON if word in line.lower()], line


def test_the_first_page_states_the_worst_external_result_in_absolute_figures() -> None:
    """Expected and observed shares of patients, of the largest difference that is sure."""
    card = card_of(shipped_bundles()["deb-tace-hcc/os/cox"])
    text = first_page(render_html(card))
    worst = max(
        (
            (abs(at.expected - at.observed.value), at)
            for found in card.performance.external
            for at in found.horizons
            if at.expected and at.observed
        ),
        key=lambda pair: pair[0],
    )[1]
    assert worst.expected
    assert worst.observed
    expected, observed = (f"{100 * p:.0f} %" for p in (worst.expected, worst.observed.value))
    assert f"expected the event in {expected} by {worst.time:g} months" in text
    assert f"it happened in {observed} (" in text
    assert "too high in 2 of 2 tests on other patients" in text
    lowest = worst.lowest
    assert lowest
    assert lowest.observed
    assert lowest.observed.value < lowest.predicted
    assert "high risks are too high" not in text
    assert "its low ones too low" not in text


def luminance(colour: str) -> float:
    """Return WCAG 2's relative luminance of a colour, #rrggbb or #rgb."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def backgrounds(css: str) -> Iterator[str]:
    """Yield every colour that text stands on."""
    yield from re.findall(r"background: (#[0-9a-f]{3,6})", css)


def test_text_stands_out_from_its_background(cox_card: Card) -> None:
    """WCAG 2.2, level AAA: 7 to 1, for every background of the page."""
    css = render_html(cox_card).split("<style>")[1].split("</style>")[0]
    (ink,) = set(re.findall(r"[; ]color: (#[0-9a-f]{3,6})", css))
    found = list(backgrounds(css))
    assert len(found) >= 3
    for ground in found:
        light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 7, ground


def test_the_variance_is_clustered_on_what_the_study_says(awkward_card: Card) -> None:
    """A column's name, which stays as it is where the records are no patients."""
    data = replace(awkward_card.data, kind="not stated")
    text = render_markdown(replace(awkward_card, data=data))
    assert "robust, clustered on the patient" in text
    assert "clustered on the record" not in text

"""Rendering: a `Card` and a template to Markdown.

Every value that a template prints passes through one gate. Text is escaped so that a level such as
"<=3" neither vanishes as an HTML tag nor breaks a table; a bare float is refused, so that no number
reaches a reader unformatted.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from model_cards import formats
from model_cards.card import Answer, Card
from model_cards.completeness import blanks
from model_cards.errors import CardError
from model_cards.miscalibration import worst
from model_cards.standards import items, source_attributes
from model_cards.statements import rows
from riskscore.bundle import open_bundle, shipped_bundles

__all__ = ["escape_markdown", "render_markdown"]

TEMPLATES = Path(__file__).parent / "templates"

SPECIAL = re.compile(r"[&<>|`*\[\]~$\\]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that Markdown, its tables or HTML could take as markup. An underscore between letters
or digits is text in every dialect, and stays readable."""

NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

OPENING = re.compile(r"^(?:[#=:]|[+-](?=[\s=-]|$)|\d{1,9}(?=[.)](?:\s|$)))")
"""What could turn the beginning of a text into a heading, a list or a rule."""

ANCHOR = re.compile(r'^<a id="\w+"></a>\n', re.MULTILINE)
"""What links lead to; the HTML has ids of its own."""

FILTERS = {name: getattr(formats, name) for name in formats.__all__}
"""Every way of writing a number, by the name it has in `formats`."""


def render_markdown(card: Card, *, anchors: bool = False) -> str:
    """Return the card as Markdown (CommonMark with GitHub's tables).

    Raises
    ------
    CardError
        If a field of the card holds nothing; every one is listed.
    """
    if found := blanks(card):
        raise CardError(found, card.identity.id or "card")
    text = (
        _environment()
        .get_template("card.md.j2")
        .render(
            card=card,
            address=_address(card),
            requests=_requests(card),
            stated=rows(card.statements),
            tripod=items(card),
            hti=source_attributes(card),
        )
    )
    if not anchors:
        text = ANCHOR.sub("", text)
    # Conditional sections leave runs of empty lines; one separates blocks.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape_markdown(text: str) -> str:
    """Return text that Markdown renders as it stands, on one line.

    Character references, not backslashes: they work in every dialect, in and out of tables,
    and leave no tag behind where Markdown lets HTML through.

    Examples
    --------
    >>> escape_markdown("<=3 | >3")
    '&lt;=3 &#124; &gt;3'
    >>> escape_markdown("deb_tace_sorafenib")
    'deb_tace_sorafenib'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = SPECIAL.sub(_reference, line)
    opening = OPENING.match(line)
    if opening is None:
        return line
    end = opening.end()
    if line[0].isdigit():
        return f"{line[:end]}{_reference_to(line[end])}{line[end + 1 :]}"
    return f"{_reference_to(line[0])}{line[1:]}"


@cache
def _environment() -> Environment:
    """Return what compiles the templates, each once."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        # With autoescape on, what a macro returns is known to be escaped already.
        autoescape=True,
        finalize=_gate,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    environment.filters["horizons"] = _horizons
    environment.filters["worst"] = worst
    environment.filters["in_its_words"] = _in_its_words
    environment.filters["in_code"] = _in_code
    environment.filters["initial"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _gate(value: Any) -> Any:
    """Return what a template expression may print: escaped text, or a whole number."""
    if isinstance(value, Markup | Undefined):  # an Undefined raises, with its name, when printed
        return value
    if isinstance(value, str):
        return Markup(escape_markdown(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Markup(str(value))
    raise TypeError(f"a card prints text and whole numbers; format {value!r} by a filter first")


def _reference(match: re.Match[str]) -> str:
    return _reference_to(match.group())


def _reference_to(character: str) -> str:
    # Those with a name are the frequent ones, and a name is easier on who reads the source.
    return NAMED.get(character, f"&#{ord(character)};")


def _in_code(text: str) -> Markup:
    """Return text for a fenced block, which reads no references and which no line may close."""
    return Markup(text.replace("\n```", "\n'''"))


@pass_context
def _in_its_words(context: Context, text: str) -> str:
    """Return a text that says "rows" or "patients" as the card's data are."""
    return formats.in_words_of(context["card"].data.kind, text)


def _horizons(card: Card) -> str:
    times = [f"{found.time:,.12g}" for found in card.at_risk]
    plural = "" if times == ["1"] else "s"
    return f"{formats.joined(times)} {card.question.time_unit}{plural}"


def _address(card: Card) -> str:
    """Return what `load_model` takes: the id where this very bundle is shipped, else its folder."""
    shipped = shipped_bundles().get(card.identity.id)
    if shipped is not None and open_bundle(shipped).manifest.digest == card.identity.digest:
        return card.identity.id
    return "./bundle"


def _requests(card: Card) -> dict[str, str]:
    """Return an example patient as Python and as JSON."""
    answer: Answer = card.profiles[0].answers[0]
    patient = json.dumps(dict(answer.inputs), ensure_ascii=False)
    times = json.dumps([int(e.time) if e.time.is_integer() else e.time for e in answer.estimates])
    request = (
        f'{{"patients": [{patient}], "times": {times}, "model": {json.dumps(card.identity.id)}}}'
    )
    return {"patient": patient, "times": times, "http": request}

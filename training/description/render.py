"""A description as text of at most 100 columns, and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from training.description.sections import Section, sections

__all__ = ["WIDTH", "as_markdown", "as_text"]

WIDTH = 100
WIDEST_CELL = 44
GAP = "  "


def as_text(description: dict[str, Any]) -> str:
    """Return the description as aligned text; a table that is too wide is cut into blocks."""
    lines: list[str] = []
    for line in _head(description):
        lines += _wrapped(line)
    for section in sections(description):
        lines += ["", section.title]
        for columns in _blocks(section):
            lines += _aligned([section.header, *section.rows], columns)
        for note in section.notes:
            lines += _wrapped(note, "  ")
    return "\n".join(lines)


def as_markdown(description: dict[str, Any], figures: Sequence[tuple[str, str]] = ()) -> str:
    """Return the description as Markdown.

    Parameters
    ----------
    description : dict
    figures : sequence of (caption, file name)
        Shown at the end.
    """
    lines = [f"# {_escaped(description['study']['title'])}", ""]
    for line in _head(description):
        lines += [_escaped(line), ""]
    for section in sections(description):
        lines += [f"## {_escaped(section.title)}", ""]
        lines += _markdown_table(section)
        lines += [""]
        for note in section.notes:
            lines += [_escaped(note.strip()), ""]
    for caption, name in figures:
        lines += [f"![{_escaped(caption)}]({name})", ""]
    return "\n".join(lines).rstrip() + "\n"


def _head(description: dict[str, Any]) -> list[str]:
    cohort = description["cohort"]
    read, flow = cohort["flow"]["read"], cohort["flow"]
    lines = [
        f"{cohort['file']}: {cohort['patients']} patients of study {description['study']['id']}"
    ]
    if read != cohort["patients"]:
        lines.append(f"{read} rows were read; left out by rule:")
        lines += [f"  {step['rows']}: {step['rule']}" for step in flow["excluded"] if step["rows"]]
    lines += [f"changed in {step['rows']} rows: {step['rule']}" for step in flow["changed"]]
    lines.append(cohort["provenance"]["statement"])
    return lines


def _blocks(section: Section) -> list[list[int]]:
    """Return which columns to show together, the first one in every block."""
    widths = [
        max(min(len(row[c]), WIDEST_CELL) for row in (section.header, *section.rows))
        for c in range(len(section.header))
    ]
    blocks: list[list[int]] = [[0]]
    for c in range(1, len(widths)):
        if (
            sum(widths[i] + len(GAP) for i in blocks[-1]) + widths[c] > WIDTH
            and len(blocks[-1]) > 1
        ):
            blocks.append([0])
        blocks[-1].append(c)
    return blocks


def _aligned(table: Sequence[Sequence[str]], columns: Sequence[int]) -> list[str]:
    """Return the chosen columns; a row without anything in them stands in the first block only."""
    rows = [
        [_clipped(row[c]) for c in columns]
        for row in table
        if 1 in columns or any(row[c] for c in columns[1:])
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *rest = widths
    return [
        GAP.join(
            [row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))]
        ).rstrip()
        for row in rows
    ]


def _clipped(cell: str) -> str:
    return cell if len(cell) <= WIDEST_CELL else cell[: WIDEST_CELL - 3] + "..."


def _wrapped(line: str, indent: str = "") -> list[str]:
    text = line.strip()
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def _markdown_table(section: Section) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_cell(cell) for cell in cells) + " |"

    rule = "|---|" + "---:|" * (len(section.header) - 1)
    return [line(section.header), rule, *map(line, section.rows)]


def _cell(text: str) -> str:
    indent = "&nbsp;&nbsp;" if text.startswith("  ") else ""
    return indent + _escaped(text.strip())


def _escaped(text: str) -> str:
    for mark, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("_", "\\_")):
        text = text.replace(mark, escape)
    return " ".join(text.split())

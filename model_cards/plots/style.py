"""How figures look, and how they are saved."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_cards.formats import p_value
from riskscore.tables import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "RED", "STYLE", "inline_svg", "p_text", "save", "shortened"]

# Okabe and Ito's colours, told apart by readers with any colour vision.
BLUE = "#0072B2"
RED = "#D55E00"
GREY = "#666666"
DPI = 200
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
LONG = re.compile(r"(\d+\.\d\d)\d+")
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "riskscore",
    "text.parse_math": False,  # a level such as "<$5" is no formula
    "svg.fonttype": "path",
}


def p_text(p: float) -> str:
    """Return a P value after its letter: "P = 0.031", "P < 0.001"."""
    text = p_value(p)
    return f"P {text}" if text.startswith("<") else f"P = {text}"


def shortened(text: str, width: int) -> str:
    """Return a text of at most `width` characters."""
    return text if len(text) <= width else text[: width - 3] + "..."


def inline_svg(figure: Figure, label: str) -> str:
    """Return a figure as an SVG element for a page, with a label for who cannot see it.

    Text stays text, and places are cut to hundredths of a point: the same bytes on any machine.
    """
    import matplotlib as mpl

    written = io.StringIO()
    style = {**STYLE, "svg.fonttype": "none"}
    with mpl.rc_context(style):  # type: ignore[arg-type]
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    body = text[text.index("<svg") :].strip()
    body = METADATA.sub("", LONG.sub(r"\1", body))
    return body.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG and PNG, the same bytes for the same numbers; return the files."""
    import matplotlib as mpl

    made = []
    # Matplotlib stamps files with the date, and names parts at random, unless told not to.
    for suffix, metadata in ((".svg", {"Date": None}), (".png", {})):
        path = stem.with_name(stem.name + suffix)
        with write_atomically(path) as partial, mpl.rc_context(STYLE):  # type: ignore[arg-type]
            figure.savefig(partial, dpi=DPI, metadata=metadata, format=suffix[1:])
        made.append(path)
    return made

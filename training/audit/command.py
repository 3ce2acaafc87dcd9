"""`python -m training audit`: check a study's printed numbers against one another."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from riskscore.errors import InputError, Problem
from riskscore.tables import write_atomically
from training.audit.report import markdown, text, to_dict
from training.audit.rules import audit
from training.published import DEB_TACE, load_published

__all__ = ["add_audit_parser"]


def add_audit_parser(commands: Any) -> None:
    """Add the command `audit`."""
    parser = commands.add_parser(
        "audit", help="check the printed numbers of a study against one another"
    )
    parser.add_argument(
        "file",
        nargs="?",
        default=str(DEB_TACE),
        help="published numbers in TOML (default: the study behind the shipped models)",
    )
    parser.add_argument("--markdown", metavar="FILE", help="also write the findings as Markdown")
    parser.add_argument("--json", metavar="FILE", help="also write them as JSON")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    for option, out in zip(("--markdown", "--json"), (chosen.markdown, chosen.json), strict=True):
        _check(option, out)
    found = audit(load_published(chosen.file))
    if chosen.markdown:
        _write(chosen.markdown, markdown(found))
    if chosen.json:
        _write(chosen.json, json.dumps(to_dict(found), indent=2, ensure_ascii=False) + "\n")
    print(text(found))
    return 0


def _check(option: str, out: str | None) -> None:
    """Refuse an output that cannot be written before anything is."""
    if out is not None and not Path(out).parent.is_dir():
        rule, folder = "must be in a folder that exists", str(Path(out).parent)
        raise InputError([Problem(None, option, rule, folder, "make the folder")], Path(out).name)


def _write(path: str, content: str) -> None:
    with write_atomically(path) as partial:
        partial.write_text(content, encoding="utf-8")

"""`python -m training adapt`: a public file as its owners publish it, in a study's columns."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from riskscore.study import load_study
from riskscore.tables import read_table, write_atomically, write_table
from training.adapters import ADAPTERS, adapt

__all__ = ["add_adapt_parser"]


def add_adapt_parser(commands: Any) -> None:
    """Add the command `adapt`."""
    parser = commands.add_parser("adapt", help="turn a public file into a study's columns")
    parser.add_argument("adapter", choices=ADAPTERS, help="which file it is")
    parser.add_argument("file", help="as published")
    parser.add_argument("--study", required=True, help="study file, or id of a shipped study")
    parser.add_argument("--out", required=True, help="table to write: .csv, .parquet or .xlsx")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    frame, flow, provenance = adapt(
        chosen.adapter, read_table(chosen.file), load_study(chosen.study)
    )
    out = Path(chosen.out)
    write_table(frame, out)
    # Whoever reads the table learns where it comes from.
    with write_atomically(out.with_suffix(".source.toml")) as partial:
        partial.write_text(provenance.to_toml(), encoding="utf-8")
    print(f"{flow.read} rows read, {len(frame)} written to {out}")
    for rule, rows in flow.excluded:
        print(f"  left out {rows:>6}  {rule}")
    for rule, rows in flow.changed:
        print(f"  changed  {rows:>6}  {rule}")
    return 0

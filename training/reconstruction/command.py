"""`python -m training reconstruct`: search for a cohort and write it."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from riskscore.errors import InputError, Problem
from riskscore.tables import SUFFIXES, write_atomically, write_table
from training.published import DEB_TACE_COHORT
from training.reconstruction.search import (
    DEFAULT_SEED,
    TIME_LIMIT,
    Reconstruction,
    reconstruct,
)

__all__ = ["add_reconstruct_parser"]


def add_reconstruct_parser(commands: Any) -> None:
    """Add the command `reconstruct`."""
    parser = commands.add_parser(
        "reconstruct", help="search for a cohort that reproduces the published study"
    )
    parser.add_argument("--seed", type=_seed, default=DEFAULT_SEED, help="0 or more")
    parser.add_argument("--out", required=True, help="table to write: .csv, .parquet or .xlsx")
    parser.add_argument(
        "--time-limit",
        type=float,
        default=TIME_LIMIT,
        metavar="SECONDS",
        help="begin no further attempt after this (default: %(default)g)",
    )
    parser.set_defaults(run=_run)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _run(chosen: argparse.Namespace) -> int:
    out = Path(chosen.out)
    _check(out)
    found = _search(chosen.seed, chosen.time_limit)
    # Whoever fits a model to the file learns from its companion that no row is a patient's.
    companion = DEB_TACE_COHORT.with_suffix(".source.toml")
    with write_atomically(out.with_suffix("".join(companion.suffixes))) as partial:
        shutil.copyfile(companion, partial)
    write_table(found.cohort, out)
    deaths = int(found.cohort["death"].sum())
    print(
        f"seed {found.seed}: {len(found.cohort)} patients, {deaths} deaths, every figure met "
        f"in {found.seconds:.1f} s and {found.attempts} attempts; written to {out}"
    )
    return 0


def _check(out: Path) -> None:
    """Refuse an output that cannot be written before the search, not after it."""
    if out.suffix.lower() not in SUFFIXES:
        rule = f"must end in {', '.join(SUFFIXES)}"
        problem = Problem(None, "--out", rule, out.suffix or "no ending", "name it .csv")
        raise InputError([problem], out.name)
    if not out.parent.is_dir():
        rule, folder = "must be in a folder that exists", str(out.parent)
        raise InputError([Problem(None, "--out", rule, folder, "make the folder")], out.name)


def _search(seed: int, time_limit: float) -> Reconstruction:
    console = Console(stderr=True)
    if not console.is_terminal:
        return reconstruct(seed, time_limit=time_limit)
    with console.status(f"seed {seed}: starting") as status:

        def tell(stage: str, attempt: int) -> None:
            status.update(f"seed {seed}, attempt {attempt}: {stage}")

        return reconstruct(seed, time_limit=time_limit, progress=tell)

"""`python -m training reconstruct`: search for a cohort, or for many, and write them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from riskscore.errors import InputError, Problem
from riskscore.tables import SUFFIXES
from training.reconstruction.draw_command import run_draws
from training.reconstruction.draws import DRAW_TIME_LIMIT, write_cohort
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
    parser.add_argument(
        "--out",
        help="table to write: .csv, .parquet or .xlsx; with --draws a folder, which may hold the "
        "draws of an earlier run (default: reconstructed-SEED.csv, draws-SEED)",
    )
    parser.add_argument(
        "--draws",
        type=_count,
        metavar="M",
        help="search for M different cohorts and report how much they leave open",
    )
    parser.add_argument(
        "--jobs", type=_count, default=2, help="workers for --draws (default: %(default)s)"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="begin no further attempt at a cohort after this "
        f"(default: {TIME_LIMIT:g}, with --draws {DRAW_TIME_LIMIT:g})",
    )
    parser.set_defaults(run=_run)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _run(chosen: argparse.Namespace) -> int:
    if chosen.draws is not None:
        chosen.out = chosen.out or f"draws-{chosen.seed}"
        return run_draws(chosen)
    chosen.out = chosen.out or f"reconstructed-{chosen.seed}.csv"
    out = Path(chosen.out)
    _check(out)
    found = _search(chosen.seed, TIME_LIMIT if chosen.time_limit is None else chosen.time_limit)
    write_cohort(found.cohort, out)
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

"""Many cohorts of the same published figures: which ones to search for, and searching for them.

The source counts no deaths, so the draws do not leave their number to chance: it runs over every
count that the source allows, lowest and highest first. A draw is one file; what it holds follows
from the seed and its number alone, so neither the workers nor an interruption change it.
"""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from riskscore.errors import InputError, ModelError
from riskscore.tables import read_table, write_atomically, write_table
from training.provenance import read_provenance
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction.compare import compare
from training.reconstruction.search import COLUMNS, ReconstructionError, reconstruct
from training.reconstruction.targets import targets

__all__ = ["DRAW_TIME_LIMIT", "Draw", "is_valid", "make_draws", "plan_draws", "write_cohort"]

DRAW_TIME_LIMIT = 1800.0
"""Seconds for one draw. The rarest death counts take minutes where the others take seconds."""


@dataclass(frozen=True)
class Draw:
    """One cohort to search for.

    Attributes
    ----------
    number : int
        From 1.
    seed : int
        Of its search; derived from the seed of all draws and the number.
    deaths : int
        How many die.
    path : Path
        Where it is written.
    """

    number: int
    seed: int
    deaths: int
    path: Path


def plan_draws(seed: int, draws: int, folder: Path) -> tuple[Draw, ...]:
    """Return the draws to make; more draws never change the earlier ones.

    Each cycle takes every plausible death count once: the extremes first, so that two draws already
    span the counts, then the others in random order.

    Parameters
    ----------
    seed : int
        0 or more.
    draws : int
        How many.
    folder : Path
        Where they are written.
    """
    fewest, most = targets(load_published(DEB_TACE)).deaths
    length = most - fewest + 1
    planned = []
    for k in range(draws):
        inner = np.random.default_rng([seed, k // length]).permutation(np.arange(1, length - 1))
        deaths = fewest + int([0, length - 1, *inner][k % length])
        own = int(np.random.SeedSequence([seed, k + 1]).generate_state(1)[0])
        path = folder / f"seed-{seed}-draw-{k + 1:03d}.csv"
        planned.append(Draw(k + 1, own, deaths, path))
    return tuple(planned)


def is_valid(draw: Draw) -> bool:
    """Return whether the draw's file is there and has every published figure and its deaths."""
    if not draw.path.is_file():
        return False
    try:
        frame = read_table(draw.path)
        if tuple(frame) != COLUMNS:
            return False
        rows = compare(frame, load_published(DEB_TACE))
    except (InputError, ModelError):
        return False
    return not any(row.agrees == "no" for row in rows) and _deaths(frame) == draw.deaths


def make_draws(
    planned: tuple[Draw, ...],
    jobs: int = 2,
    *,
    time_limit: float = DRAW_TIME_LIMIT,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Search for those draws whose files are not there and valid; write each as it is found.

    Parameters
    ----------
    planned : tuple of Draw
    jobs : int
        Worker processes.
    time_limit : float
        Seconds after which no further attempt at a draw is begun.
    progress : callable, optional
        Called with the number of files that are ready.

    Returns
    -------
    int
        How many were made; the others were there.

    Raises
    ------
    ModelError
        If some were not found. All others are written by then.
    """
    missing = [draw for draw in planned if not is_valid(draw)]
    ready = len(planned) - len(missing)
    if progress is not None:
        progress(ready)
    # Extreme counts take longest: begun first, they do not leave a worker alone at the end.
    middle = statistics.mean(draw.deaths for draw in planned)
    missing.sort(key=lambda draw: abs(draw.deaths - middle), reverse=True)
    workers = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    failed: list[str] = []
    for why in workers(delayed(_make)(draw, time_limit, os.getpid()) for draw in missing):
        if why:
            failed.append(why)
        elif progress is not None:
            ready += 1
            progress(ready)
    if failed:
        raise ModelError(
            f"{len(failed)} of {len(planned)} draws were not found, the others are kept; run the "
            f"same command again with a longer --time-limit ({'; '.join(sorted(failed))})"
        )
    return len(missing)


def write_cohort(cohort: pd.DataFrame, path: Path) -> None:
    """Write a reconstructed cohort and the companion that says what it is."""
    # Whoever fits a model to the file learns from its companion that no row is a patient's.
    companion = read_provenance(DEB_TACE_COHORT).to_toml()
    with write_atomically(path.with_suffix(".source.toml")) as partial:
        partial.write_text(companion, encoding="utf-8")
    write_table(cohort, path)


def _make(draw: Draw, time_limit: float, parent: int) -> str:
    """Write one draw; return why it was not found, or nothing."""
    if os.getpid() != parent:
        # A terminal sends Ctrl-C to the workers too; ending them is the parent's task.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = reconstruct(draw.seed, deaths=draw.deaths, time_limit=time_limit)
    except ReconstructionError as error:
        return f"draw {draw.number} with {draw.deaths} deaths: {len(error.misses)} attempts"
    write_cohort(found.cohort, draw.path)
    return ""


def _deaths(frame: pd.DataFrame) -> int:
    return int(frame["death"].astype(int).sum())

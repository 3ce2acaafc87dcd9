"""`python -m training reconstruct --draws`: many cohorts, and what they leave open."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from riskscore._command import INTERRUPTED
from riskscore.errors import InputError, Problem
from riskscore.manifest import json_bytes
from riskscore.study import load_study
from riskscore.tables import write_atomically
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published
from training.reconstruction.draw_report import DrawReport, carried, markdown, to_dict
from training.reconstruction.draws import DRAW_TIME_LIMIT, Draw, make_draws, plan_draws
from training.reconstruction.sensitivity import figures, profile_ranges, profiles
from training.run import SHIPPED

__all__ = ["report_on", "run_draws"]


def run_draws(chosen: argparse.Namespace) -> int:
    """Make the draws, write the report beside them and print it."""
    folder = Path(chosen.out)
    if folder.exists() and not folder.is_dir():
        remedy = "name a folder: every draw is a file in it"
        raise InputError([Problem(None, "--out", "must be a folder", str(folder), remedy)])
    folder.mkdir(parents=True, exist_ok=True)
    planned = plan_draws(chosen.seed, chosen.draws, folder)
    began = time.monotonic()
    limit = DRAW_TIME_LIMIT if chosen.time_limit is None else chosen.time_limit
    try:
        with _counting("draws", chosen.draws) as tell:
            made = make_draws(planned, chosen.jobs, time_limit=limit, progress=tell)
        searched = time.monotonic() - began
        with _counting("models", chosen.draws) as tell:
            report = report_on(planned, chosen.seed, chosen.jobs, tell)
    except KeyboardInterrupt:
        there = sum(draw.path.is_file() for draw in planned)
        kept = f"{there} of {chosen.draws} draws are kept in {folder}"
        print(f"stopped: {kept}; the same command makes the rest", file=sys.stderr)
        return INTERRUPTED
    text = markdown(report)
    for name, content in (
        ("draws.json", json_bytes(to_dict(report))),
        ("draws.md", text.encode("utf-8")),
        ("sensitivity.json", json_bytes(carried(report), indent=None)),
    ):
        with write_atomically(folder / name) as partial:
            partial.write_bytes(content)
    print(text)
    total = time.monotonic() - began
    print(
        f"{made} draws searched for in {searched:.0f} s, {len(planned) - made} were there; "
        f"{total:.0f} s with their models, on {chosen.jobs} workers; written to {folder}"
    )
    return 0


def report_on(
    planned: tuple[Draw, ...],
    seed: int,
    jobs: int = 2,
    progress: Callable[[int], None] | None = None,
) -> DrawReport:
    """Fit the shipped models to every draw and gather what they say."""
    published = load_published(DEB_TACE)
    study = load_study(published.study.study)
    workers = Parallel(n_jobs=jobs, return_as="generator")
    paths = [DEB_TACE_COHORT, *(draw.path for draw in planned)]
    found = []
    for one in workers(delayed(figures)(path, study, published) for path in paths):
        found.append(one)
        if progress is not None:
            progress(len(found) - 1)
    committed, *others = found
    horizons = study.outcomes[SHIPPED[0].outcome].horizons
    return DrawReport(
        seed=seed,
        study=study,
        draws=planned,
        figures=tuple(others),
        committed=committed,
        horizons=horizons,
        ranges=profile_ranges(profiles(study), horizons, others),
    )


@contextmanager
def _counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how many are done: on a terminal, and in silence when piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)

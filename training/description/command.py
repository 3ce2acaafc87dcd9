"""`python -m training describe`: a cohort as a paper shows it."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from riskscore._command import names
from riskscore.errors import InputError, Problem
from riskscore.manifest import json_bytes
from riskscore.study import load_study
from riskscore.tables import read_table, write_atomically
from training.adapters import ADAPTERS
from training.description.adverse import with_adverse_events
from training.description.describing import describe_cohort
from training.description.published import Description, describe
from training.description.render import as_markdown, as_text
from training.description.reports import read_reports
from training.description.sample import read_sample
from training.progress import working
from training.published import DEB_TACE, DEB_TACE_COHORT, load_published

__all__ = ["add_describe_parser"]

CONSTRUCTED = (
    "Filled from the printed counts of the source, arm by arm: they agree by construction, and are "
    "tied to nothing else in a row."
)

SHOWN_OUTCOMES = ("os", "ttp")
"""What the source draws: its figures 1 and 2."""


def add_describe_parser(commands: Any) -> None:
    """Add the command `describe`."""
    parser = commands.add_parser(
        "describe",
        help="characteristics, curves and Cox table of a cohort; published against reproduced",
        description="With --study: describe a cohort. Without: show the source study's published "
        "figures beside the reconstructed cohort's, or beside those of --cohort.",
    )
    parser.add_argument("--study", help="study file, or id of a shipped study")
    parser.add_argument("--cohort", help="table: .csv, .parquet or .xlsx")
    parser.add_argument("--adapter", choices=ADAPTERS, help="for a public file as published")
    parser.add_argument(
        "--outcome", type=names, metavar="A,B", help="of the study (default: os); one or several"
    )
    parser.add_argument(
        "--by", metavar="A", help="category that makes the arms (default: the study's treatment)"
    )
    parser.add_argument(
        "--predictors", type=names, metavar="A,B", help="what to describe (default: all)"
    )
    parser.add_argument(
        "--multivariable", type=names, metavar="A,B",
        help="predictors of the multivariable model (default: all that can be modelled)",
    )  # fmt: skip
    parser.add_argument("--out", help="directory for describe.json, describe.md and the figures")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    if chosen.study is None:
        return _run_published(chosen)
    if chosen.cohort is None:
        remedy = "give the table of patients, or leave --study out to see the source study"
        raise InputError([Problem(None, "--cohort", "is needed with --study", None, remedy)])
    study = load_study(chosen.study)
    outcomes = chosen.outcome if chosen.outcome is not None else ("os",)
    sample = read_sample(
        chosen.cohort, study, outcomes, chosen.predictors, chosen.by, chosen.adapter
    )
    out = _folder(chosen.out)
    with working("describing"):
        description = describe_cohort(sample, chosen.multivariable)
    if out is not None:
        _write(out, description)
    print(as_text(description))  # last: a reader such as head may stop the program here
    if out is not None:
        print(f"written to {out}")
    return 0


def _run_published(chosen: argparse.Namespace) -> int:
    """Show the source study's figures beside a cohort's; with `--out` describe the cohort too."""
    for option in ("adapter", "outcome", "by", "predictors", "multivariable"):
        if getattr(chosen, option) is not None:
            remedy = "give --study, or leave the option out"
            rule = "is for describing a cohort of a study"
            raise InputError([Problem(None, f"--{option}", rule, None, remedy)])
    path = Path(chosen.cohort or DEB_TACE_COHORT)
    published = load_published(DEB_TACE)
    frame = read_table(path)
    compared = describe(frame, published)
    out = _folder(chosen.out)
    if out is None:
        print(compared.text())
        return 0
    study = load_study(published.study.study)
    sample = read_sample(path, study, SHOWN_OUTCOMES)
    treatment = study.treatment
    note: dict[str, str] = {}
    if treatment is not None and path == DEB_TACE_COHORT:
        completed = with_adverse_events(frame, published, treatment.name)
        sample = replace(sample, reports=read_reports(completed)[0])
        note = {"adverse_events_note": CONSTRUCTED}
    together = [effect.variable for effect in published.multivariable("os")]
    with working("describing"):
        description = {**describe_cohort(sample, together), **note}
    _write(out, description, compared)
    print(f"{compared.text()}\nwritten to {out}")
    return 0


def _folder(out: str | None) -> Path | None:
    """Refuse a directory that cannot be made before the work, not after it."""
    if out is None:
        return None
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        remedy = "name another directory"
        raise InputError([Problem(None, "--out", "must be a directory", out, remedy)])
    if not folder.absolute().parent.is_dir():
        rule, remedy = "must be in a folder that exists", "make the folder"
        raise InputError([Problem(None, "--out", rule, str(folder.parent), remedy)])
    return folder


def _write(out: Path, description: dict[str, Any], compared: Description | None = None) -> None:
    # Drawing needs matplotlib, which takes a second to import: only where figures are wanted.
    from training.description.figures import draw

    if compared is not None:
        rows = [asdict(row) for row in (*compared.rows, *compared.constructed)]
        description = {**description, "published": {"summary": compared.summary(), "rows": rows}}
    out.mkdir(exist_ok=True)
    with write_atomically(out / "describe.json") as partial:
        partial.write_bytes(json_bytes(description))
    figures = draw(out / "describe.json", out)
    with write_atomically(out / "describe.md") as partial:
        partial.write_text(as_markdown(description, figures), encoding="utf-8")

"""`python -m training validate`: how good a procedure is, on the cohort it would be fitted on."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from riskscore._command import INTERRUPTED
from riskscore.errors import InputError, Problem
from riskscore.manifest import json_bytes
from riskscore.study import load_study
from riskscore.tables import write_atomically
from training.cohort import read_cohort
from training.commands import (
    add_cohort_arguments,
    add_model_arguments,
    cohort_line,
    refuse_options_of_the_other_kind,
    settings_of,
)
from training.progress import working
from training.settings import REPLICATES
from training.validation.cluster import on_cluster
from training.validation.keeping import keeping
from training.validation.report import validation_lines
from training.validation.validating import DEFAULT, METHODS, validate

__all__ = ["add_validate_parser"]


def add_validate_parser(commands: Any) -> None:
    """Add the command `validate`."""
    parser = commands.add_parser(
        "validate", help="judge a model on its own cohort: corrected, cross-validated, by centre"
    )
    add_cohort_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument(
        "--method", choices=METHODS, help="default: bootstrap for cox, oob for forest"
    )
    parser.add_argument(
        "--replicates", type=int, default=REPLICATES, help="resamples of bootstrap and 632plus"
    )
    parser.add_argument("--folds", type=int, default=10, help="of cv")
    parser.add_argument("--repeats", type=int, default=5, help="of cv")
    parser.add_argument("--by", metavar="COLUMN", help="centre or year, for iecv")
    parser.add_argument(
        "--split", nargs=2, metavar=("COLUMN", "VALUE"), help="for temporal: fitted below VALUE"
    )
    parser.add_argument("--out", help="file for every figure and curve, as JSON")
    parser.set_defaults(run=_validate)


def _validate(chosen: argparse.Namespace) -> int:
    refuse_options_of_the_other_kind(chosen)
    column, value = chosen.split or (None, None)
    method = _method(chosen)
    name = chosen.by if method == "iecv" else column
    split = None if value is None else _number(value)
    _require_folder(chosen.out)
    study = load_study(chosen.study)
    cohort = read_cohort(
        chosen.cohort, study, chosen.outcome, chosen.predictors, chosen.adapter,
        keep=(name,) if name else (),
    )  # fmt: skip
    partial_file = f"{chosen.out or 'validation'}.partial"
    with (
        keeping(partial_file) as kept, working(f"validating {chosen.model}"),
        on_cluster(chosen.dask),
    ):  # fmt: skip
        found = validate(
            cohort, chosen.model, settings_of(chosen), method,
            replicates=chosen.replicates, folds=chosen.folds, repeats=chosen.repeats,
            column=None if name is None else cohort.kept[name], split=split,
            column_name=name or "column",
        )  # fmt: skip
    if chosen.out:
        with write_atomically(Path(chosen.out)) as partial:
            partial.write_bytes(json_bytes(found))
    print("\n".join([cohort_line(cohort), "", *validation_lines(found, study.time_unit)]))
    if cohort.provenance.statement:
        print(f"\n{cohort.provenance.statement}")
    return INTERRUPTED if kept.stopped else 0


def _method(chosen: argparse.Namespace) -> str:
    """Return the method, and refuse a column that it would leave out in silence."""
    implied = "iecv" if chosen.by else "temporal" if chosen.split else DEFAULT[chosen.model]
    method: str = chosen.method or implied
    for option, given, of in (("--by", chosen.by, "iecv"), ("--split", chosen.split, "temporal")):
        if given and method != of:
            remedy = f"leave it out, or use --method {of}"
            raise InputError([Problem(None, option, f"is of {of} only", method, remedy)])
    return method


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        problem = Problem(None, "split", "must be a number", text, "give a year, say 2012")
        raise InputError([problem])
    return value


def _require_folder(out: str | None) -> None:
    """Refuse a file that could not be written, before the work and not after it."""
    if out and not Path(out).parent.is_dir():
        rule, folder = "must be in a folder that exists", str(Path(out).parent)
        raise InputError([Problem(None, "--out", rule, folder, "make the folder")])

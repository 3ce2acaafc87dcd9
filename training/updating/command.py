"""`python -m training update`: a Cox bundle on a new cohort."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from riskscore._command import count
from riskscore.bundle import Bundle, open_bundle
from riskscore.errors import BundleError, InputError
from training.adapters import ADAPTERS
from training.cohort import Cohort, read_cohort
from training.commands import (
    coefficient_lines,
    cohort_line,
    hypothesis_lines,
    written_lines,
)
from training.progress import working
from training.settings import REPLICATES
from training.updating.updating import METHODS, Update, update
from training.validation.report import summary_lines

__all__ = ["add_update_parser"]

WIDTH = 88
"""Of a line of the report."""


def add_update_parser(commands: Any) -> None:
    """Add the command `update`."""
    parser = commands.add_parser(
        "update", help="update a Cox model on a new cohort, by as little as the data support"
    )
    parser.add_argument("bundle", help="id of a shipped model, or path of a bundle")
    parser.add_argument("cohort", help="table: .csv, .parquet or .xlsx")
    parser.add_argument("--adapter", choices=ADAPTERS, help="for a public file as published")
    parser.add_argument("--out", required=True, help="directory of the new bundle")
    parser.add_argument(
        "--method", choices=METHODS, default="auto", help="default: what a closed test chooses"
    )
    parser.add_argument("--name", help="last part of the id (default: the parent's, -updated)")
    parser.add_argument("--seed", type=count, default=0)
    parser.add_argument(
        "--replicates",
        type=count,
        default=REPLICATES,
        help="resamples of a refit's internal validation; 0 leaves it out",
    )
    parser.set_defaults(run=_update)


def _update(chosen: argparse.Namespace) -> int:
    bundle, out = open_bundle(chosen.bundle), Path(chosen.out)
    if out.exists() and out.resolve() == bundle.path.resolve():
        raise BundleError(
            f"{out} is the model that is to be updated; its digest is recorded, so keep it and "
            "choose another --out"
        )
    cohort = _read(chosen, bundle)
    with working(f"updating {bundle.manifest.id}"):
        found = update(
            bundle, cohort, chosen.method,
            name=chosen.name, seed=chosen.seed, replicates=chosen.replicates,
        )  # fmt: skip
        written = found.fitted.write(out) if found.fitted else None
    unit = cohort.study.time_unit
    print("\n".join([cohort_line(cohort), *_lines(found, bundle, unit)]))
    if found.fitted is None or written is None:
        print(f"{bundle.manifest.id} stands as it is: nothing was written to {out}")
        return 0
    print("\n".join(_fitted_lines(found)))
    print("\n".join(written_lines(written, out)))
    if written.statement:
        print(written.statement)
    return 0


def _read(chosen: argparse.Namespace, bundle: Bundle) -> Cohort:
    """Read the cohort by the bundle's own study."""
    manifest = bundle.manifest
    try:
        return read_cohort(
            chosen.cohort, manifest.study, manifest.outcome.name, adapter=chosen.adapter
        )
    except InputError as error:
        # The model's study and predictors are given: what helps a fit does not help here.
        remedies = {
            "--predictors": "the model asks for it; it can be updated only where it varies",
            "--study": "give a table in the columns of the model's own study, without --adapter",
        }
        problems = [
            replace(p, remedy=next((r for o, r in remedies.items() if o in p.remedy), p.remedy))
            for p in error.problems
        ]
        raise InputError(problems, Path(chosen.cohort).name) from None


def _lines(found: Update, bundle: Bundle, unit: str) -> list[str]:
    """Return how the model does on the cohort, and the tests."""
    said = found.said
    large, slope = said["original"]["in_the_large"], said["slope"]
    lines = [
        f"{bundle.manifest.id} on these patients:",
        f"  observed {large['observed']}, expected {large['expected']:.1f} events: ratio "
        f"{_interval(large['observed_expected'], large)}, P {_p(large['test']['p'])}",
    ]
    if len(large["intervals"]) > 1:
        lines += [
            f"    up to {i['until']:.4g} {unit}s: {i['observed']} against {i['expected']:.1f}"
            for i in large["intervals"]
        ]
    lines += [
        f"  calibration slope over the whole follow-up {_interval(slope['value'], slope)}",
        f"  concordance {said['original']['concordance']:.3f}",
    ]
    if said["tests"]:
        lines.append(f"  {'tested against the refit':<30}{'chi-square':>11}{'df':>5}{'P':>9}")
        lines += [
            f"  {t['hypothesis']:<30}{t['chi_square']:>11.2f}{t['df']:>5}{_p(t['p']):>9}"
            for t in said["tests"]
        ]
        caution = f"Caution: {said['caution']}."
        lines += textwrap.wrap(caution, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return [*lines, f"Update ({said['chosen']}): {found.method}, {said['what']}"]


def _fitted_lines(found: Update) -> list[str]:
    assert found.fitted is not None
    inference = found.fitted.inference
    return [
        *coefficient_lines(inference),
        *hypothesis_lines(inference),
        *summary_lines(found.fitted.evaluation.get("validation")),
    ]


def _interval(value: float, bounds: dict[str, Any]) -> str:
    return f"{value:.2f} ({bounds['lower']:.2f} to {bounds['upper']:.2f})"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"

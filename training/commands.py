"""`python -m training fit`: from a study and a cohort to a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from riskscore._command import names
from riskscore.manifest import Manifest
from riskscore.study import load_study
from training.adapters import ADAPTERS
from training.cohort import Cohort, read_cohort
from training.fit import KINDS, Fitted, Settings, fit
from training.progress import working

__all__ = ["add_fit_parser", "coefficient_lines", "cohort_line", "importance_lines"]


def add_fit_parser(commands: Any) -> None:
    """Add the command `fit`."""
    defaults = Settings()
    parser = commands.add_parser("fit", help="fit a model to a cohort and write its bundle")
    parser.add_argument("--study", required=True, help="study file, or id of a shipped study")
    parser.add_argument("--cohort", required=True, help="table: .csv, .parquet or .xlsx")
    parser.add_argument("--adapter", choices=ADAPTERS, help="for a public file as published")
    parser.add_argument("--outcome", required=True, help="name of an outcome of the study")
    parser.add_argument("--model", required=True, choices=KINDS, help="what to fit")
    parser.add_argument("--out", required=True, help="directory of the bundle")
    parser.add_argument("--name", help="last part of the model's id (default: the model)")
    parser.add_argument(
        "--predictors", type=names, metavar="A,B", help="which of the study's (default: all)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--trees", type=int, default=defaults.trees, help="of a forest")
    parser.add_argument(
        "--min-leaf", type=int, default=defaults.min_leaf, help="least rows in a forest's leaf"
    )
    parser.add_argument(
        "--max-times", type=int, default=defaults.max_times, help="most times of a forest's curve"
    )
    parser.set_defaults(run=_fit)


def cohort_line(cohort: Cohort) -> str:
    """Return the cohort in one line."""
    unit, flow = cohort.study.time_unit, cohort.flow
    event = cohort.outcome.event.replace("_", " ")
    excluded = flow["read"] - flow["analysed"]
    rows = "" if cohort.groups is None else f" in {len(cohort.time)} rows"
    return (
        f"{cohort.name}: {cohort.n_patients} patients{rows}, {int(cohort.event.sum())} events "
        f"({event}), follow-up up to {cohort.time.max():.4g} {unit}s"
        + (f"; {excluded} of {flow['read']} rows left out by rule" if excluded else "")
    )


def coefficient_lines(inference: dict[str, Any]) -> list[str]:
    """Return the table of a Cox model as aligned lines."""
    lines = [f"  {'':<30}{'HR':>7}   {'95 % CI':<16}{'P':>8}"]
    for c in inference["coefficients"]:
        interval = f"{c['lower']:.3f} to {c['upper']:.3f}"
        p = "<0.001" if c["p"] < 0.001 else f"{c['p']:.3f}"
        lines.append(f"  {c['term']:<30}{c['hazard_ratio']:>7.3f}   {interval:<16}{p:>8}")
    return lines


def importance_lines(inference: dict[str, Any]) -> list[str]:
    """Return the importance of a forest's predictors as aligned lines."""
    lines = [f"  {'':<30}{'concordance lost when shuffled':>30}"]
    lines += [
        f"  {i['predictor']:<30}{i['concordance_lost']:>30.3f}" for i in inference["importance"]
    ]
    return lines


def _fit(chosen: argparse.Namespace) -> int:
    study = load_study(chosen.study)
    cohort = read_cohort(chosen.cohort, study, chosen.outcome, chosen.predictors, chosen.adapter)
    settings = Settings(
        seed=chosen.seed,
        trees=chosen.trees,
        min_leaf=chosen.min_leaf,
        max_times=chosen.max_times,
    )
    with working(f"fitting {chosen.model}"):
        fitted = fit(cohort, chosen.model, settings, chosen.name)
        manifest = fitted.write(chosen.out)
    print("\n".join(_report(fitted, manifest, Path(chosen.out))))
    return 0


def _report(fitted: Fitted, manifest: Manifest, out: Path) -> list[str]:
    lines = [cohort_line(fitted.cohort)]
    for step in fitted.cohort.flow["excluded"]:
        lines.append(f"  left out {step['rows']:>6}  {step['rule']}")
    for step in fitted.cohort.flow["changed"]:
        lines.append(f"  changed  {step['rows']:>6}  {step['rule']}")
    inference, c = fitted.inference, fitted.evaluation["concordance"]
    if manifest.kind == "cox":
        lines += [f"Cox model ({inference['variance']} variance)", *coefficient_lines(inference)]
    else:
        lines += [f"Forest of {inference['trees']} trees", *importance_lines(inference)]
    lines += [
        f"Concordance {c['in_sample']:.3f} in-sample, {c['out_of_bag']:.3f} out-of-bag",
        f"{manifest.id} {manifest.digest}",
        f"written to {out}",
    ]
    if manifest.statement:
        lines.append(manifest.statement)
    return lines

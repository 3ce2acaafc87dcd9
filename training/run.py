"""`python -m training run`: the main job, from a cohort to its models, printed for a person.

Without a cohort of one's own it takes the reconstructed one, and makes the models this package
ships: for overall survival on the four predictors whose effects the source prints, for progression
on treatment alone, the only effect on progression it prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from riskscore._command import names
from riskscore.bundle import Bundle, open_bundle
from riskscore.errors import InputError, Problem
from riskscore.model import RiskModel, load_model
from riskscore.study import load_study
from training.adapters import ADAPTERS
from training.cohort import Cohort, read_cohort
from training.commands import coefficient_lines, cohort_line, importance_lines, kept_lines
from training.done import Done, identity_of_work
from training.fit import Settings, fit
from training.progress import working
from training.published import DEB_TACE_COHORT as DEFAULT_COHORT
from training.settings import REPLICATES
from training.validation.report import summary_lines

__all__ = ["CORE_FOUR", "DEFAULT_COHORT", "DEFAULT_STUDY", "SHIPPED", "add_run_parser"]

DEFAULT_STUDY = "deb-tace-hcc"
CORE_FOUR = ("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment")


@dataclass(frozen=True)
class Job:
    """The models to fit for one outcome, and how."""

    outcome: str
    predictors: tuple[str, ...] | None
    kinds: tuple[str, ...]
    settings: Settings = field(default_factory=Settings)


SHIPPED = (
    # 14 of the 90 have metastasis: with larger leaves no tree could split on it.
    # Four predictors of two levels are a small table, so the band costs nothing there.
    Job("os", CORE_FOUR, ("cox", "forest"), Settings(min_leaf=10, stability=True)),
    Job("pfs", ("treatment",), ("cox",)),
    Job("ttp", ("treatment",), ("cox",)),
)
"""What the package ships, all fitted on the reconstructed cohort."""


def add_run_parser(commands: Any) -> None:
    """Add the command `run`."""
    parser = commands.add_parser("run", help="fit, judge and export the models of a cohort")
    parser.add_argument("--study", default=DEFAULT_STUDY, help="study file, or id of a shipped one")
    parser.add_argument("--cohort", help="table of patients (default: the reconstructed cohort)")
    parser.add_argument("--adapter", choices=ADAPTERS, help="for a public file as published")
    parser.add_argument("--outcome", default="os", help="of your cohort (default: os)")
    parser.add_argument("--predictors", type=names, metavar="A,B", help="default: all")
    parser.add_argument("--out", default="build", help="directory for the bundles")
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument(
        "--replicates",
        type=int,
        default=REPLICATES,
        help="resamples of the internal validation; 0 leaves it out",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="fit every model, also those that an earlier run left there and nothing would change",
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    study = load_study(chosen.study)
    if chosen.cohort is None and study.id != DEFAULT_STUDY:
        remedy = "give --cohort TABLE"
        rule = f"is needed for a study other than {DEFAULT_STUDY}"
        raise InputError([Problem(None, "cohort", rule, study.id, remedy)])
    if chosen.cohort is None and (chosen.predictors or chosen.adapter or chosen.outcome != "os"):
        remedy = "give --cohort TABLE, or leave --outcome, --predictors and --adapter out"
        rule = "is needed to choose what is fitted"
        raise InputError([Problem(None, "cohort", rule, None, remedy)])
    jobs: Sequence[Job] = SHIPPED
    if chosen.cohort is not None:
        jobs = (Job(chosen.outcome, chosen.predictors, ("cox", "forest")),)
    written: list[Path] = []
    out = Path(chosen.out)
    done = Done(out)
    for job in jobs:
        cohort = read_cohort(
            chosen.cohort or DEFAULT_COHORT, study, job.outcome, job.predictors, chosen.adapter
        )
        print(f"{cohort.outcome.label}\n{cohort_line(cohort)}")
        settings = replace(job.settings, seed=chosen.seed, replicates=chosen.replicates)
        for kind in job.kinds:
            path = out / study.id / job.outcome / kind
            work = identity_of_work(cohort, kind, settings)
            if chosen.again or not done.has(path, work):
                with working(f"fitting {kind} for {job.outcome}"):
                    done.add(path, work, fit(cohort, kind, settings).write(path).digest)
                note = kept_lines(path)
            else:
                note = ["unchanged since an earlier run, which fitted it; --again fits it anew"]
            written.append(path)
            bundle = open_bundle(path)
            print("\n".join(["", *_report(bundle), *(f"  {line}" for line in note)]))
        model = load_model(written[-len(job.kinds)])
        print("\n".join(["", *_example(model, cohort), ""]))
    print("Bundles")
    for path in written:
        print(f"  {path}")
    statement = load_model(written[0]).manifest.statement
    if statement:
        print(f"\n{statement}")
    return 0


def _report(bundle: Bundle) -> list[str]:
    inference, evaluation = bundle.read("inference.json"), bundle.read("evaluation.json")
    if bundle.manifest.kind == "cox":
        lines = ["  Cox proportional hazards", *coefficient_lines(inference)]
    else:
        trees = inference["trees"]
        lines = [f"  Random survival forest, {trees} trees", *importance_lines(inference)]
    c = evaluation["concordance"]
    figures = f"{c['in_sample']:.3f} in-sample, {c['out_of_bag']:.3f} out-of-bag"
    summary = summary_lines(evaluation.get("validation"))
    return [*lines, f"  Concordance: {figures}", *(f"  {line}" for line in summary)]


def _example(model: RiskModel, cohort: Cohort) -> list[str]:
    """Return a typical patient's survival at the horizons, under each treatment there is."""
    patient = model.manifest.typical_patient
    treatment = cohort.study.treatment
    levels = treatment.levels if treatment else ("",)
    records = [{**patient, treatment.name: lv} if treatment else patient for lv in levels]
    answer = model.answer(records)
    shown = {k: v for k, v in patient.items() if not treatment or k != treatment.name}
    traits = ", ".join(
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()
    )
    unit = cohort.study.time_unit
    of = f" ({traits})" if traits else ""
    lines = [f"  {cohort.outcome.label} of a typical patient{of}"]
    if model.manifest.interval_name:
        lines[0] += f", with {model.manifest.interval_name}"
    head = "".join(f"{f'{t:g} {unit}s':>20}" for t in answer.times)
    lines.append(f"  {'':<22}{head}{'median':>10}")
    for i, level in enumerate(levels):
        cells = "".join(
            f"{f'{s:.0%} ({low:.0%} to {high:.0%})':>20}"
            for s, low, high in zip(
                answer.survival[i], answer.lower[i], answer.upper[i], strict=True
            )
        )
        median = "not reached" if np.isnan(answer.median[i]) else f"{answer.median[i]:.1f}"
        lines.append(f"  {level or 'survival':<22}{cells}{median:>10}")
    return lines

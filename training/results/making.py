"""`python -m training results`: the runs, their figures as JSON, and the table of them.

The cohorts are public and are not part of this project: give the folder they lie in. What is
written holds figures alone, no row of a patient.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from riskscore.manifest import json_bytes
from riskscore.metrics._estimates import Estimate
from riskscore.model import load_model
from riskscore.study import load_study
from riskscore.tables import write_atomically
from training.cohort import Cohort, read_cohort
from training.fit import Settings, fit
from training.progress import working
from training.results.table import page
from training.settings import REPLICATES
from training.ship import SEG, SPLIT, VISITS, YEAR, External, external, require
from training.validation.results import clean, of_evaluation
from training.validation.validating import validate

__all__ = ["RUNS", "Run", "add_results_parser", "figures"]

STUDY, OUTCOME = "hcc-tace", "os"

FEW = ("largest_diameter", "child_class", "afp", "age")
"""Of first embolised visits: tumour number, invasion and metastasis are constant before 2016, and
in all years 10 patients have invasion and 10 metastasis."""

CURVES = ("calibration_curve", "decision_curve", "groups", "histogram")
"""Left out: what is committed are figures."""


@dataclass(frozen=True)
class Run:
    """A procedure, the patients it is fitted on, and how it is judged.

    Attributes
    ----------
    name : str
        Of the file.
    kind, adapter : str
    method : str
        One of `training.validation.validating.METHODS`, or "external" for HCC-TACE-Seg.
    predictors : tuple of str or None
        All of the study's where None.
    """

    name: str
    kind: str
    adapter: str
    method: str
    predictors: tuple[str, ...] | None = FEW


FIRST, ALL = "survivalpath-embolised", "survivalpath-all"

RUNS = (
    Run("first-cox-bootstrap", "cox", FIRST, "bootstrap"),
    Run("first-forest-oob", "forest", FIRST, "oob"),
    Run("first-forest-632plus", "forest", FIRST, "632plus"),
    *(Run(f"first-{kind}-cv", kind, FIRST, "cv") for kind in ("cox", "forest")),
    *(Run(f"first-{kind}-temporal", kind, FIRST, "temporal") for kind in ("cox", "forest")),
    *(Run(f"first-{kind}-elsewhere", kind, FIRST, "external") for kind in ("cox", "forest")),
    Run("all-cox-bootstrap", "cox", ALL, "bootstrap", None),
    Run("all-cox-temporal", "cox", ALL, "temporal", None),
    Run("all-cox-elsewhere", "cox", ALL, "external", None),
)


def add_results_parser(commands: Any) -> None:
    """Add the command `results`."""
    parser = commands.add_parser(
        "results", help="judge Cox model and forest on the public cohorts, and write the table"
    )
    parser.add_argument("--cohorts", required=True, help="folder of the public cohorts")
    parser.add_argument("--out", required=True, help="folder of the figures")
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument("--trees", type=int, help="of the forests")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="of each validation")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    cohorts, out = Path(chosen.cohorts), Path(chosen.out)
    require(cohorts)
    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(seed=chosen.seed, trees=chosen.trees)
    found: dict[str, dict[str, Any]] = {}
    for run in RUNS:
        with working(run.name):
            found[run.name] = figures(run, cohorts, settings, chosen.replicates)
        with write_atomically(out / f"{run.name}.json") as partial:
            partial.write_bytes(json_bytes(found[run.name]))
        print(run.name)
    with write_atomically(out / "README.md") as partial:
        partial.write_text(page(found), encoding="utf-8")
    return 0


def figures(run: Run, cohorts: Path, settings: Settings, replicates: int) -> dict[str, Any]:
    """Return what a run's file holds: who was judged and how, and every figure, without curves.

    Parameters
    ----------
    run : Run
    cohorts : Path
        Folder of the public cohorts.
    settings : Settings
    replicates : int
        Of the validation; an evaluation of other patients takes them for its intervals.

    Raises
    ------
    InputError
        If a cohort cannot be read.
    """
    study = load_study(STUDY)
    cohort = read_cohort(cohorts / VISITS, study, OUTCOME, run.predictors, run.adapter, (YEAR,))
    if run.method == "external":
        judged = _elsewhere(run, cohort, cohorts, settings, replicates)
    else:
        judged = validate(
            cohort, run.kind, settings, run.method, replicates=replicates,
            column=cohort.kept[YEAR], split=SPLIT,
        )  # fmt: skip
    about = {
        "study": STUDY,
        "outcome": OUTCOME,
        "cohort": cohort.name,
        "sha256": cohort.sha256,
        "adapter": run.adapter,
        "predictors": [p.name for p in cohort.predictors],
    }
    found: dict[str, Any] = clean(about | _without_curves(judged))
    return found


def _elsewhere(
    run: Run, cohort: Cohort, cohorts: Path, settings: Settings, replicates: int
) -> dict[str, Any]:
    """Fit, judge on HCC-TACE-Seg, and compare with the other kind there."""
    job = External("", STUDY, "", SEG, "hcc-tace-seg", ())
    with TemporaryDirectory() as folder:
        models = []
        for kind in (run.kind, "forest" if run.kind == "cox" else "cox"):
            path = Path(folder) / kind
            fit(cohort, kind, settings).write(path)
            models.append(load_model(path))
        found = external(models[0], job, cohorts, replicates, settings.seed, against=models[1])
    assert found.paired is not None
    less = found.paired
    return {
        "method": "external",
        "model": run.kind,
        "how": f"fitted on all patients of the cohort, judged on {SEG}",
        "judged_on": found.cohort,
        "seed": settings.seed,
        "patients": cohort.n_patients,
        "rows": len(cohort.time),
        "events": int(cohort.event.sum()),
        "notes": list(found.notes),
        "less_the_other_kind": {
            "concordance": _index(less.concordance), "brier": [_index(b) for b in less.brier],
        },
    } | of_evaluation(found.evaluation)  # fmt: skip


def _index(found: Estimate) -> dict[str, float | None]:
    return {"value": found.value, "lower": found.lower, "upper": found.upper}


def _without_curves(found: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key != "instability"}
    kept["horizons"] = [
        {key: value for key, value in row.items() if key not in CURVES} for row in found["horizons"]
    ]
    return kept

"""`python -m training ship`: the model of real patients, and how shipped models do on others.

The cohorts are public and are not part of this project: give the folder they lie in. What is
written holds figures alone, no row of a patient.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from riskscore.bundle import EXTERNAL, open_bundle
from riskscore.errors import InputError, Problem
from riskscore.model import RiskModel, load_model
from riskscore.review import DRAFT, REVIEW, review_of
from riskscore.study import load_study
from riskscore.tables import read_table, write_atomically
from riskscore.validation.cohort import check_validation_cohort
from riskscore.validation.report import text
from riskscore.validation.validating import Population, Validation, attach, validate
from training.adapters import BELONGS, POPULATION, adapt
from training.cohort import Cohort, read_cohort
from training.commands import written_lines
from training.fit import Settings, fit
from training.progress import working
from training.settings import REPLICATES
from training.validation.validating import validate as judge

__all__ = [
    "EXTERNALS",
    "REAL",
    "SEG",
    "VISITS",
    "External",
    "RealJob",
    "add_ship_parser",
    "external",
    "require",
]

YEAR, SPLIT = "first_year", 2016.0
"""What parts earlier from later patients."""

SEG = "hcc-tace-seg.csv"
VISITS = "survivalpath-hcc-visits.csv"


@dataclass(frozen=True)
class RealJob:
    """A model of a public cohort."""

    study: str
    outcome: str
    kind: str
    file: str
    adapter: str


REAL = RealJob("hcc-tace", "os", "cox", VISITS, "survivalpath-all")
"""All visits, with robust variance: of first visits of the embolised only 10 have vascular invasion
and 10 metastasis, which is too few to learn their effects."""


@dataclass(frozen=True)
class External:
    """A shipped model on other patients, and what was assumed of them.

    Attributes
    ----------
    model, study, name, file, adapter : str
        `name` is the attachment's.
    notes : tuple of str
        Assumptions, for whoever reads the figures.
    otherwise : str
        What is assumed instead in a second look, whose figures go into the notes; or none.
    change : callable
        Makes the table of the second look.
    """

    model: str
    study: str
    name: str
    file: str
    adapter: str
    notes: tuple[str, ...]
    otherwise: str = ""
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame


NO_SORAFENIB = (
    "nobody is recorded as treated by TACE with sorafenib: everybody is taken for deb_tace"
)
BASELINE = (
    "the source's hazard ratios are published and its baseline is reconstructed: concordance and "
    "calibration slope judge the published equation, the other figures describe"
)
UNKNOWN_ORIGIN = "HCC-TACE-Seg does not say from when survival is counted"

EXTERNALS = (
    External(
        "deb-tace-hcc/os/cox",
        "deb-tace-hcc",
        "hcc-tace-seg",
        SEG,
        "hcc-tace-seg-as-deb-tace",
        (
            BASELINE,
            UNKNOWN_ORIGIN,
            "multinodular is taken for more than 3 tumours, which it need not be",
            NO_SORAFENIB,
        ),
        "if nobody had more than 3 tumours",
        lambda frame: frame.assign(tumor_number="<=3"),
    ),
    External(
        "deb-tace-hcc/os/cox",
        "deb-tace-hcc",
        "survivalpath",
        VISITS,
        "survivalpath-as-deb-tace",
        (
            BASELINE,
            "first visits with embolisation and without resection",
            "4 lesions are taken for more than 3: the source probably writes 4 for four or more",
            NO_SORAFENIB,
            "vascular invasion and metastasis are recorded in few of these first visits",
        ),
    ),
    External(
        "hcc-tace/os/cox",
        "hcc-tace",
        "hcc-tace-seg",
        SEG,
        "hcc-tace-seg",
        (
            UNKNOWN_ORIGIN,
            "the model was fitted on visits of any treatment, most without embolisation; these had "
            "TACE",
        ),
    ),
)
"""What `ship` attaches to the shipped bundles."""


DEVELOPERS = "its developers, not a committee"

REBUILT = (
    "being rebuilt with the year and order of visits and effects that change over time; use none "
    "of its risks, which are too low before 2016 and too high since"
)
"""What the review status of the model of real patients says until it is rebuilt."""


def add_ship_parser(commands: Any) -> None:
    """Add the command `ship`."""
    parser = commands.add_parser(
        "ship", help="fit the shipped model of a public cohort; attach the external validations"
    )
    parser.add_argument("--cohorts", required=True, help="folder of the public cohorts")
    parser.add_argument("--out", required=True, help="folder of the bundles")
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="of each validation")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    cohorts, out = Path(chosen.cohorts), Path(chosen.out)
    require(cohorts)
    study = load_study(REAL.study)
    cohort = read_cohort(cohorts / REAL.file, study, REAL.outcome, None, REAL.adapter, (YEAR,))
    with working(f"fitting {REAL.kind} for {REAL.study}"):
        settings = Settings(seed=chosen.seed, replicates=chosen.replicates)
        fitted = fit(cohort, REAL.kind, settings)
        fitted.evaluation["temporal"] = _later(cohort, settings)
        written = fitted.write(out / fitted.manifest.id)
    lines = written_lines(written, out / written.id)
    for job in EXTERNALS:
        if not (out / job.model).is_dir():
            lines.append(f"{job.model} is not in {out}: not validated on {job.name}")
            continue
        model = load_model(out / job.model)
        with working(f"validating {job.model} on {job.name}"):
            found = external(model, job, cohorts, chosen.replicates, chosen.seed)
        # Made again by this command, so the older one may go.
        (out / job.model / EXTERNAL / f"{job.name}.json").unlink(missing_ok=True)
        attach(model, found, job.name)
        lines.append(f"\n{text(found)}")
    lines += state_rebuilding(out / fitted.manifest.id)
    print("\n".join(lines))  # last: a reader such as head may stop the program here
    return 0


def state_rebuilding(bundle: Path) -> list[str]:
    """Write into a bundle's review that it is a draft being rebuilt; a committee's review stays.

    The review names the digest, as every review does: the rebuilt model will not carry it. Returns
    lines for the reader where it stays.
    """
    opened = open_bundle(bundle)
    review = review_of(opened)
    if review.reviewer_role not in ("", DEVELOPERS):
        return [f"{bundle / REVIEW} was written by others ({review.reviewer_role}): it stays"]
    stated = {
        "status": DRAFT,
        "reviewer_role": DEVELOPERS,
        "date": opened.manifest.created[:10],
        "decision": REBUILT,
        "digest": opened.manifest.digest,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in stated.items()]
    with write_atomically(bundle / REVIEW) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return []


def _later(cohort: Cohort, settings: Settings) -> dict[str, Any]:
    """Return how the procedure, fitted on earlier patients, does on later ones."""
    found = judge(cohort, REAL.kind, settings, "temporal", column=cohort.kept[YEAR], split=SPLIT)
    return found | {"split": {"column": YEAR, **found["split"]}}


def require(cohorts: Path) -> None:
    """Refuse a folder in which a public cohort is missing."""
    missing = [name for name in (SEG, VISITS) if not (cohorts / name).is_file()]
    if missing:
        remedy = "give the folder that holds it"
        raise InputError([Problem(None, "--cohorts", "must hold the file", missing[0], remedy)])


def external(
    model: RiskModel,
    job: External,
    cohorts: Path,
    replicates: int = REPLICATES,
    seed: int = 0,
    against: RiskModel | None = None,
) -> Validation:
    """Validate a model on a public cohort; rows with a gap in its predictors are left out.

    Parameters
    ----------
    model : RiskModel
    job : External
    cohorts : Path
        Folder of the public cohorts.
    replicates, seed : int
        Of the bootstrap.
    against : RiskModel, optional
        A second model to compare with.

    Returns
    -------
    Validation
        Its notes begin with what was assumed.

    Raises
    ------
    InputError
        If the cohort cannot be read.
    """
    file = cohorts / job.file
    adapted = adapt(job.adapter, read_table(file), load_study(job.study))[0]
    complete = adapted.dropna(subset=[p.name for p in model.manifest.predictors])
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def judged(frame: pd.DataFrame) -> Validation:
        cohort = check_validation_cohort(frame, model.manifest, name=file.name, sha256=sha256)
        return validate(model, cohort, against=against, replicates=replicates, seed=seed)

    found = judged(complete)
    notes = list(job.notes)
    if len(complete) < len(adapted):
        gaps = len(adapted) - len(complete)
        notes.append(f"{gaps} of {len(adapted)} rows left out: a predictor is missing")
    if job.otherwise:
        notes.append(f"{job.otherwise}: {_in_short(judged(job.change(complete)))}")
    return replace(found, notes=(*notes, *found.notes), population=_population(complete))


def _population(frame: pd.DataFrame) -> Population | None:
    """Return how many rows are of the model's population, where the adapter tells it."""
    if BELONGS not in frame:
        return None
    within, unknown = (int((frame[BELONGS] == word).sum()) for word in ("yes", "unknown"))
    return Population(within, len(frame) - unknown, len(frame), POPULATION)


def _in_short(found: Validation) -> str:
    """Return the two figures that need no baseline."""
    c, last = found.evaluation.harrell, found.evaluation.horizons[-1]
    slope = last.calibration.slope
    parts = []
    if c is not None:
        parts.append(f"concordance {c.value:.3f} ({c.lower:.3f} to {c.upper:.3f})")
    if slope is not None:
        parts.append(
            f"calibration slope at {found.time_unit} {last.horizon:g} {slope.value:.2f} "
            f"({slope.lower:.2f} to {slope.upper:.2f})"
        )
    return ", ".join(parts)

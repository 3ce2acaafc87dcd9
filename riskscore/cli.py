"""The `riskscore` command: which models there are, what one is, predicts, and is worth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from riskscore._command import count, run_command, times
from riskscore.attached import attached_to
from riskscore.bundle import open_bundle, shipped_bundles
from riskscore.errors import InputError, Problem
from riskscore.manifest import Manifest, json_bytes
from riskscore.model import RiskModel, load_model
from riskscore.performance import performance_lines
from riskscore.review import review_of
from riskscore.study import load_study
from riskscore.tables import read_table, write_atomically, write_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 for bad input."""
    return run_command(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="riskscore", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list the shipped models")
    models.set_defaults(run=_models)

    show = commands.add_parser("show", help="say what a model is and what it takes")
    show.add_argument("model", metavar="MODEL", help="id of a shipped model, or path of a bundle")
    show.set_defaults(run=_show)

    predict = commands.add_parser("predict", help="predict the survival of a table of patients")
    predict.add_argument(
        "model", metavar="MODEL", help="id of a shipped model, or path of a bundle"
    )
    predict.add_argument("table", metavar="TABLE", help="patients: .csv, .parquet or .xlsx")
    predict.add_argument(
        "--times", type=times, metavar="T,T", help="when, in the study's unit (default: horizons)"
    )
    predict.add_argument(
        "-o", "--out", metavar="OUT", help="file to write (default: CSV on standard output)"
    )
    predict.set_defaults(run=_predict)

    for name, what, run in (
        ("compare", "predict under each treatment, and the difference", _compare),
        ("explain", "share out a prediction among the predictors", _explain),
    ):
        asked = commands.add_parser(name, help=what)
        asked.add_argument(
            "model", metavar="MODEL", help="id of a shipped model, or path of a bundle"
        )
        asked.add_argument("table", metavar="TABLE", help="patients: .csv, .parquet or .xlsx")
        asked.add_argument(
            "--times" if name == "compare" else "--time",
            type=times if name == "compare" else float,
            metavar="T,T" if name == "compare" else "T",
            help="when, in the study's unit (default: horizons, or the first of them)",
        )
        asked.add_argument(
            "-o", "--out", metavar="OUT", help="file to write (default: CSV on standard output)"
        )
        asked.set_defaults(run=run)

    validate = commands.add_parser("validate", help="judge a model on patients of your own")
    validate.add_argument(
        "model", metavar="MODEL", help="id of a shipped model, or path of a bundle"
    )
    validate.add_argument(
        "cohort", metavar="COHORT", help="patients with their follow-up: .csv, .parquet or .xlsx"
    )
    validate.add_argument(
        "--study", help="the whole study: subgroups by columns the model does not ask for"
    )
    validate.add_argument(
        "--against", metavar="MODEL", help="a second model, compared on the same patients"
    )
    validate.add_argument("-o", "--out", metavar="OUT", help="JSON file to write")
    validate.add_argument(
        "--attach", metavar="NAME", help="put the validation into the bundle as external/NAME.json"
    )
    validate.add_argument(
        "--replicates", type=count, default=200, help="bootstrap resamples (default: %(default)s)"
    )
    validate.add_argument("--seed", type=count, default=0, help="of the bootstrap")
    validate.set_defaults(run=_validate)
    return parser


def _validate(chosen: argparse.Namespace) -> int:
    from riskscore.validation import attach, read_validation_cohort, text, validate

    model = load_model(chosen.model)
    against = load_model(chosen.against) if chosen.against else None
    study = load_study(chosen.study) if chosen.study else None
    cohort = read_validation_cohort(chosen.cohort, model.manifest, study)
    found = validate(model, cohort, against=against, replicates=chosen.replicates, seed=chosen.seed)
    if chosen.out:
        with write_atomically(chosen.out) as partial:
            partial.write_bytes(json_bytes(found.to_dict()))
    if chosen.attach:
        attach(model, found, chosen.attach)
    print(text(found))  # last: a reader such as head may stop the program here
    return _state(model)


def _models(_: argparse.Namespace) -> int:
    rows = [("MODEL", "OUTCOME", "PATIENTS", "WITH EVENT", "TRAINED ON")]
    for model_id in shipped_bundles():
        manifest = open_bundle(model_id).manifest
        training = manifest.training
        rows.append(
            (
                model_id,
                manifest.outcome.label,
                str(training["patients"]),
                str(training["patients_with_event"]),
                training["cohort"]["kind"],
            )
        )
    print(_aligned(rows))
    return 0


def _show(chosen: argparse.Namespace) -> int:
    bundle = open_bundle(chosen.model)
    print(_summary(bundle.manifest))
    print("\nPairs: two patients, one known to have had the event first; right: the higher risk")
    for heading, line in performance_lines(bundle):
        print(f"{heading:<12}{line}")
    print(f"\nReview: {review_of(bundle).label}")
    attached = attached_to(bundle)
    if attached.own:
        print(f"Validations on other patients: {', '.join(attached.own)}")
    if attached.void:
        print(f"Of another version of this model, so not counted: {', '.join(attached.void)}")
    return 0


def _predict(chosen: argparse.Namespace) -> int:
    model = load_model(chosen.model)
    table = read_table(chosen.table)
    predicted = model.predict(table, chosen.times).to_frame()
    _refuse_loss(table, predicted, chosen)
    # The patients' own columns come first, so that a row can be told from its neighbours.
    result = table.join(predicted.set_axis(table.index))
    _write(result, chosen)
    return _state(model)


def _compare(chosen: argparse.Namespace) -> int:
    model = load_model(chosen.model)
    table = _patients(chosen)
    found = model.compare(table, chosen.times)
    _write(found.to_frame(), chosen)
    print(f"{found.statement} Interval: {found.contrast.interval}.", file=sys.stderr)
    return _state(model)


def _explain(chosen: argparse.Namespace) -> int:
    model = load_model(chosen.model)
    found = model.explain(_patients(chosen), chosen.time)
    frame = found.contributions.rename_axis("patient").reset_index()
    frame.insert(1, "reference", found.reference_survival)
    _write(frame.assign(survival=found.survival.to_numpy()), chosen)
    typical = ", ".join(f"{name} {value}" for name, value in found.reference.items())
    unit = model.manifest.study.time_unit
    print(
        f"What each value adds to survival at {unit} {found.shares.time:g}, from that of a typical "
        f"training patient ({typical}). It describes the model, not causes.",
        file=sys.stderr,
    )
    return _state(model)


def _patients(chosen: argparse.Namespace) -> pd.DataFrame:
    """Return the table, its rows numbered from 1 as in every message."""
    if chosen.out and Path(chosen.out).resolve() == Path(chosen.table).resolve():
        rule = "must not be the table of patients"
        raise InputError([Problem(None, "--out", rule, chosen.out, "name another file")])
    table = read_table(chosen.table)
    return table.set_axis(range(1, len(table) + 1))


def _write(frame: pd.DataFrame, chosen: argparse.Namespace) -> None:
    if chosen.out:
        write_table(frame, chosen.out)
    else:
        frame.to_csv(sys.stdout, index=False)


def _state(model: RiskModel) -> int:
    if model.manifest.statement:
        print(f"{model.manifest.id}: {model.manifest.statement}", file=sys.stderr)
    print(f"Review: {model.review.label}", file=sys.stderr)
    return 0


def _refuse_loss(table: pd.DataFrame, predicted: pd.DataFrame, chosen: argparse.Namespace) -> None:
    """Refuse to write over the patients' table, or over columns it has."""
    remedy = "rename it in the table, or drop it"
    problems = [
        Problem(None, str(name), "is a column of the table already", None, remedy)
        for name in predicted
        if name in table
    ]
    if chosen.out and Path(chosen.out).resolve() == Path(chosen.table).resolve():
        rule = "must not be the table of patients"
        problems.append(Problem(None, "--out", rule, chosen.out, "name another file"))
    if problems:
        raise InputError(problems)


def _summary(manifest: Manifest) -> str:
    study, outcome, training = manifest.study, manifest.outcome, manifest.training
    unit = study.time_unit
    interval = manifest.intervals
    has = interval["method"] if interval["available"] else f"none: {interval['reason']}"
    # Rows of a reconstructed cohort are nobody's.
    whose = "records" if training["cohort"]["kind"] == "reconstructed" else "patients"
    facts = [
        ("Model", f"{manifest.id} ({manifest.kind})"),
        ("Digest", manifest.digest),
        ("Study", study.title),
        ("Population", study.population),
        ("Predicts", f"{outcome.label}, from {study.time_origin}"),
        ("Horizons", ", ".join(f"{h:g}" for h in outcome.horizons) + f" {unit}s"),
        ("Follow-up", f"up to {manifest.follow_up_limit:g} {unit}s"),
        ("Interval", has),
        (
            "Trained on",
            f"{training['patients']} {whose}, {training['patients_with_event']} with the event"
            + (
                f"; {training['rows']} rows, {training['events']} with it"
                if training["rows"] != training["patients"]
                else ""
            )
            + f" ({training['cohort']['kind']}: {training['cohort']['source']})",
        ),
    ]
    if "parent" in training:
        parent, update = training["parent"], training["update"]
        facts.insert(2, ("Parent", f"{parent['id']} {parent['digest']}"))
        facts.insert(3, ("Update", f"{update['method']}: {update['what']}"))
        if "caution" in update:
            facts.insert(4, ("Caution", update["caution"]))
    lines = [f"{name:<12}{text}" for name, text in facts]
    lines += ["", "Predictors"]
    for p in manifest.predictors:
        lines.append(f"  {p.name:<26}{p.label}: {p.allowed()}")
    if manifest.statement:
        lines += ["", manifest.statement]
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

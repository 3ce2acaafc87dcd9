"""`python -m training fit`: from a study and a cohort to a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from riskscore._command import INTERRUPTED, names
from riskscore.bundle import written_by_people
from riskscore.errors import InputError, Problem
from riskscore.manifest import Manifest
from riskscore.study import load_study
from training.adapters import ADAPTERS
from training.cohort import Cohort, read_cohort
from training.cox.risk_sets import TIES
from training.fit import KINDS, Fitted, Settings, fit
from training.forest import SPLITTINGS
from training.progress import working
from training.ratios import hazard_ratio_text
from training.settings import REPLICATES
from training.validation.cluster import on_cluster
from training.validation.keeping import keeping
from training.validation.report import summary_lines

__all__ = [
    "add_cohort_arguments",
    "add_fit_parser",
    "add_model_arguments",
    "coefficient_lines",
    "cohort_line",
    "hypothesis_lines",
    "importance_lines",
    "kept_lines",
    "refuse_options_of_the_other_kind",
    "settings_of",
    "written_lines",
]

CENSORED = (
    "the competing event ({}) is censored: survival is of the event in a world without it, and "
    "risks are too high where it is common"
)


def add_fit_parser(commands: Any) -> None:
    """Add the command `fit`."""
    parser = commands.add_parser("fit", help="fit a model to a cohort and write its bundle")
    add_cohort_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--out", required=True, help="directory of the bundle")
    parser.add_argument("--name", help="last part of the model's id (default: the model)")
    parser.add_argument(
        "--replicates",
        type=int,
        default=REPLICATES,
        help="resamples of the internal validation; 0 leaves it out",
    )
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="multiply a Cox model's coefficients by their corrected calibration slope over the "
        "whole follow-up",
    )
    parser.set_defaults(run=_fit)


def add_cohort_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a cohort, an outcome and its predictors."""
    parser.add_argument("--study", required=True, help="study file, or id of a shipped study")
    parser.add_argument("--cohort", required=True, help="table: .csv, .parquet or .xlsx")
    parser.add_argument("--adapter", choices=ADAPTERS, help="for a public file as published")
    parser.add_argument("--outcome", required=True, help="name of an outcome of the study")
    parser.add_argument(
        "--predictors", type=names, metavar="A,B", help="which of the study's (default: all)"
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a kind of model and says how it is fitted."""
    defaults = Settings()
    parser.add_argument("--model", required=True, choices=KINDS, help="what to fit")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument(
        "--trees", type=int, help="of a forest (default: 500; 2,000 with --stability)"
    )
    parser.add_argument(
        "--min-leaf", type=int, default=defaults.min_leaf, help="least rows in a forest's leaf"
    )
    parser.add_argument(
        "--max-times", type=int, default=defaults.max_times, help="most times of a forest's curve"
    )
    parser.add_argument(
        "--splitting", choices=SPLITTINGS, default=defaults.splitting, help="rule of a forest"
    )
    parser.add_argument(
        "--max-features",
        type=_columns,
        default=defaults.max_features,
        metavar="sqrt|log2|NUMBER",
        help="columns a forest tries at each split",
    )
    parser.add_argument(
        "--stability",
        action="store_true",
        help="give a forest's predictions a band: how far they depend on who was there",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="choose a forest's --min-leaf and --max-features by its out-of-bag Brier score",
    )
    parser.add_argument(
        "--ties", choices=TIES, default=defaults.ties, help="of a Cox model's event times"
    )
    parser.add_argument(
        "--penalty",
        type=_penalty,
        default=defaults.penalty,
        metavar="NUMBER|auto|firth",
        help="ridge of a Cox model, per standardised term; auto: cross-validated; firth: Firth's "
        "penalised likelihood, for levels without events",
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="scheduler of a Dask cluster that does the resamples (default: this machine)",
    )


def settings_of(chosen: argparse.Namespace, **more: Any) -> Settings:
    """Return the settings that `add_model_arguments` reads."""
    return Settings(
        seed=chosen.seed,
        trees=chosen.trees,
        min_leaf=chosen.min_leaf,
        max_times=chosen.max_times,
        splitting=chosen.splitting,
        max_features=chosen.max_features,
        stability=chosen.stability,
        tune=chosen.tune,
        ties=chosen.ties,
        penalty=chosen.penalty,
        **more,
    )


def refuse_options_of_the_other_kind(chosen: argparse.Namespace) -> None:
    """Refuse what would be left out in silence."""
    plain = Settings()
    options = {
        "forest": ("trees", "splitting", "stability", "tune", "max_features"),
        "cox": ("ties", "penalty", "shrink"),
    }
    for kind, names_of in options.items():
        asked = [n for n in names_of if getattr(chosen, n, None) not in (None, getattr(plain, n))]
        if kind != chosen.model and asked:
            option = f"--{asked[0].replace('_', '-')}"
            rule = f"is of a {'Cox model' if kind == 'cox' else 'forest'} only"
            raise InputError([Problem(None, option, rule, chosen.model, "leave it out")])


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
    """Return the table of a Cox model as aligned lines; with a penalty, hazard ratios alone.

    A spline has one line: its upper quartile against its lower.
    """
    contrasts = {c["predictor"]: c for c in inference["contrasts"]}
    rows: list[tuple[str, dict[str, Any]]] = []
    for c in inference["coefficients"]:
        told = contrasts[c["predictor"]]
        if not c["knots"]:
            rows.append((c["term"], c))
        elif not c["part"]:
            between = f"{told['value']:.4g} vs {told['reference']:.4g}"
            rows.append((f"{c['predictor']}, {between}", told))
    if inference["penalty"]:
        lines = [f"  {'':<30}{'HR':>7}"]
        return lines + [
            f"  {name:<30}{hazard_ratio_text(row['hazard_ratio']):>7}" for name, row in rows
        ]
    lines = [f"  {'':<30}{'HR':>7}   {'95 % CI':<16}{'P':>8}"]
    for name, row in rows:
        ratio, lower, upper = (
            hazard_ratio_text(row[key]) for key in ("hazard_ratio", "lower", "upper")
        )
        interval = f"{lower} to {upper}"
        lines.append(f"  {name:<30}{ratio:>7}   {interval:<16}{_p(row['p']):>8}")
    return lines


def hypothesis_lines(inference: dict[str, Any]) -> list[str]:
    """Return a Cox model's tests, and its warnings, as aligned lines."""
    lines = []
    if inference["penalty"]:
        p = inference["penalty"]
        value = "" if p["value"] is None else f" {p['value']:.4g}"
        lines.append(f"  {p['kind']}{value} ({p['chosen']}): no errors, no P values")
    else:
        words = {
            "likelihood_ratio": "no effect: likelihood ratio",
            "wald": "no effect: Wald",
            "score": "no effect: score",
            "robust_score": "no effect: robust score",
        }
        tests = [(word, inference["tests"].get(name)) for name, word in words.items()]
        how = "penalised likelihood" if "penalised_likelihood" in inference else "Wald"
        tests += [(f"{t['predictor']}: no curvature ({how})", t) for t in inference["nonlinearity"]]
        proportional = inference["proportional_hazards"]
        tests += [(f"{t['predictor']}: proportional hazards", t) for t in proportional["terms"]]
        tests.append(("proportional hazards, all", proportional["global"]))
        lines += [f"  {'tested':<46}{'chi-square':>11}{'df':>5}{'P':>9}"]
        lines += [
            f"  {word:<46}{t['chi_square']:>11.2f}{t['df']:>5}{_p(t['p']):>9}"
            for word, t in tests
            if t is not None
        ]
    return lines + [f"  warning: {text}" for text in inference["warnings"]]


def importance_lines(inference: dict[str, Any]) -> list[str]:
    """Return what tuning chose, and the importance of a forest's predictors as aligned lines."""
    lines = _tuning_lines(inference["tuning"])
    lines += [f"  {'':<30}{'concordance lost when shuffled':>30}   95 % interval"]
    for i in inference["importance"]:
        interval = f"{i['lower']:.3f} to {i['upper']:.3f}"
        lines.append(f"  {i['predictor']:<30}{i['concordance_lost']:>30.3f}   {interval}")
    return lines


def _tuning_lines(tuning: dict[str, Any] | None) -> list[str]:
    if tuning is None:
        return []
    chosen = tuning["chosen"]
    return [
        f"  tuned: {chosen['min_leaf']} rows in a leaf or more, {chosen['max_features']} columns "
        "tried at a split,",
        f"  the best of {len(tuning['grid'])} by out-of-bag integrated Brier score "
        f"({chosen['integrated_brier']:.4f})",
    ]


def _columns(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _penalty(text: str) -> float | str:
    return text if text in ("auto", "firth") else float(text)


def _fit(chosen: argparse.Namespace) -> int:
    study = load_study(chosen.study)
    cohort = read_cohort(chosen.cohort, study, chosen.outcome, chosen.predictors, chosen.adapter)
    refuse_options_of_the_other_kind(chosen)
    settings = settings_of(chosen, replicates=chosen.replicates, shrink=chosen.shrink)
    out = Path(chosen.out)
    with (
        keeping(out.with_name(f"{out.name}.partial")) as kept,
        working(f"fitting {chosen.model}"),
        on_cluster(chosen.dask),
    ):
        fitted = fit(cohort, chosen.model, settings, chosen.name)
        manifest = fitted.write(chosen.out)
    print("\n".join(_report(fitted, manifest, out)))
    return INTERRUPTED if kept.stopped else 0


def _report(fitted: Fitted, manifest: Manifest, out: Path) -> list[str]:
    lines = [cohort_line(fitted.cohort)]
    for step in fitted.cohort.flow["excluded"]:
        lines.append(f"  left out {step['rows']:>6}  {step['rule']}")
    for step in fitted.cohort.flow["changed"]:
        lines.append(f"  changed  {step['rows']:>6}  {step['rule']}")
    if competing := fitted.cohort.outcome.competing:
        lines.append(f"  {CENSORED.format(competing)}")
    inference, c = fitted.inference, fitted.evaluation["concordance"]
    if manifest.kind == "cox":
        lines += [f"Cox model (variance: {inference['variance']})", *coefficient_lines(inference)]
        lines += hypothesis_lines(inference)
    else:
        lines += [f"Forest of {inference['trees']} trees", *importance_lines(inference)]
    lines += [
        f"Concordance {c['in_sample']:.3f} in-sample, {c['out_of_bag']:.3f} out-of-bag",
        *summary_lines(fitted.evaluation.get("validation")),
        *(f"  {note}" for note in (fitted.evaluation.get("validation") or {}).get("notes", ())),
        *written_lines(manifest, out),
    ]
    if manifest.statement:
        lines.append(manifest.statement)
    return lines


def written_lines(manifest: Manifest, out: Path) -> list[str]:
    """Return what is said of a bundle that was written: its identity, and what was kept there."""
    return [f"{manifest.id} {manifest.digest}", f"written to {out}", *kept_lines(out)]


def kept_lines(out: Path) -> list[str]:
    """Return what is said of files that people wrote and that a new bundle left where they were."""
    kept = written_by_people(out)
    whose = "a review or validation counts for the model whose digest it names"
    return [f"kept there: {', '.join(kept)} ({whose})"] if kept else []

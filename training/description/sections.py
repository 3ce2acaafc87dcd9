"""The tables of a description as rows of short texts, for the terminal and for Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.description.cells import (
    NONE,
    count_text,
    event_text,
    fixed_text,
    is_told,
    p_text,
    quartiles_text,
    rate_text,
    ratio_text,
    short_text,
    survival_text,
    time_text,
)

__all__ = ["Section", "sections", "term_labels"]


@dataclass(frozen=True)
class Section:
    """One table: its title, its header, its rows, and what stands below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def sections(description: dict[str, Any]) -> list[Section]:
    """Return the tables of a description, in the order of a paper."""
    found = [_published(description["published"])] if "published" in description else []
    found += [_table_one(description)]
    for outcome in description["outcomes"]:
        found += [
            _medians(description, outcome),
            _at_horizons(description, outcome),
            _at_risk(description, outcome),
            _regression(outcome, description["left_out"]),
        ]
    found += [_responses(description)] if description["responses"] else []
    found += [_adverse_events(description)] if description["adverse_events"] else []
    return found


def term_labels(
    rows: Sequence[dict[str, Any]],
) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the lines of a Cox table: a category's label stands alone, above its levels."""
    lines: list[tuple[str, dict[str, Any] | None]] = []
    predictor = ""
    for row in rows:
        if row["form"] == "spline":
            high, low = row["compared"]
            lines.append((f"{row['label']}, {high:.4g} vs {low:.4g} {row['unit']}", row))
        elif row["level"] is None:
            per = "e-fold" if row["form"] == "log" else row["unit"]
            lines.append((f"{row['label']}, per {per}", row))
        else:
            if row["predictor"] != predictor:
                lines.append((row["label"], None))
            lines.append((f"  {row['level']} vs {row['reference']}", row))
        predictor = row["predictor"]
    return lines


def _published(published: dict[str, Any]) -> Section:
    keys = ("quantity", "published", "reproduced", "tolerance", "agrees", "note")
    rows: list[tuple[str, ...]] = []
    where = ""
    for row in published["rows"]:
        if row["where"] != where:
            where = row["where"]
            rows.append((where, *[""] * (len(keys) - 1)))
        rows.append((f"  {row['quantity']}", *(row[key] for key in keys[1:])))
    notes = tuple(published["summary"].splitlines())
    return Section("Published against reproduced", ("", *keys[1:]), tuple(rows), notes)


def _table_one(description: dict[str, Any]) -> Section:
    arms = description["arms"]
    several = len(arms) > 1
    by = description["by"]
    heads = [f"{arm['level']}, n={arm['n']}" for arm in arms] if several else []
    header = ("", *heads, f"all, n={description['cohort']['patients']}")
    rows: list[tuple[str, ...]] = []
    marks: set[str] = set()
    for row in description["table_one"]:
        groups = [*(row["groups"] if several else []), row["overall"]]
        test = row["rank_test"] if row["form"] == "log" else row["test"]
        told = (_marked(test, marks), fixed_text(row["smd"], 2)) if several else ()
        rows += _category_rows(row, groups, told) if row["kind"] == "category" else []
        rows += _number_rows(row, groups, told) if row["kind"] == "number" else []
        if any(g["missing"] for g in groups):
            rows.append(
                ("  missing", *(count_text(g["missing"], g["missing"] + g["n"]) for g in groups))
            )
    notes = ["Counts with percentages of those known; numbers as mean (SD), or median (quartiles)."]
    if several:
        header = (*header, "P", "SMD")
        notes += [
            f"By {by['label']}. P: chi-square (c), Fisher's exact (f), chi-square with an expected "
            "count below 5 (s), t-test (t), analysis of variance (v), Kruskal-Wallis (k).",
            "SMD: standardised mean difference, the largest between two arms.",
        ]
    title = "Characteristics"
    return Section(title, header, tuple(_padded(rows, len(header))), tuple(notes))


LETTERS = {
    "chi-square": "c", "Fisher's exact": "f", "chi-square, an expected count below 5": "s",
    "t": "t", "ANOVA": "v", "Kruskal-Wallis": "k",
}  # fmt: skip


def _marked(test: dict[str, Any] | None, marks: set[str]) -> str:
    if test is None:
        return NONE
    letter = LETTERS[test["name"]]
    marks.add(letter)
    return f"{p_text(test['p'])} {letter}"


def _category_rows(
    row: dict[str, Any], groups: Sequence[dict[str, Any]], told: tuple[str, ...]
) -> list[tuple[str, ...]]:
    head = (row["label"], *[""] * len(groups), *told)
    return [head] + [
        (f"  {level}", *(count_text(g["counts"][level], g["n"]) for g in groups))
        for level in row["overall"]["counts"]
    ]


def _number_rows(
    row: dict[str, Any], groups: Sequence[dict[str, Any]], told: tuple[str, ...]
) -> list[tuple[str, ...]]:
    label = f"{row['label']}, {row['unit']}"
    if row["form"] == "log":
        return [(label, *(quartiles_text(g) for g in groups), *told)]
    return [(label, *(f"{short_text(g['mean'])} ({short_text(g['sd'])})" for g in groups), *told)]


def _medians(description: dict[str, Any], outcome: dict[str, Any]) -> Section:
    unit = description["study"]["time_unit"]
    header = ("", "n", "events", "median", "95 % CI, log-log", "95 % CI, symmetric")
    rows = []
    for arm in outcome["arms"]:
        low, high = arm["symmetric_interval"]
        symmetric = f"{low:.2f} to {high:.2f}" if is_told(low) else NONE
        limits = " to ".join(time_text(limit) for limit in arm["interval"])
        counts = (str(arm["n"]), str(arm["events"]))
        rows.append((arm["level"], *counts, time_text(arm["median"]), limits, symmetric))
    test, follow_up = outcome["logrank"], outcome["follow_up"]
    notes = []
    if test is not None:
        chi2, df = f"{test['chi_square']:.3f}", test["df"]
        notes.append(f"Log-rank chi-square {chi2}, {df} df, P {p_text(test['p'])}.")
    notes += [
        f"Times in {unit}s from {description['study']['time_origin']}; median follow-up "
        f"{time_text(follow_up['median'])} (reverse Kaplan-Meier), "
        f"longest {follow_up['longest']:.4g}.",
        "Symmetric: median -+ 1.96 standard errors, the form SPSS prints.",
    ]
    return Section(f"{outcome['label']}: medians", header, tuple(rows), tuple(notes))


def _at_horizons(description: dict[str, Any], outcome: dict[str, Any]) -> Section:
    unit = description["study"]["time_unit"]
    horizons = [h["time"] for h in outcome["arms"][0]["at_horizons"]]
    rows = [(arm["level"], *map(survival_text, arm["at_horizons"])) for arm in outcome["arms"]]
    title = f"{outcome['label']}: Kaplan-Meier, % (95 % CI)"
    return Section(title, ("", *(f"{h:g} {unit}s" for h in horizons)), tuple(rows))


def _at_risk(description: dict[str, Any], outcome: dict[str, Any]) -> Section:
    rows = [(arm["level"], *map(str, arm["at_risk"])) for arm in outcome["arms"]]
    title = f"{outcome['label']}: number at risk, by {description['study']['time_unit']}"
    return Section(title, ("", *(f"{t:g}" for t in outcome["ticks"])), tuple(rows))


def _regression(outcome: dict[str, Any], left_out: dict[str, str]) -> Section:
    found = outcome["regression"]
    header = ("", "univariable (95 % CI)", "P", "multivariable (95 % CI)", "P")
    rows: list[tuple[str, ...]] = []
    for label, row in term_labels(found["rows"]):
        cells: list[str] = []
        for model in () if row is None else (row["univariable"], row["multivariable"]):
            cells += [ratio_text(model), p_text(model["p"] if model else None)]
        rows.append((label, *(cells or [""] * 4)))
    test = found["multivariable_test"]
    patients = f"{found['patients']} patients, {found['events']} events"
    notes = [f"Cox models with Efron's ties; {patients}; variance: {found['variance']}."]
    if test is not None:
        notes.append(
            f"Multivariable likelihood ratio {test['statistic']:.2f}, {test['df']} df, "
            f"P {p_text(test['p'])}; {found['events'] / test['df']:.1f} events per term."
        )
    notes += [note for row in found["rows"] if row["form"] == "spline" for note in _curved(row)]
    notes += [f"{k}: in no model, {reason}." for k, reason in left_out.items()]
    notes += [f"{k}: not estimated; {reason}." for k, reason in found["refused"].items()]
    return Section(f"{outcome['label']}: hazard ratios", header, tuple(rows), tuple(notes))


def _curved(row: dict[str, Any]) -> list[str]:
    """Return the tests of a spline in words."""
    tests = [
        f"{name} {_chi_square(model['joint'])}, "
        f"of no curvature {_chi_square(model['nonlinearity'])}"
        for name in ("univariable", "multivariable")
        if (model := row[name]) is not None
    ]
    if not tests:
        return []
    return [
        f"{row['label']} is a restricted cubic spline with {len(row['knots'])} knots, its upper "
        f"quartile against its lower; P of no effect at all: {'; '.join(tests)} (Wald)."
    ]


def _chi_square(test: dict[str, Any]) -> str:
    return f"{test['chi_square']:.2f}, {test['df']} df, P {p_text(test['p'])}"


def _responses(description: dict[str, Any]) -> Section:
    levels = [arm["level"] for arm in description["arms"]]
    rows: list[tuple[str, ...]] = []
    for row in description["responses"]:
        rows.append((f"after {row['label']}", *(f"evaluated {n}" for n in row["evaluated"]), ""))
        for level in row["counts"][0]:
            cells = [
                count_text(counts[level], n)
                for counts, n in zip(row["counts"], row["evaluated"], strict=True)
            ]
            rows.append((f"  {level}", *cells, ""))
        for rate in row["rates"]:
            cells = [rate_text(g) for g in rate["groups"]]
            rows.append((f"  {rate['name']}", *cells, _marked(rate["test"], set())))
        rows.append(("  not evaluated", *map(str, row["missing"]), ""))
    notes = (
        "ORR: CR or PR; DCR: CR, PR or SD; of those evaluated, with Wilson's 95 % interval. "
        "P: chi-square (c) or Fisher's exact (f).",
    )
    return Section("Responses", ("", *levels, "P"), tuple(rows), notes)


def _adverse_events(description: dict[str, Any]) -> Section:
    rows: list[tuple[str, ...]] = []
    for row in description["adverse_events"]:
        rows.append((row["label"], *map(event_text, row["groups"]), _marked(row["test"], set())))
        graded = [g for g in row["groups"] if any(g["grades"].values())]
        for grade in graded[0]["grades"] if graded else ():
            if any(g["grades"][grade] for g in row["groups"]):
                cells = [
                    count_text(g["grades"][grade], g["n"]) if g["n"] else NONE
                    for g in row["groups"]
                ]
                rows.append((f"  grade {grade}", *cells, ""))
    levels = [arm["level"] for arm in description["arms"]]
    notes: tuple[str, ...] = (
        "Patients with the event, of those recorded; a dash where it was not recorded in the arm. "
        "P: chi-square (c) or Fisher's exact (f).",
    )
    if "adverse_events_note" in description:
        notes = (description["adverse_events_note"], *notes)
    return Section("Adverse events", ("", *levels, "P"), tuple(rows), notes)


def _padded(rows: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    return [(*row, *[""] * (width - len(row))) for row in rows]

"""What the draws leave open, as JSON and as Markdown that reads well on a terminal too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from riskscore.study import Study
from training.reconstruction.carried import table
from training.reconstruction.draws import Draw
from training.reconstruction.sensitivity import COLUMNS, Figures, ProfileRange
from training.reconstruction.span import Span
from training.run import SHIPPED

__all__ = ["FORMAT", "DrawReport", "carried", "markdown", "to_dict"]

FORMAT = 1
"""Rises when a reader of the JSON would have to change."""

SHOWN = 12.0
"""Horizon of the printed tables; the JSON has all."""

CAUTION = (
    "A sensitivity envelope, not an interval: it runs from the lowest lower to the highest upper "
    "bound of the Cox models of the draws and has no coverage. The draws come from a search that "
    "pins the hazard ratios, not from a posterior; they are not pooled by Rubin's rules."
)
CARRIED = (
    "Cohorts that reproduce the same published figures, found by a search from different random "
    "numbers over every plausible number of deaths; the same model was fitted to each, and to the "
    "cohort of this model. The "
    "envelope runs from the lowest lower to the highest upper bound over them: it shows what the "
    "published figures leave open, has no coverage, and is no confidence interval."
)
DEATHS = (
    "The source counts no deaths. Fewer would make the treatment's standard error larger than the "
    "printed interval's, more would make it smaller: a death informs on the treatment by p (1 - p) "
    "at most, where p is the treated share of the hazard at risk, so the error falls with every "
    "death. Counts near either end need rare patterns of follow-up and traits, and cost the search "
    "most of its time; no constraint is loosened for them."
)
MISPRINT = (
    "The source's coefficients contradict its hazard ratios. Here the effects of either column are "
    "an offset on the same cohort, with Efron's baseline estimated anew given them, so that the "
    "expected deaths are those observed."
)
COMMITTED_FIRST = (
    "The first number is of the committed cohort, the range beside it runs over the draws."
)


@dataclass(frozen=True)
class DrawReport:
    """Everything that is reported.

    Attributes
    ----------
    seed : int
    study : Study
    draws : tuple of Draw
    figures : tuple of Figures
        Of each draw.
    committed : Figures
        Of the cohort that is committed beside the published numbers.
    horizons : tuple of float
    ranges : tuple of ProfileRange
        By profile, then horizon.
    """

    seed: int
    study: Study
    draws: tuple[Draw, ...]
    figures: tuple[Figures, ...]
    committed: Figures
    horizons: tuple[float, ...]
    ranges: tuple[ProfileRange, ...]

    def spans(self) -> dict[str, Span]:
        """Return the span of every quantity of a whole cohort, by its name."""
        found = self.figures
        spans = {"deaths": Span.over([sum(f.deaths) for f in found])}
        treatment = self.study.treatment
        for a, level in enumerate(treatment.levels if treatment else ()):
            spans[f"deaths, {level}"] = Span.over([f.deaths[a] for f in found])
        for term in self.committed.hazard_ratios:
            spans[f"hazard ratio, {term}"] = Span.over([f.hazard_ratios[term] for f in found])
        for term in self.committed.standard_errors:
            spans[f"standard error, {term}"] = Span.over([f.standard_errors[term] for f in found])
        for label, kind in (("Cox, in-sample", "cox"), ("forest, out-of-bag", "forest")):
            spans[f"concordance, {label}"] = Span.over([f.concordance[kind] for f in found])
        return spans

    @property
    def joint_patterns(self) -> int:
        """How many different tables of patients by profile the draws have."""
        return len({tuple(f.patients.tolist()) for f in self.figures})


def to_dict(report: DrawReport) -> dict[str, Any]:
    """Return the report as JSON holds it; the same files give the same report."""
    return {
        "format": FORMAT,
        "study": report.study.id,
        "seed": report.seed,
        "draws": len(report.draws),
        "profile_order": [r.profile for r in report.ranges[:: len(report.horizons)]],
        "joint_patterns": report.joint_patterns,
        "caution": CAUTION,
        "deaths": {
            "why": DEATHS,
            "draws_by_deaths": {str(k): v for k, v in sorted(_by_deaths(report).items())},
        },
        "spans": {name: asdict(span) for name, span in report.spans().items()},
        "profiles": [asdict(r) for r in report.ranges],
        "columns": _columns(report),
        "cohorts": [
            {
                "draw": draw.number,
                "file": draw.path.name,
                "seed": draw.seed,
                "deaths": sum(f.deaths),
                "standard_errors": f.standard_errors,
                "concordance": f.concordance,
                "patients": f.patients.tolist(),
            }
            for draw, f in zip(report.draws, report.figures, strict=True)
        ],
    }


def carried(report: DrawReport) -> dict[str, Any]:
    """Return what the shipped bundles carry of the draws, by model id."""
    models = {}
    for model_id in report.committed.exported:
        # The shipped cohort is one of those that fit: its model lies within what is open.
        found = [f.exported[model_id] for f in (report.committed, *report.figures)]
        # The source prints both columns for its multivariable Cox model alone.
        misprinted = model_id == f"{report.study.id}/{SHIPPED[0].outcome}/cox"
        columns = _columns(report) if misprinted else None
        models[model_id] = table(found, CARRIED, columns) | {"draws": len(report.draws)}
    return {"format": FORMAT, "seed": report.seed, "draws": len(report.draws), "models": models}


def _columns(report: DrawReport) -> dict[str, Any]:
    committed = report.committed
    return {
        "how": MISPRINT,
        "committed_mean": {
            "horizons": list(report.horizons),
            "kaplan_meier": committed.kaplan_meier.tolist(),
            **dict(zip(COLUMNS, committed.columns_mean.tolist(), strict=True)),
        },
        "committed": [
            {
                "profile": r.profile,
                "horizon": r.horizon,
                **{name: float(committed.columns[c].flat[i]) for c, name in enumerate(COLUMNS)},
                "over_draws": {
                    "hazard_ratio": asdict(r.hazard_ratio_column),
                    "coefficient": asdict(r.coefficient_column),
                },
            }
            for i, r in enumerate(report.ranges)
        ],
    }


def markdown(report: DrawReport) -> str:
    """Return the report for a person."""
    by_deaths = sorted(_by_deaths(report).items())
    counts = ", ".join(f"{deaths}: {draws}" for deaths, draws in by_deaths)
    unit = report.study.time_unit
    shown = SHOWN if SHOWN in report.horizons else report.horizons[0]
    at = report.horizons.index(shown)
    lines = [
        f"# What the published figures leave open: {len(report.draws)} cohorts that have them all",
        "",
        f"{report.study.title}. Seed {report.seed}; {report.joint_patterns} different joint "
        "patterns of the core predictors.",
        "",
        CAUTION,
        "",
        "## Over the draws",
        "",
        *_table(
            ("quantity", "least", "median", "most"),
            [(name, *_cells(name, span)) for name, span in report.spans().items()],
        ),
        "",
        f"Draws by number of deaths: {counts}.",
        "",
        DEATHS,
        "",
        f"## Survival at {shown:g} {unit}s, by profile",
        "",
        "Least, median and most over the draws, in percent. The envelope has the lowest lower and "
        "the highest upper bound of the Cox models' 95 % intervals. A profile that some draws lack "
        "(0 patients) is extrapolated there.",
        "",
        *_table(
            (*_heads(report), "patients", "Cox", "envelope", "forest"),
            [
                (
                    *_levels(r),
                    f"{r.patients.least:g} to {r.patients.most:g}",
                    _percent(r.cox),
                    f"{100 * r.cox_lowest_lower:.0f} to {100 * r.cox_highest_upper:.0f}",
                    _percent(r.forest),
                )
                for r in report.ranges[at :: len(report.horizons)]
            ],
        ),
        "",
        f"## The contradictory coefficients: survival at {shown:g} {unit}s by either column",
        "",
        f"{MISPRINT} {COMMITTED_FIRST}",
        "",
        *_table(
            (*_heads(report), "hazard ratios", "over draws", "coefficients", "over draws"),
            _column_rows(report, at),
        ),
        "",
        _means(report, at),
        "",
    ]
    return "\n".join(lines)


def _by_deaths(report: DrawReport) -> Counter[int]:
    return Counter(sum(f.deaths) for f in report.figures)


def _cells(name: str, span: Span) -> tuple[str, ...]:
    form = ".0f" if name.startswith("deaths") else ".3f"
    return tuple(format(value, form) for value in (span.least, span.median, span.most))


def _heads(report: DrawReport) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in report.ranges[0].profile)


def _levels(record: ProfileRange) -> tuple[str, ...]:
    return tuple(level.replace("_", " ") for level in record.profile.values())


def _percent(span: Span) -> str:
    return f"{100 * span.least:.0f} / {100 * span.median:.0f} / {100 * span.most:.0f}"


def _column_rows(report: DrawReport, at: int) -> list[tuple[str, ...]]:
    rows = []
    for i, r in enumerate(report.ranges[at :: len(report.horizons)]):
        cells: list[str] = []
        spans = (r.hazard_ratio_column, r.coefficient_column)
        for c, span in enumerate(spans):
            cells.append(f"{100 * report.committed.columns[c, i, at]:.0f}")
            cells.append(f"{100 * span.least:.0f} to {100 * span.most:.0f}")
        rows.append((*_levels(r), *cells))
    return rows


def _means(report: DrawReport, at: int) -> str:
    by_ratio, by_coefficient = 100 * report.committed.columns_mean[:, at]
    km = 100 * report.committed.kaplan_meier[at]
    return (
        f"Mean over the committed cohort: {by_ratio:.1f} % by the hazard ratios, "
        f"{by_coefficient:.1f} % by the coefficients, {km:.1f} % by Kaplan-Meier."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table with padded cells; a bar in a cell would end it and is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    width = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in width) + "|")
    return lines

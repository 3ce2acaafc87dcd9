"""Tables 1 and 2 and the totals of the text: characteristics and responses by arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from training.published.records import Counts, Rate
from training.reconstruction.rows import Row, asked, counted
from training.reconstruction.subject import Subject

__all__ = ["baseline_rows"]


def baseline_rows(cohort: Subject) -> Iterator[Row]:
    """Yield the characteristics, the responses and the totals."""
    published = cohort.published
    arms = published.arms
    where = arms[0].where.partition(";")[0]
    row = counted(where, "patients", [a.n for a in arms], [int(a.sum()) for a in cohort.arms])
    yield replace(row, note=f"two numbers are the arms: {' / '.join(a.id for a in arms)}")
    for means in published.means:
        where = means.where
        groups = [cohort.numbers(means.variable)[arm] for arm in cohort.arms]
        yield asked(where, f"{means.variable}: mean", means.mean, [float(g.mean()) for g in groups])
        yield asked(
            where, f"{means.variable}: SD", means.sd, [float(g.std(ddof=1)) for g in groups]
        )
        if means.p is not None:
            found = [(float(g.mean()), float(g.std(ddof=1)), len(g)) for g in groups]
            printed = zip(means.mean, means.sd, means.n, strict=True)
            source = _t_test([(mean.value, sd.value, n) for mean, sd, n in printed])
            note = "t-test of the printed means and SDs: "
            note += f"{source:.3f} two-sided, {source / 2:.3f} one-sided"
            row = Row(where, f"{means.variable}: P", str(means.p), f"{_t_test(found):.3f}")
            yield replace(row, note=note)
    for counts in published.counts:
        yield from _count_rows(cohort, counts)
    for rate in published.rates:
        yield from _rate_rows(cohort, rate)
    yield from _total_rows(cohort)


def _count_rows(cohort: Subject, counts: Counts) -> Iterator[Row]:
    table = [cohort.by_arm(cohort.has(counts.variable, level)) for level in counts.levels]
    for (level, number), found in zip(counts.levels.items(), table, strict=True):
        yield counted(counts.where, f"{counts.variable}: {level}", number, found)
    if counts.evaluated is not None:
        found = [sum(row[a] for row in table) for a in range(len(cohort.arms))]
        yield counted(counts.where, f"{counts.variable}: evaluated", counts.evaluated, found)
    if counts.p is not None:
        p = _chi2(table)[1]
        note = "the printed counts themselves give this (Pearson)" if _differs(counts, p) else ""
        yield Row(counts.where, f"{counts.variable}: P", str(counts.p), f"{p:.3f}", note=note)


def _t_test(groups: Sequence[tuple[float, float, int]]) -> float:
    """Return the two-sided P of Student's t-test from mean, SD and size of two groups."""
    return float(stats.ttest_ind_from_stats(*groups[0], *groups[1]).pvalue)


def _differs(counts: Counts, p: float) -> bool:
    return counts.p is not None and not counts.p.agrees(p)


def _rate_rows(cohort: Subject, rate: Rate) -> Iterator[Row]:
    where = rate.where.partition(";")[0]
    evaluated = cohort.by_arm(np.isin(cohort.column(rate.variable), _known(cohort, rate)))
    hits = cohort.by_arm(np.isin(cohort.column(rate.variable), rate.levels))
    shares = [100 * hit / n for hit, n in zip(hits, evaluated, strict=True)]
    yield asked(where, f"{rate.label}, %", rate.percent, shares)
    misses = [n - hit for hit, n in zip(hits, evaluated, strict=True)]
    chi2, p = _chi2([hits, misses])
    for label, printed, number in (("chi-square", rate.chi2, chi2), ("P", rate.p, p)):
        if printed is not None:
            note = (
                ""
                if printed.agrees(number)
                else "the printed counts themselves give this (Pearson)"
            )
            found = f"{number:.{printed.decimals}f}"
            yield Row(where, f"{rate.label}: {label}", str(printed), found, note=note)


def _known(cohort: Subject, rate: Rate) -> list[str]:
    return list(cohort.published.counted(rate.variable).levels)


def _total_rows(cohort: Subject) -> Iterator[Row]:
    for total in cohort.published.totals:
        where = total.where.partition(";")[0]
        if total.variable is None:
            if total.arm is None:
                yield counted(where, total.label, [total.count], [len(cohort.frame)])
            continue
        if total.level is None:
            levels = list(cohort.published.counted(total.variable).levels)
            number = int(np.isin(cohort.column(total.variable), levels).sum())
        else:
            number = int(cohort.has(total.variable, total.level).sum())
        yield counted(where, total.label, [total.count], [number])
        if total.percent is not None:
            share = 100 * number / len(cohort.frame)
            yield asked(where, f"{total.label}, %", [total.percent], [share])


def _chi2(table: list[list[int]]) -> tuple[float, float]:
    """Return Pearson's chi-square and its P, or NaN for a table with an empty row or column."""
    cells = np.array(table)
    if (cells.sum(axis=0) == 0).any() or (cells.sum(axis=1) == 0).any():
        return float("nan"), float("nan")
    found = stats.chi2_contingency(cells, correction=False)
    return float(found.statistic), float(found.pvalue)

"""Counts against group sizes, totals and percentages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.audit.facts import patients
from training.audit.findings import Checks, Finding, grade
from training.audit.rounding import Interval
from training.published import Published
from training.published.records import AdverseEvent, Counts, Means

__all__ = ["denominators", "grades", "group_sizes", "levels", "percentages", "totals"]


def levels(published: Published) -> Checks:
    """Ask whether the levels of each variable add up to the patients they describe, arm by arm."""
    for row in published.counts:
        sums = [sum(column) for column in zip(*row.levels.values(), strict=True)]
        for arm, found, n in zip(published.arms, sums, row.denominators, strict=True):
            if found == n:
                yield None
                continue
            yield Finding(
                where=row.where,
                subject=f"{row.label}, {arm.label}",
                reported=f"n {n}",
                recomputed=f"the levels add up to {found}",
                interval=Interval(found, found),
                severity="impossible" if found > n else "inconsistent",
                meaning="Each patient has one level. "
                + (
                    "More were counted than there are: a count is misprinted."
                    if found > n
                    else "Some have none: values are missing that the table does not mention."
                ),
            )
    for event in published.adverse_events:
        for arm, found, n in zip(published.arms, event.count, event.n, strict=True):
            yield _more_than_group(event.where, f"{event.label}, {arm.label}", found, n)


def group_sizes(published: Published) -> Checks:
    """Compare the group sizes that each table prints with those of the study's arms."""
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for where, n in _printed_sizes(published):
        if (where, n) in seen:
            continue
        seen.add((where, n))
        for arm, found in zip(published.arms, n, strict=True):
            if found == arm.n:
                yield None
                continue
            yield Finding(
                where=where,
                subject=f"size of the {arm.label.lower()}",
                reported=f"n {found}",
                recomputed=f"n {arm.n} ({arm.where})",
                interval=Interval(arm.n, arm.n),
                severity="inconsistent",
                meaning="The same group has two sizes. Rates taken of the wrong one are wrong"
                + (f" by a factor of {arm.n / found:.2f}." if found else "."),
            )


def denominators(published: Published) -> Checks:
    """Notice a table whose head counts patients that its percentages leave out."""
    for row in published.counts:
        if row.evaluated is None or row.evaluated_where in (None, row.where):
            continue
        for arm, counted, n in zip(published.arms, row.evaluated, row.n, strict=True):
            if counted == n:
                yield None
                continue
            yield Finding(
                where=row.where,
                subject=f"{row.label}, {arm.label}",
                reported=f"n {n} in the head of the table",
                recomputed=f"{counted} evaluated ({row.evaluated_where})",
                interval=Interval(counted, counted),
                severity="remark",
                meaning="Percentages are taken of the patients evaluated, not of all. Patients "
                "without an image have often done badly, so the rates flatter.",
            )


def percentages(published: Published) -> Checks:
    """Compare each percentage with the counts it is a share of; counts have no rounding."""
    for rate in published.rates:
        row = published.counted(rate.variable)
        for i, arm in enumerate(published.arms):
            if not row.denominators[i]:
                continue
            count = sum(row.levels[level][i] for level in rate.levels)
            share = 100 * count / row.denominators[i]
            if rate.percent[i].agrees(share):
                yield None
                continue
            fits = row.n[i] > 0 and rate.percent[i].agrees(100 * count / row.n[i])
            yield Finding(
                where=rate.where,
                subject=f"{rate.label}, {arm.label}",
                reported=f"{rate.percent[i]} %",
                recomputed=f"{count}/{row.denominators[i]} is {share:.2f} %"
                + (f"; it fits {count}/{row.n[i]}" if fits else ""),
                interval=Interval(share, share),
                severity=grade("inconsistent", rate.percent[i], Interval(share, share)),
                meaning="The percentage does not follow from the counts. Use the counts.",
            )


def totals(published: Published) -> Checks:
    """Compare each total of the text with the sum over arms in the tables, and its percentage."""
    for row in published.totals:
        everyone = row.of if row.of is not None else patients(published)
        if row.of is not None and row.of != patients(published) and row.arm is None:
            recomputed = f"the arms add up to {patients(published)}"
            yield _total(row.where, row.label, f"of {row.of}", recomputed, patients(published))
        expected = _expected(published, row.variable, row.level, row.arm)
        if expected is None:
            size = next((arm.n for arm in published.arms if arm.id == row.arm), everyone)
            yield _more_than_group(row.where, row.label, row.count, size)
        elif expected == row.count:
            yield None
        else:
            recomputed = f"the table adds up to {expected}"
            yield _total(row.where, row.label, str(row.count), recomputed, expected)
        if row.percent is not None and everyone:
            share = 100 * row.count / everyone
            fits = row.percent.agrees(share)
            recomputed = f"{row.count}/{everyone} is {share:.2f} %"
            yield (
                None
                if fits
                else _total(row.where, row.label, f"{row.percent} %", recomputed, share)
            )


def grades(published: Published) -> Checks:
    """Compare the grades of each adverse event with its total, and that with the arm."""
    for row in published.graded_events:
        found = sum(row.grades)
        size = next(arm.n for arm in published.arms if arm.id == row.arm)
        yield _more_than_group(row.where, row.label, row.total, size)
        if found == row.total:
            yield None
            continue
        yield Finding(
            where=row.where,
            subject=row.label,
            reported=f"total {row.total}",
            recomputed=f"the grades add up to {found}",
            interval=Interval(found, found),
            severity="inconsistent",
            meaning="A patient counts once, with the worst grade. The total or a grade is "
            "misprinted, or patients were counted twice.",
        )


def _printed_sizes(published: Published) -> Iterator[tuple[str, tuple[int, ...]]]:
    records: list[Means | Counts | AdverseEvent] = [
        *published.means,
        *published.counts,
        *published.adverse_events,
    ]
    for record in records:
        yield record.where, record.n


def _expected(
    published: Published, variable: str | None, level: str | None, arm: str | None
) -> int | None:
    rows = [row for row in published.counts if row.variable == variable]
    if not rows or (level is not None and level not in rows[0].levels):
        return None
    by_arm: Sequence[int] = rows[0].denominators if level is None else rows[0].levels[level]
    ids = [a.id for a in published.arms]
    return sum(by_arm) if arm is None else by_arm[ids.index(arm)]


def _more_than_group(where: str, subject: str, count: int, size: int) -> Finding | None:
    if count <= size:
        return None
    return Finding(
        where=where,
        subject=subject,
        reported=f"{count} patients",
        recomputed=f"at most {size}",
        interval=Interval(0, size),
        severity="impossible",
        meaning="More patients are counted than the group has.",
    )


def _total(where: str, subject: str, reported: str, recomputed: str, value: float) -> Finding:
    return Finding(
        where=where,
        subject=subject,
        reported=reported,
        recomputed=recomputed,
        interval=Interval(value, value),
        severity="inconsistent",
        meaning="The text and the tables count differently. Use the tables, arm by arm.",
    )

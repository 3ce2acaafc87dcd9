"""P values of baseline, response and adverse events, computed again from what they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from training.audit.count_tests import count_tests
from training.audit.findings import Checks, Finding
from training.audit.rounding import Interval, cut_off, printed, probability
from training.audit.student import t_tests
from training.published import Printed, Published

__all__ = ["chi_squares", "counted", "fitting", "means"]

SHOWN = ("Pearson", "Yates", "Fisher")
CUT = "The last digit was cut off instead of rounded: harmless, but not what was computed."
NONE = "no usual test fits"
NEAREST = "one fits but for the last digit"


@dataclass(frozen=True)
class _Test:
    """A printed test of counts: what it compares, and the figures printed for it."""

    where: str
    label: str
    table: tuple[tuple[int, ...], ...]
    n: tuple[int, ...]
    p: Printed | None
    chi2: Printed | None = None


def counted(published: Published) -> Checks:
    """Compare each P value of counts with those of every usual test of the same counts.

    Counts have no rounding: each test gives one P value, and the printed one must round from one
    of them. Pearson, Yates (2 x 2), Fisher, the likelihood ratio and the test for trend are tried.
    """
    for test in _tests(published):
        if test.p is None:
            continue
        tried = count_tests(test.table)
        if any(test.p.agrees(p) for _, p in tried.values()):
            yield None
            continue
        if test.chi2 is not None and _p_of(test.chi2).meets(probability(test.p)):
            yield None  # the chi-square is what does not fit, and has its own rule
            continue
        exact = [Interval(p, p) for _, p in tried.values()]
        sizes = _fitting_sizes(published, test)
        cut = any(cut_off(test.p, p) for p in exact)
        yield Finding(
            where=test.where,
            subject=test.label,
            reported=f"P {test.p} for {_shown(test)}",
            recomputed="; ".join(
                [f"{name} {tried[name][1]:.4f}" for name in SHOWN if name in tried]
                + [f"it fits groups of {sizes}" if sizes else NEAREST if cut else NONE]
            ),
            interval=Interval(min(p.lower for p in exact), max(p.upper for p in exact)),
            severity="remark" if cut else "inconsistent",
            meaning=_meaning(cut=cut, sizes=sizes),
        )


def fitting(published: Published) -> dict[str, int]:
    """Return how many printed P values of counts each usual test gives to the printed digit."""
    fits: dict[str, int] = {}
    for test in _tests(published):
        for name, (_, p) in count_tests(test.table).items() if test.p is not None else ():
            fits[name] = fits.get(name, 0) + (test.p is not None and test.p.agrees(p))
    return fits


def chi_squares(published: Published) -> Checks:
    """Compare each chi-square of counts with Pearson's, Yates's and the likelihood ratio's."""
    for test in _tests(published):
        if test.chi2 is None:
            continue
        tried = {name: x for name, (x, _) in count_tests(test.table).items() if name != "Fisher"}
        if any(test.chi2.agrees(x) for x in tried.values()):
            yield None
            continue
        cut = any(cut_off(test.chi2, Interval(x, x)) for x in tried.values())
        yield Finding(
            where=test.where,
            subject=test.label,
            reported=f"chi-square {test.chi2} for {_shown(test)}",
            recomputed="; ".join(f"{name} {tried[name]:.4f}" for name in SHOWN if name in tried),
            interval=Interval(min(tried.values()), max(tried.values())),
            severity="remark" if cut else "inconsistent",
            meaning=CUT
            if cut
            else "The test statistic does not follow from the counts: the counts or the test "
            "are misprinted. Trust the counts before the test.",
        )


def means(published: Published) -> Checks:
    """Compare each P value of two means with Student's and Welch's t-tests, two- and one-sided."""
    for row in published.means:
        if row.p is None or len(row.n) != 2:
            continue
        both = [*row.mean, *row.sd]
        tried = t_tests([printed(x) for x in both[:2]], [printed(x) for x in both[2:]], row.n)
        named_one = "one-sided" in (row.test or "").lower()
        if any(p.meets(probability(row.p)) for p in tried.values()) or named_one:
            yield None
            continue
        one_sided = {name: p * 0.5 for name, p in tried.items()}
        fits = [name for name, p in one_sided.items() if p.meets(probability(row.p))]
        shown = [f"{name} {p.text(3)}" for name, p in tried.items()]
        shown += [f"one-sided {one_sided[fits[0]].text(3)}"] if fits else ["one-sided neither"]
        values = ", ".join(f"{m} (SD {s})" for m, s in zip(row.mean, row.sd, strict=True))
        yield Finding(
            where=row.where,
            subject=row.label,
            reported=f"P {row.p} for {values}",
            recomputed="; ".join(shown),
            interval=tried["Student"],
            severity="inconsistent",
            meaning="The printed P value is that of a one-sided test, half of the usual one. It "
            "overstates the difference between the arms."
            if fits
            else "No t-test of these means gives the printed P value: means, SDs or P are wrong.",
        )


def _tests(published: Published) -> list[_Test]:
    found: list[_Test] = []
    if len(published.arms) < 2:
        return found
    for counts in published.counts:
        if sum(map(sum, counts.levels.values())) > 0:
            table = tuple(counts.levels.values())
            found.append(_Test(counts.where, counts.label, table, counts.denominators, counts.p))
    for rate in published.rates:
        counts = published.counted(rate.variable)
        yes = [sum(column) for column in zip(*(counts.levels[v] for v in rate.levels), strict=True)]
        table = _two_rows(yes, counts.denominators)
        found.append(_Test(rate.where, rate.label, table, counts.denominators, rate.p, rate.chi2))
    for event in published.adverse_events:
        table = _two_rows(event.count, event.n)
        found.append(_Test(event.where, event.label, table, event.n, event.p))
    return [test for test in found if all(n >= 0 for row in test.table for n in row)]


def _two_rows(yes: Sequence[int], n: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(yes), tuple(total - a for a, total in zip(yes, n, strict=True))


def _fitting_sizes(published: Published, test: _Test) -> str:
    """Return the arms' own sizes if the P value fits them instead of those in its table."""
    sizes = [arm.n for arm in published.arms]
    if len(test.table) != 2 or test.p is None or list(test.n) == sizes:
        return ""
    table = _two_rows(test.table[0], sizes)
    if min(table[1]) < 0:
        return ""
    for name, (_, p) in count_tests(table).items():
        if test.p.agrees(p) or cut_off(test.p, Interval(p, p)):
            return f"{' and '.join(map(str, sizes))} ({name} {p:.4f})"
    return ""


def _meaning(*, cut: bool, sizes: str) -> str:
    if sizes:
        return (
            "The P value was computed for other group sizes than the table prints. The percentages "
            "of the table must be taken of the sizes that the P value fits."
        )
    if cut:
        return CUT
    return (
        "No usual test of these counts gives the printed P value: the counts or P are misprinted."
    )


def _shown(test: _Test) -> str:
    if len(test.table) == 2:
        return " and ".join(f"{a}/{n}" for a, n in zip(test.table[0], test.n, strict=True))
    return "; ".join("+".join(map(str, column)) for column in zip(*test.table, strict=True))


def _p_of(chi2: Printed) -> Interval:
    return printed(chi2).map(lambda value: float(stats.chi2.sf(max(value, 0.0), 1)))

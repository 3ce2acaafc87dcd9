"""How often the audit finds fault with a study that has none.

`python -m tests.benchmarks.audit_false_alarms [N]` simulates N studies (1,000 by default), prints
them with 2 or 3 decimals, audits them, and shows false alarms by rule; then it measures the two
tolerances that theory leaves open, and what a likelihood-ratio P beside a Wald interval does.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from riskscore.errors import ModelError
from tests.benchmarks.audit_tables import simulate_study
from training.audit import RULES, Finding, audit

__all__ = ["Tally", "main", "measure", "tally"]

SEED = 10_000
CHUNK = 50


class Tally:
    """What was found in some studies.

    Attributes
    ----------
    studies, alarmed : int
        Studies audited, and those with a finding.
    checks : Counter
        Checks by rule.
    found : Counter
        Findings by rule and severity.
    examples : list of Finding
    """

    def __init__(self) -> None:
        self.studies = self.alarmed = 0
        self.checks: Counter[str] = Counter()
        self.found: Counter[tuple[str, str]] = Counter()
        self.examples: list[tuple[int, Finding]] = []

    def add(self, other: Tally) -> None:
        """Take in what another tally counted."""
        self.studies += other.studies
        self.alarmed += other.alarmed
        self.checks += other.checks
        self.found += other.found
        self.examples += other.examples


def tally(seeds: range, likelihood_ratio: bool = False, largest: int = 400) -> Tally:
    """Audit one simulated study a seed; a cohort that no Cox model fits is left out."""
    counted = Tally()
    for seed in seeds:
        try:
            published = simulate_study(seed, likelihood_ratio=likelihood_ratio, largest=largest)
        except ModelError:
            continue
        found = audit(published)
        counted.studies += 1
        counted.alarmed += bool(found.findings)
        counted.checks.update(found.checks)
        counted.found.update((f.rule, f.severity) for f in found.findings)
        counted.examples += [(seed, f) for f in found.findings]
    return counted


def measure(studies: int = 1000, workers: int = 2) -> Iterator[str]:
    """Yield the lines of the report."""
    whole = _in_parallel(studies, workers, likelihood_ratio=False)
    yield (
        f"{whole.studies} studies, {sum(whole.checks.values())} checks; with a finding: "
        f"{whole.alarmed} ({100 * whole.alarmed / whole.studies:.2f} % of the studies)"
    )
    for rule in RULES:
        found = {kind: n for (name, kind), n in whole.found.items() if name == rule.name}
        listed = ", ".join(f"{n} {kind}" for kind, n in found.items()) or "0"
        yield f"  {rule.name:<16}{whole.checks[rule.name]:>8} checks {listed:>24}"
    for seed, finding in whole.examples[:10]:
        yield f"  seed {seed}: {finding.rule}, {finding.subject}: {finding.reported}"
        yield f"    {finding.recomputed}"
    some = _in_parallel(max(studies // 4, 1), workers, likelihood_ratio=True)
    found = {kind: n for (name, kind), n in some.found.items() if name == "p-value"}
    yield (
        f"univariable P by the likelihood ratio, {some.studies} studies, "
        f"{some.checks['p-value']} P values: {found.get('remark', 0)} remarks, "
        f"{found.get('inconsistent', 0)} called inconsistent"
    )


def _in_parallel(studies: int, workers: int, *, likelihood_ratio: bool) -> Tally:
    starts = range(SEED, SEED + studies, CHUNK)
    chunks = [range(start, min(start + CHUNK, SEED + studies)) for start in starts]
    whole = Tally()
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(tally, chunks, [likelihood_ratio] * len(chunks)):
            whole.add(part)
    return whole


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("studies", nargs="?", type=int, default=1000)
    for line in measure(parser.parse_args().studies):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

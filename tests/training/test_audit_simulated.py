"""Studies without an error give no finding; studies of nothing but errors stop nothing."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import audit_false_alarms
from tests.benchmarks.audit_tables import simulate_study
from training.audit import RULES, audit, text, to_dict
from training.published import DEB_TACE, Printed, PublishedError, load_published

SEEDS = range(60)
NUMBER = re.compile(r'"-?\d+\.?\d*"|(?<![\w"<.>-])\d+(?![\w".-])')
MISPRINTS = ('"0"', '"0.00"', '"1"', '"-1"', '"1e9"', '"0.5"', '"<0.001"', '">0.5"', '"<0"')


def test_tables_of_real_fits_give_no_finding() -> None:
    """Sixty simulated studies, printed with 2 or 3 decimals; every rule but one is asked."""
    counted = audit_false_alarms.tally(SEEDS, largest=150)
    assert counted.examples == []
    assert counted.studies >= 55
    # Their tables print the number evaluated, and fewer than three medians.
    silent = {"denominator", "whole-centre"}
    assert {name for name, n in counted.checks.items() if n > 0} == {r.name for r in RULES} - silent


def test_one_wrong_digit_in_such_a_study_is_found() -> None:
    """The same study with one hazard ratio's digits exchanged."""
    published = simulate_study(3)
    row = published.effects[-1]
    wrong = replace(row, hr=Printed(f"{row.hr.value + 0.09:.{row.hr.decimals}f}"))
    found = audit(replace(published, effects=(*published.effects[:-1], wrong)))
    assert {"coefficient", "centre"} <= {f.rule for f in found.findings}


def test_a_likelihood_ratio_p_is_a_remark_at_most() -> None:
    """A likelihood-ratio P beside a Wald interval is not called a contradiction."""
    counted = audit_false_alarms.tally(range(12), likelihood_ratio=True, largest=150)
    assert counted.found
    assert {severity for _, severity in counted.found} == {"remark"}


def test_no_misprint_stops_the_audit(tmp_path: Path) -> None:
    """Whatever number stands anywhere, the file is audited or refused, and JSON can hold it."""
    drawn = random.Random(1)
    source = DEB_TACE.read_text(encoding="utf-8")
    numbers = list(NUMBER.finditer(source))
    path = tmp_path / "numbers.toml"
    audited = 0
    for _ in range(40):
        wrong = source
        chosen = drawn.sample(numbers, drawn.choice([1, 3, 20]))
        for match in sorted(chosen, key=lambda m: -m.start()):
            quoted = match.group().startswith('"')
            number = drawn.choice(MISPRINTS if quoted else ("0", "1", "100000"))
            wrong = wrong[: match.start()] + number + wrong[match.end() :]
        path.write_text(wrong, encoding="utf-8")
        try:
            found = audit(load_published(path))
        except PublishedError:
            continue
        audited += 1
        json.dumps(to_dict(found), allow_nan=False)
        assert max(map(len, text(found).splitlines())) <= 100
    assert audited > 20


def test_the_benchmark_reports_each_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a rule, and the share of studies with a false alarm."""
    lines = list(audit_false_alarms.measure(4, workers=1))
    assert lines[0].endswith("(0.00 % of the studies)")
    assert len(lines) == len(RULES) + 2
    assert "called inconsistent" in lines[-1]

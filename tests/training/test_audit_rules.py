"""Each rule of the audit: silent on what is consistent, clear about what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.training.audit_cases import CASES
from tests.training.invented import (
    EMPTY,
    LIMITS,
    counts,
    effect,
    effects,
    said,
)
from training.audit import RULES, Finding, audit
from training.published import Printed, Published
from training.published.records import (
    AdverseEvent,
    Counts,
    Events,
)


def found(published: Published, rule: str) -> list[Finding]:
    """Return what a rule finds."""
    return [f for f in audit(published).findings if f.rule == rule]


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "severity", "reported"),
    CASES,
    ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)],
)
def test_a_rule_tells_a_contradiction_from_agreement(
    rule: str, right: Published, wrong: Published, severity: str, reported: str
) -> None:
    """Silent on the one, one finding of the right severity on the other."""
    assert found(right, rule) == []
    (finding,) = found(wrong, rule)
    assert finding.severity == severity
    assert reported in finding.reported
    assert finding.meaning.endswith(".")
    assert audit(right).checks[rule] > 0


def test_every_rule_has_its_cases() -> None:
    """No rule is without a consistent and an inconsistent case."""
    assert {case[0] for case in CASES} == {rule.name for rule in RULES}


def test_the_least_standard_error_asks_for_a_known_range() -> None:
    """ECOG 0 to 2 may be one number or two indicators; age spans its limits of eligibility."""
    open_contrast = {"level": None, "reference": None, "variable": "ecog"}
    ecog = counts({"0": (10, 20), "1": (20, 20), "2": (10, 10)}, variable="ecog")
    narrow = effect("2.12", "1.50 3.00", **open_contrast)
    published = replace(EMPTY, effects=(narrow,), counts=(ecog,))
    assert audit(published).checks["standard-error"] == 0
    two = counts({"0": (10, 20), "1": (30, 30)}, variable="ecog")
    assert len(found(replace(published, counts=(two,)), "standard-error")) == 1
    # 2 / (62 sqrt(90)) = 0.0034; this row's standard error is 0.016.
    age = effect("0.976", "0.945 1.008", **open_contrast | {"variable": "age"})
    aged = said("eligible", {"effects": (age,)}, **LIMITS)
    assert found(aged, "standard-error") == []
    assert audit(aged).checks["standard-error"] == 1


def test_printed_events_sharpen_the_least_standard_error() -> None:
    """0.246 would do for 90 events, but not for 60, nor for 35 and 25 by arm."""
    published = effects(effect("1.62", "1.00 2.62"))
    assert found(published, "standard-error") == []
    whole = (Events("Text", "os", 60),)
    arms = (Events("Text", "os", 35, "a"), Events("Text", "os", 25, "b"))
    for events in (whole, arms):
        (finding,) = found(replace(published, events=events), "standard-error")
        assert "60 events give 0.258 at least" in finding.recomputed


def test_a_p_value_that_fits_other_group_sizes_says_so() -> None:
    """14/40 and 17/50 give Pearson 0.921; of 40 each they give 0.491."""
    event = AdverseEvent("Table 3", "Fever", (40, 40), (14, 17), Printed("0.921"))
    (finding,) = found(replace(EMPTY, adverse_events=(event,)), "count-test")
    assert "it fits groups of 40 and 50 (Pearson 0.9210)" in finding.recomputed


def test_a_digit_that_was_cut_off_is_a_remark() -> None:
    """For 8/40 and 25/50 Yates gives 0.00664; 0.006 is that cut off, nothing is near 0.009."""
    levels = {"yes": (8, 25), "no": (32, 25)}
    for p, severity in (("0.006", "remark"), ("0.009", "inconsistent")):
        published = replace(EMPTY, counts=(counts(levels, p=Printed(p)),))
        (finding,) = found(published, "count-test")
        assert finding.severity == severity


def test_doubt_about_rounding_is_no_finding() -> None:
    """A limit printed 1.00 may lie on either side of 1, a P value printed 0.05 of 0.05."""
    for row in (effect("2.00", "1.00 4.00", "0.06"), effect("2.00", "0.99 4.04", "0.05")):
        assert found(effects(row), "significance") == []


def test_an_interval_of_another_level_is_read_at_that_level() -> None:
    """A 90 % interval of 1.118 to 3.577 has the standard error of the 95 % one of 1 to 4."""
    row = effect("2.000", "1.118 3.578", "0.050", confidence=Printed("0.90"))
    assert found(effects(row), "p-value") == []
    assert found(effects(replace(row, confidence=None)), "p-value") != []
    assert audit(effects(row)).checks["significance"] == 0


def test_a_bound_on_p_is_understood() -> None:
    """P < 0.001 is every number below it."""
    assert found(effects(effect("4.000", "2.000 8.000", "<0.001")), "p-value") == []
    (finding,) = found(effects(effect("2.000", "1.000 4.000", "<0.001")), "p-value")
    assert finding.reported.startswith("P <0.001")


def test_a_study_of_one_arm_is_audited_too() -> None:
    """What compares arms is not asked of it."""
    alone = replace(EMPTY, arms=EMPTY.arms[:1], effects=(effect("2.000", "1.000 4.000", "0.050"),))
    counted = Counts("Table 1", "x", "X", (40,), {"yes": (10,), "no": (30,)}, p=Printed("0.2"))
    assert audit(replace(alone, counts=(counted,))).findings == ()

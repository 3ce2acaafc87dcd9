"""Every rule, in the order in which a reader meets what it checks."""

from __future__ import annotations

from training.audit import (
    rules_counts,
    rules_effects,
    rules_information,
    rules_limits,
    rules_tests,
    rules_text,
    rules_times,
)
from training.audit.cells import check_references
from training.audit.findings import SEVERITIES, Audit, Rule
from training.published import Published

__all__ = ["RULES", "audit"]

RULES: tuple[Rule, ...] = (
    Rule("range", "Does each number lie on its scale?", rules_limits.ranges),
    Rule("spread", "Do mean and SD respect the limits of eligibility?", rules_limits.spreads),
    Rule("levels", "Do the levels of a variable add up to its patients?", rules_counts.levels),
    Rule("group-size", "Has a group the same size everywhere?", rules_counts.group_sizes),
    Rule("denominator", "Are percentages of all patients?", rules_counts.denominators),
    Rule("percentage", "Do percentages follow from counts?", rules_counts.percentages),
    Rule("total", "Do totals in the text follow from the tables?", rules_counts.totals),
    Rule("grades", "Do grades add up to totals?", rules_counts.grades),
    Rule("t-test", "Does a t-test give P?", rules_tests.means),
    Rule("chi-square", "Do the counts give chi-square?", rules_tests.chi_squares),
    Rule("count-test", "Does a test of the counts give P?", rules_tests.counted),
    Rule("log-rank", "Does the log-rank chi-square give P?", rules_times.logranks),
    Rule("median", "Is a median at the centre of its interval?", rules_times.medians),
    Rule("whole-centre", "Do intervals betray whole medians?", rules_times.whole_centres),
    Rule("follow-up", "Can the follow-up be the observed times?", rules_times.follow_up),
    Rule("coefficient", "Is the HR exp(coefficient)?", rules_effects.coefficients),
    Rule("centre", "Is the HR at the centre of its interval?", rules_effects.centre),
    Rule("p-value", "Do HR and interval give P?", rules_effects.p_values),
    Rule("significance", "Do interval and P agree on significance?", rules_effects.significance),
    Rule(
        "standard-error",
        "Can so few patients give so small an SE?",
        rules_information.least_standard_error,
    ),
    Rule(
        "log-rank-cox",
        "Do log-rank test and Cox model of the arms agree?",
        rules_information.logrank_and_cox,
    ),
    Rule("adjustment", "Is the adjusted effect like the unadjusted?", rules_information.adjustment),
    Rule("eligibility", "Do the patients meet the criteria?", rules_text.eligibility),
    Rule("significant", "Is significant what is called so?", rules_text.significant),
    Rule("highest-grade", "Is the worst grade the worst?", rules_text.highest_grade),
    Rule("analysis", "Is one analysis named throughout?", rules_text.analyses),
    Rule("claim", "Does the text say what the tables show?", rules_text.claims),
)


def audit(published: Published, rules: tuple[Rule, ...] = RULES) -> Audit:
    """Check a study's printed numbers against one another.

    Parameters
    ----------
    published : Published
        As `load_published` reads it.
    rules : tuple of Rule
        By default all.

    Raises
    ------
    PublishedError
        If a record of the file names what the file does not hold.
    """
    check_references(published)
    results = {rule.name: rule(published) for rule in rules}
    findings = [found for result in results.values() for found in result if found is not None]
    return Audit(
        published=published,
        findings=tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity))),
        checks={name: len(result) for name, result in results.items()},
        rules=rules,
    )

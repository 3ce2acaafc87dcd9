"""Whether the printed numbers of a study agree with one another, and what it means if not."""

from training.audit.findings import SEVERITIES, Audit, Finding, Rule
from training.audit.report import markdown, text, to_dict
from training.audit.rounding import Interval
from training.audit.rules import RULES, audit

__all__ = [
    "RULES",
    "SEVERITIES",
    "Audit",
    "Finding",
    "Interval",
    "Rule",
    "audit",
    "markdown",
    "text",
    "to_dict",
]

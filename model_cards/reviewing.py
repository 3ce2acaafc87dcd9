"""A committee's decision on a model: asking for it, checking it, writing it beside the bundle."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from model_cards.filling import card_of
from model_cards.rendering import render_all
from riskscore.bundle import find_bundle, open_bundle
from riskscore.errors import InputError, Problem, RiskscoreError
from riskscore.review import REVIEW, STATED, Review, review_of
from riskscore.tables import write_atomically

__all__ = ["Decision", "add_review_command", "review_text", "write_review"]


@dataclass(frozen=True)
class Decision:
    """What a committee decided: `date` as YYYY-MM-DD, `status` one of `STATED`."""

    status: str
    reviewer_role: str
    date: str
    decision: str
    conditions: tuple[str, ...] = ()


def write_review(model: str | Path, decided: Decision, statements: str | None = None) -> Review:
    """Write a decision beside the bundle that it is about, and return it as it then reads.

    The bundle is verified and its card rendered first: nobody can have reviewed a model that is
    damaged or has no card. An earlier review is replaced.

    Parameters
    ----------
    model : str or Path
        Id of a shipped model, or the path of a bundle.
    decided : Decision
    statements : str, optional
        File of the statements, where they are not in their usual place.

    Raises
    ------
    InputError
        Listing every field that breaks a rule.
    CardError
        If the card cannot be rendered.
    BundleError
        If the bundle is missing or damaged.
    """
    _check(decided)
    render_all(card_of(model, statements))
    bundle = open_bundle(model)
    text = review_text(decided, bundle.manifest.digest)
    with write_atomically(bundle.path / REVIEW) as partial:
        partial.write_text(text, encoding="utf-8")
    return review_of(bundle)


def review_text(decided: Decision, digest: str) -> str:
    """Return the file of a decision on the bundle with a digest, as TOML."""
    pairs = [
        ("status", decided.status),
        ("reviewer_role", decided.reviewer_role),
        ("decision", decided.decision),
        ("digest", digest),
    ]
    # A JSON string of printable characters is a TOML basic string.
    lines = [f"{key} = {_quoted(value)}" for key, value in pairs]
    lines.insert(2, f"date = {decided.date}")
    if decided.conditions:
        lines.append(f"conditions = [{', '.join(map(_quoted, decided.conditions))}]")
    return "\n".join(lines) + "\n"


def add_review_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], which: str
) -> None:
    """Add the command `review` to those of the room; `which` says what a bundle is."""
    review = commands.add_parser(
        "review",
        help="record what a committee decided of a model",
        description="Record what a committee decided of a model, beside its bundle. What is not "
        "given is asked for on the terminal; the decision names the bundle's digest, and another "
        "version of the model needs another.",
    )
    review.add_argument("bundle", metavar="BUNDLE", help=which)
    review.add_argument("--status", choices=STATED)
    review.add_argument("--reviewer-role", metavar="TEXT", help="the role, not the name")
    review.add_argument("--date", metavar="YYYY-MM-DD", help="of the decision (default: today)")
    review.add_argument("--decision", metavar="TEXT", help="for what, in a sentence")
    review.add_argument(
        "--condition", metavar="TEXT", action="append", default=[], help="may be repeated"
    )
    review.add_argument("--statements", metavar="FILE", help="as in render")
    review.add_argument("--yes", action="store_true", help="do not ask before writing")
    review.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    bundle = open_bundle(chosen.bundle)
    try:
        decided = _asked(chosen)
        _check(decided)
        print(f"{bundle.manifest.id}\n{bundle.manifest.digest}\nnow: {review_of(bundle).label}")
        print(review_text(decided, bundle.manifest.digest), end="")
        if not chosen.yes and _ask("Write this review? [y/N] ", "--yes").lower() != "y":
            print("nothing was written")
            return 0
    except (KeyboardInterrupt, EOFError) as error:
        print()
        raise RiskscoreError("stopped; nothing was written") from error
    found = write_review(chosen.bundle, decided, chosen.statements)
    print(f"{find_bundle(chosen.bundle) / REVIEW}: {found.label}")
    return 0


def _asked(chosen: argparse.Namespace) -> Decision:
    """Return the decision, asking for what the command line did not give."""
    asking = sys.stdin.isatty()
    conditions = list(chosen.condition)
    status = chosen.status or _ask(f"Status ({', '.join(STATED)}): ", "--status")
    role = chosen.reviewer_role or _ask("Role of the reviewer: ", "--reviewer-role")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    date = chosen.date or (asking and _ask(f"Date [{today}]: ", "--date")) or today
    decision = chosen.decision or _ask("Decision, in a sentence: ", "--decision")
    while asking and not chosen.condition:
        if not (condition := _ask("A condition (empty: no more): ", "--condition")):
            break
        conditions.append(condition)
    return Decision(status, role.strip(), date, decision.strip(), tuple(conditions))


def _ask(question: str, option: str) -> str:
    """Ask on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        raise InputError([Problem(None, option, "must be given", None, "no terminal to ask on")])
    return input(question).strip()


def _check(decided: Decision) -> None:
    rules: list[tuple[str, bool, str, str, str]] = [
        (
            "status", decided.status in STATED, f"must be {' or '.join(STATED)}", decided.status,
            "say which",
        ),
        (
            "date", _is_past_day(decided.date), "must be a day until today", decided.date,
            "write YYYY-MM-DD",
        ),
    ]  # fmt: skip
    texts = [("reviewer_role", decided.reviewer_role), ("decision", decided.decision)]
    texts += [("conditions", text) for text in decided.conditions]
    rules += [
        (name, _is_line(text), "must be one line of text", text, "say it in a sentence")
        for name, text in texts
    ]
    problems = [
        Problem(None, name, rule, found, remedy) for name, is_met, rule, found, remedy in rules
        if not is_met
    ]  # fmt: skip
    if problems:
        raise InputError(problems)


def _is_past_day(text: str) -> bool:
    try:
        # UTC+14 is the earliest place on earth: today there is no day of the future anywhere.
        latest = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=14)).date()
        return len(text) == len("2026-01-01") and dt.date.fromisoformat(text) <= latest
    except ValueError:
        return False


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # an escaped pair of surrogates is no TOML

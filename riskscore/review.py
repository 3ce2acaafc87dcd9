"""Whether people have looked at a model: the review beside its bundle.

A review is a file `review.toml` in the bundle's folder, not hashed with it, so that it can be added
to a finished bundle. It names the bundle by its digest: a review of another bundle is void. ::

    status = "approved"             # or "draft", "rejected", "retired"
    reviewer_role = "Consultant hepatologist"
    date = 2026-11-23
    decision = "For use in the tumour board, on patients like the training cohort's."
    conditions = ["Look again after a year."]       # may be left out
    digest = "sha256:..."

An external validation that is added after the review leaves it standing, and is named.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import asdict, dataclass
from typing import Any

from riskscore.attached import attached_to
from riskscore.bundle import EXTERNAL, Bundle
from riskscore.errors import BundleError
from riskscore.files import parse_json

__all__ = ["APPROVED", "DRAFT", "REVIEW", "STATED", "STATUSES", "VOID", "Review", "review_of"]

REVIEW = "review.toml"
"""Name of the file, in the bundle's folder."""

LARGEST = 2**16
"""Bytes that it may have."""

DRAFT = "draft"
APPROVED = "approved"
REJECTED = "rejected"
RETIRED = "retired"
VOID = "void"
STATED = (DRAFT, APPROVED, REJECTED, RETIRED)
"""What a file may say."""

STATUSES = (*STATED, VOID)
"""`VOID` is said of another bundle's review, and `DRAFT` also of a missing file."""

KEYS = ("status", "reviewer_role", "date", "decision", "digest")


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided of a model.

    Attributes
    ----------
    status : str
        "draft" (also: nobody has reviewed it), "approved", "rejected", "retired", or "void" (of
        another bundle: its digest is not this one's). Whatever another bundle's review said, its
        rejection too, was not said of this one.
    reviewer_role, date, decision : str
        As the file has them; empty without one. A void review keeps them.
    digest : str
        The bundle that was reviewed.
    conditions : tuple of str
        What the decision asks for.
    is_demonstration : bool
        Whether the model was fitted on a reconstructed cohort.
    added_later : tuple of str
        External validations, by file name, that are dated after the review's day.
    """

    status: str = DRAFT
    reviewer_role: str = ""
    date: str = ""
    decision: str = ""
    digest: str = ""
    conditions: tuple[str, ...] = ()
    is_demonstration: bool = False
    added_later: tuple[str, ...] = ()

    @property
    def is_approved(self) -> bool:
        """Whether this very bundle was approved."""
        return self.status == APPROVED

    @property
    def label(self) -> str:
        """The status in the words a reader is shown, on one line."""
        draft = f"{DRAFT}: demonstration" if self.is_demonstration else DRAFT
        if self.status == VOID:
            return f"{draft} (the review was of another version, {self.digest})"
        if self.status == DRAFT:
            stated = f"{draft}, {self.date}, by {self.reviewer_role}: {self.decision}"
            return stated if self.digest else f"{draft} (nobody has reviewed it)"
        later = f"; added after the review: {', '.join(self.added_later)}"
        return (
            f"{self.status} on {self.date} by {self.reviewer_role}: {self.decision}"
            f"{later if self.added_later else ''}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the review JSON-ready, with its label."""
        return {
            **asdict(self),
            "conditions": list(self.conditions),
            "added_later": list(self.added_later),
            "label": self.label,
        }


def review_of(bundle: Bundle) -> Review:
    """Return the review of a bundle, as it stands beside it now.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    Review
        Of status "draft" where there is no file.

    Raises
    ------
    BundleError
        If the file is there and cannot be read, or lacks a key: that might hide a rejection.
    """
    path = bundle.path / REVIEW
    cohort = bundle.manifest.training.get("cohort")
    demonstration = isinstance(cohort, dict) and cohort.get("kind") == "reconstructed"
    data = bundle.attachment(REVIEW, LARGEST)
    if data is None:
        return Review(is_demonstration=demonstration)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} cannot be read (not UTF-8 text); mend or remove it") from error
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a day such as 2026-02-31 is no TOMLDecodeError
        reason = str(error)[:200]
        raise BundleError(f"{path} must be TOML: {reason}; mend the line it names") from error
    stated = {key: _text(content.get(key)) for key in KEYS}
    if missing := [key for key in KEYS if not stated[key]]:
        raise BundleError(f"{path} lacks {', '.join(missing)}; write the review again")
    if stated["status"] not in STATED:
        rule = f"status must be {' or '.join(STATED)}, got {stated['status'][:80]!r}"
        raise BundleError(f"{path}: {rule}; write the review again")
    try:
        dt.date.fromisoformat(stated["date"])
    except ValueError as error:
        rule = f"date must be a day like 2026-11-23, got {stated['date'][:80]!r}"
        raise BundleError(f"{path}: {rule}; write the review again") from error
    conditions = content.get("conditions", [])
    if not isinstance(conditions, list) or not all(_text(text) for text in conditions):
        raise BundleError(f"{path}: conditions must be a list of texts; write the review again")
    if stated["digest"] != bundle.manifest.digest:
        stated["status"] = VOID
    return Review(
        **stated,
        conditions=tuple(_text(text) for text in conditions),
        is_demonstration=demonstration,
        added_later=_later(bundle, stated["date"]),
    )


def _later(bundle: Bundle, day: str) -> tuple[str, ...]:
    """Return the names of the validations dated after a day, or that do not tell their day."""
    names = attached_to(bundle).own
    return tuple(n.removeprefix(f"{EXTERNAL}/") for n in names if _created(bundle, n) > day)


def _created(bundle: Bundle, name: str) -> str:
    try:
        content = parse_json(bundle.attachment(name) or b"", name)
    except BundleError:
        content = None
    created = content.get("created") if isinstance(content, dict) else None
    return created[:10] if isinstance(created, str) else "unknown"  # after every day


def _text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()[:10]
    return value.strip() if isinstance(value, str) else ""

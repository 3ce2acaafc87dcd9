"""Whether people have looked at a model: the review beside its bundle.

A review is a file `review.toml` in the bundle's folder, not hashed with it, so that it can be added
to a finished bundle. It names the bundle by its digest: a review of another bundle is void. ::

    status = "approved"             # or "rejected"
    reviewer_role = "Consultant hepatologist"
    date = 2026-11-23
    decision = "For use in the tumour board, on patients like the training cohort's."
    digest = "sha256:..."
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import asdict, dataclass
from typing import Any

from riskscore.bundle import Bundle
from riskscore.errors import BundleError

__all__ = ["APPROVED", "NONE", "REVIEW", "VOID", "Review", "review_of"]

REVIEW = "review.toml"
"""Name of the file, in the bundle's folder."""

APPROVED = "approved"
REJECTED = "rejected"
NONE = "none"
VOID = "void"
DECIDED = (APPROVED, REJECTED)
"""What a file may say; `NONE` and `VOID` are said of a missing file and of another bundle's."""

KEYS = ("status", "reviewer_role", "date", "decision", "digest")


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided of a model.

    Attributes
    ----------
    status : str
        "approved", "rejected", "none" (nobody decided), or "void" (of another bundle: its digest
        is not this one's).
    reviewer_role, date, decision : str
        As the file has them; empty without one. A void review keeps them.
    digest : str
        The bundle that was reviewed.
    """

    status: str = NONE
    reviewer_role: str = ""
    date: str = ""
    decision: str = ""
    digest: str = ""

    @property
    def is_approved(self) -> bool:
        """Whether this very bundle was approved."""
        return self.status == APPROVED

    def to_dict(self) -> dict[str, Any]:
        """Return the review JSON-ready."""
        return asdict(self)


def review_of(bundle: Bundle) -> Review:
    """Return the review of a bundle, as it stands beside it now.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    Review
        Of status "none" where there is no file.

    Raises
    ------
    BundleError
        If the file is there and cannot be read, or lacks a key: that might hide a rejection.
    """
    path = bundle.path / REVIEW
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Review()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BundleError(f"{path} cannot be read ({reason}); mend or remove it") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BundleError(f"{path} must be TOML: {error}; mend the line it names") from error
    stated = {key: _text(content.get(key)) for key in KEYS}
    if missing := [key for key in KEYS if not stated[key]]:
        raise BundleError(f"{path} lacks {', '.join(missing)}; write the review again")
    if stated["status"] not in DECIDED:
        rule = f"status must be {' or '.join(DECIDED)}, got {stated['status'][:80]!r}"
        raise BundleError(f"{path}: {rule}; write the review again")
    if stated["digest"] != bundle.manifest.digest:
        stated["status"] = VOID
    return Review(**stated)


def _text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.strip() if isinstance(value, str) else ""

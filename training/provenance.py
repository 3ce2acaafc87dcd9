"""Where a cohort comes from, and what became of its rows before anything was fitted."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riskscore._reader import Reader
from riskscore.errors import InputError, Problem

__all__ = ["Flow", "Provenance", "read_provenance"]

PROVENANCE_KINDS = ("patients", "reconstructed", "not stated")

BESIDE = ("published", "sensitivity")
"""Keys that name a file beside the cohort."""


@dataclass(frozen=True)
class Provenance:
    """Where a cohort comes from, and what everyone who uses a model of it must be told.

    Attributes
    ----------
    kind : str
        "patients" (real patient-level data), "reconstructed" or "not stated".
    source, licence, statement : str
    limits : tuple of str
        Known limitations of the data, one sentence each.
    published : Path or None
        For a reconstructed cohort: the published numbers it was made from, which an audit checks.
    sensitivity : Path or None
        For a reconstructed cohort: what other cohorts of the same numbers make of its models.
    """

    kind: str = "not stated"
    source: str = "not stated"
    licence: str = "not stated"
    statement: str = (
        "The source and the licence of the training data were not stated: not for use in care."
    )
    limits: tuple[str, ...] = ()
    published: Path | None = None
    sensitivity: Path | None = None

    def to_toml(self) -> str:
        """Return the provenance as a companion of another cohort states it: without other files."""
        # A JSON text or list of texts is one in TOML too.
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in self.to_dict().items()]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance as the manifest holds it."""
        return {
            "kind": self.kind,
            "source": self.source,
            "licence": self.licence,
            "statement": self.statement,
            "limits": list(self.limits),
        }


@dataclass
class Flow:
    """How many rows came in, were left out by which rule, and were changed by which rule."""

    read: int
    excluded: list[tuple[str, int]] = field(default_factory=list)
    changed: list[tuple[str, int]] = field(default_factory=list)

    def to_dict(self, analysed: int) -> dict[str, Any]:
        """Return the flow as the manifest holds it."""
        return {
            "read": self.read,
            "excluded": [{"rule": rule, "rows": rows} for rule, rows in self.excluded],
            "changed": [{"rule": rule, "rows": rows} for rule, rows in self.changed],
            "analysed": analysed,
        }


def read_provenance(cohort: Path) -> Provenance:
    """Return what `<cohort>.source.toml` states, or that nothing is stated.

    Raises
    ------
    InputError
        If the file breaks a rule, or names a file that is not beside it.
    """
    file = cohort.with_suffix(".source.toml")
    if not file.is_file():
        return Provenance()
    try:
        declared = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem(None, "file", f"must be TOML: {error}", None, "mend the line it names")
        raise InputError([problem], file.name) from error
    reader = Reader(declared)
    reader.keys("kind", "source", "licence", "statement", "limits", *BESIDE)
    stated = Provenance(
        kind=reader.one_of("kind", PROVENANCE_KINDS),
        source=reader.text("source"),
        licence=reader.text("licence"),
        statement=reader.text("statement", optional=True),
        limits=reader.texts("limits"),
        **{key: _beside(reader, key, file) for key in BESIDE},
    )
    if reader.problems:
        raise InputError(reader.problems, file.name)
    return stated


def _beside(reader: Reader, key: str, file: Path) -> Path | None:
    name = reader.text(key, optional=True)
    if not name:
        return None
    found = file.with_name(name) if Path(name).name == name else None
    if found is None or not found.is_file():
        remedy = "put it there and give its name alone, or drop the key"
        reader.refuse(key, f"must be a file beside {file.name}", name, remedy)
    return found

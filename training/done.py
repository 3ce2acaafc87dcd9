"""Which models an earlier run of the main job made already, by all that a fit depends on."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path

import riskscore
import training
from riskscore.bundle import open_bundle
from riskscore.errors import BundleError
from riskscore.tables import write_atomically
from training.cohort import Cohort
from training.fit.manifest import LIBRARIES
from training.settings import Settings

__all__ = ["Done", "identity_of_work"]

NOTE = ".main-job.json"
"""File in the folder of the bundles; without it every model is fitted again."""


class Done:
    """The models that earlier runs of the main job left in a folder.

    Parameters
    ----------
    out : Path
        The folder, which need not exist.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        try:
            noted = json.loads((out / NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            noted = {}
        self._noted: dict[str, list[str]] = noted if isinstance(noted, dict) else {}

    def has(self, bundle: Path, work: str) -> bool:
        """Whether the bundle is there, whole, and just what the same work made."""
        try:
            digest = open_bundle(bundle).manifest.digest
        except BundleError:
            return False
        return self._noted.get(self._name(bundle)) == [work, digest]

    def add(self, bundle: Path, work: str, digest: str) -> None:
        """Note that the work made a bundle with this digest."""
        self._noted[self._name(bundle)] = [work, digest]
        with write_atomically(self._out / NOTE) as partial:
            partial.write_text(json.dumps(self._noted, indent=1), encoding="utf-8")

    def _name(self, bundle: Path) -> str:
        return bundle.relative_to(self._out).as_posix()


def identity_of_work(cohort: Cohort, kind: str, settings: Settings) -> str:
    """Return a hash of all that a fit depends on: data, study, settings, versions, source code."""
    parts = [
        cohort.sha256,
        json.dumps(cohort.study.to_dict()),
        json.dumps(cohort.provenance.to_dict()),
        cohort.outcome.name,
        ",".join(p.name for p in cohort.predictors),
        kind,
        repr(settings),
        *(f"{name} {version(name)}" for name in LIBRARIES),
        _source(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _source() -> str:
    """Return a hash of the code and of the published facts that are read beside the cohort."""
    content = hashlib.sha256()
    for package, suffixes in ((riskscore, (".py",)), (training, (".py", ".toml", ".json"))):
        folder = Path(next(iter(package.__path__)))
        for file in sorted(f for f in folder.rglob("*") if f.suffix in suffixes):
            if file.parent.name != "results":  # what is made from models, not they from it
                content.update(f"{file.relative_to(folder).as_posix()}\0".encode())
                content.update(file.read_bytes())
    return content.hexdigest()

"""What a bundle of a reconstructed cohort carries of its source: the audit, and the other draws."""

from __future__ import annotations

import json
from typing import Any

from riskscore.bundle import AUDIT
from riskscore.manifest import Manifest, json_bytes
from riskscore.sensitivity import SENSITIVITY
from training.audit import audit, to_dict
from training.cohort import Cohort
from training.published import load_published

__all__ = ["attachments"]

NOT_THE_MODEL = ("seed",)
"""Settings that do not make another model of the same cohort."""


def attachments(cohort: Cohort, manifest: Manifest) -> dict[str, bytes]:
    """Return the further files of a model's bundle, by name; none for a cohort of patients.

    The table of the draws is taken only if its models are this one: of the same kind, outcome,
    predictors and settings. Over draws that were fitted otherwise it would say nothing of this.
    """
    found: dict[str, bytes] = {}
    provenance = cohort.provenance
    if provenance.published is not None:
        found[AUDIT] = json_bytes(to_dict(audit(load_published(provenance.published))))
    if provenance.sensitivity is not None:
        content = json.loads(provenance.sensitivity.read_text(encoding="utf-8"))
        model_id = f"{cohort.study.id}/{cohort.outcome.name}/{manifest.kind}"
        table = content["models"].get(model_id)
        if table is not None and _is_of(table, manifest):
            found[SENSITIVITY] = json_bytes(table, indent=None)
    return found


def _is_of(table: dict[str, Any], manifest: Manifest) -> bool:
    settings = {k: v for k, v in manifest.training["settings"].items() if k not in NOT_THE_MODEL}
    stated = {k: v for k, v in table["settings"].items() if k not in NOT_THE_MODEL}
    names = [p.name for p in manifest.predictors]
    return bool(stated == settings and table["predictors"] == names)

"""Fitting by kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from riskscore.errors import ModelError
from training.cohort import Cohort
from training.fit.attachments import attachments
from training.fit.cox import fit_cox
from training.fit.fitted import Fitted
from training.fit.forest import fit_forest
from training.fit.manifest import check_name
from training.settings import Settings

__all__ = ["KINDS", "fit"]


def fit(
    cohort: Cohort, kind: str, settings: Settings | None = None, name: str | None = None
) -> Fitted:
    """Fit a model and judge it.

    Parameters
    ----------
    cohort : Cohort
    kind : str
        "cox" or "forest".
    settings : Settings, optional
    name : str, optional
        Last part of the model's id; the kind by default.

    Raises
    ------
    ModelError
        If the cohort does not support the model.
    """
    if name is not None:
        check_name(name)
    if kind not in KINDS:
        raise ModelError(f"model must be one of {', '.join(KINDS)}, got {kind!r}")
    fitted = KINDS[kind](cohort, settings or Settings(), name or kind)
    return replace(fitted, attachments=attachments(cohort, fitted.manifest))


KINDS: dict[str, Callable[[Cohort, Settings, str], Fitted]] = {
    "cox": fit_cox,
    "forest": fit_forest,
}
"""What can be fitted, by kind."""

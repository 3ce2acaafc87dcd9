"""The models a service answers with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from riskscore import BundleError, RiskModel, load_model
from riskscore.bundle import shipped_bundles
from riskscore.errors import json_safe
from serving.problems import Refusal

__all__ = ["DEFAULT_MODEL", "MODELS_VARIABLE", "Models"]

MODELS_VARIABLE = "RISKSCORE_MODELS"
"""Environment variable: directories of bundles, separated as in PATH; the first is the default."""

DEFAULT_MODEL = "deb-tace-hcc/os/cox"
"""The default where the variable names no bundle."""


class Models:
    """Loaded models by id, and which of them answers when a request names none.

    Parameters
    ----------
    models : sequence of RiskModel
        In the order they are listed.
    default : str
        Id of one of them.

    Raises
    ------
    BundleError
        If two have one id, or none has the default's.
    """

    def __init__(self, models: Sequence[RiskModel], default: str) -> None:
        self._models: dict[str, RiskModel] = {}
        for model in models:
            held = self._models.setdefault(model.manifest.id, model)
            if held is not model:
                raise BundleError(
                    f"{held.bundle.path} and {model.bundle.path} are both model "
                    f"{model.manifest.id}; serve one of them, or fit one under another name"
                )
        if default not in self._models:
            raise BundleError(
                f"there is no model {default} to answer by default; "
                f"set {MODELS_VARIABLE} to the directories of bundles"
            )
        self.default = default
        self._described = {name: _describe(model) for name, model in self._models.items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Models:
        """Load the bundles `RISKSCORE_MODELS` names, then those shipped that it does not replace.

        Raises
        ------
        BundleError
            If one is missing or damaged, naming the file.
        """
        named = environment.get(MODELS_VARIABLE, "").split(os.pathsep)
        models = [load_model(Path(path)) for path in named if path.strip()]
        given = {model.manifest.id for model in models}
        default = models[0].manifest.id if models else DEFAULT_MODEL
        models += [
            load_model(path) for name, path in shipped_bundles().items() if name not in given
        ]
        return cls(models, default)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the models, in the order they are listed."""
        return tuple(self._models)

    def get(self, name: str | None = None) -> RiskModel:
        """Return the model whose id is `name`, the default for None.

        Raises
        ------
        Refusal
            404, listing the ids there are.
        """
        model = self._models.get(self.default if name is None else name)
        if model is None:
            remedy = f"choose from {', '.join(self.ids)}"
            rule = "must be one that is served here"
            raise Refusal.of("unknown-model", "model", rule, json_safe(name), remedy)
        return model

    def describe(self, name: str) -> dict[str, Any]:
        """Return what every answer of a model says of it, JSON-ready."""
        return self._described[name]

    def listing(self) -> dict[str, Any]:
        """Return the default's id and what there is to say of each model, JSON-ready."""
        return {"default": self.default, "models": list(self._described.values())}


def _describe(model: RiskModel) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "id": manifest.id,
        "digest": model.digest,
        "kind": manifest.kind,
        "outcome": manifest.outcome.label,
        "time_unit": manifest.study.time_unit,
        "statement": manifest.statement,
        "intervals": manifest.intervals,
    }

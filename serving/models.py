"""The models a service answers with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from riskscore import BundleError, RiskModel, __version__, load_model
from riskscore.bundle import shipped_bundles
from riskscore.errors import json_safe
from riskscore.review import Review
from serving.problems import Refusal, Reply, json_begin
from serving.settings import SettingError, switch

__all__ = ["APPROVED_VARIABLE", "DEFAULT_MODEL", "MODELS_VARIABLE", "Models"]

MODELS_VARIABLE = "RISKSCORE_MODELS"
"""Environment variable: what is served, and nothing else: directories of bundles or ids of shipped
models, separated as in PATH; the first is the default. Each may be pinned:
``bundles/os-cox@sha256:...`` is served only with that digest."""

APPROVED_VARIABLE = "RISKSCORE_REQUIRE_APPROVED"
"""Environment variable: 1 to serve only models with an approving review."""

DEFAULT_MODEL = "deb-tace-hcc/os/cox"
"""The default where the variable names no bundle."""

PIN = "@sha256:"
CARDS = {"card.html": "text/html", "card.md": "text/markdown"}
"""A model's card beside its bundle, in the order of preference, and what it is."""


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
        If two have one id, none has the default's, or a review cannot be read.
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
        self._reviews = {name: model.review for name, model in self._models.items()}
        self._described = {
            name: _describe(model, self._reviews[name]) for name, model in self._models.items()
        }
        self._begins = {name: json_begin({"model": told}) for name, told in self._described.items()}
        self._headers = {
            name: f'"{name}";review={review.status}' for name, review in self._reviews.items()
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Models:
        """Load the bundles that `RISKSCORE_MODELS` names; where it names none, all those shipped.

        With `RISKSCORE_REQUIRE_APPROVED` a bundle that is named must have an approving review, and
        one that is shipped and not named is left out without.

        Raises
        ------
        BundleError
            If one is missing, damaged, not what its pin says or not approved, naming it; if none is
            left to serve.
        SettingError
            If `RISKSCORE_REQUIRE_APPROVED` is neither 0 nor 1, or `RISKSCORE_MODELS` is set and
            names nothing.
        """
        approved = switch(APPROVED_VARIABLE, environment)
        text = environment.get(MODELS_VARIABLE, "")
        if text.strip():
            # A pin has a colon, which is also what separates the directories.
            entries = text.replace(PIN, "\0").split(os.pathsep)
            models = [_load_pinned(e.strip().replace("\0", PIN)) for e in entries if e.strip()]
            if not models:
                raise SettingError.of(
                    MODELS_VARIABLE, "directories of bundles or ids of shipped models", text,
                    "name one",
                )  # fmt: skip
            if approved:
                _check_approved(models)
            return cls(models, models[0].manifest.id)
        models = [load_model(path) for path in shipped_bundles().values()]
        if approved:
            models = [model for model in models if model.review.is_approved]
        if approved and not models:
            raise BundleError(
                f"{APPROVED_VARIABLE} is 1, and no model that is shipped has an approving review; "
                f"name approved bundles in {MODELS_VARIABLE}, or set {APPROVED_VARIABLE} to 0"
            )
        ids = [model.manifest.id for model in models]
        return cls(models, ids[0] if ids and DEFAULT_MODEL not in ids else DEFAULT_MODEL)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the models, in the order they are listed."""
        return tuple(self._models)

    def __iter__(self) -> Iterator[RiskModel]:
        """Iterate over the models, in the order they are listed."""
        return iter(self._models.values())

    def get(self, name: str | None = None) -> RiskModel:
        """Return the model whose id is `name`, the default for None.

        `name` may end in the digest it must have: ``id@sha256:...``.

        Raises
        ------
        Refusal
            404, listing the ids there are, or the digest that is served.
        """
        if name is None:
            return self._models[self.default]
        model_id, pin, digest = name.partition(PIN)
        model = self._models.get(model_id)
        if model is None:
            remedy = f"choose from {', '.join(self.ids)}"
            rule = "must be one that is served here"
            raise Refusal.of("unknown-model", "model", rule, json_safe(name), remedy)
        if pin and f"sha256:{digest}" != model.digest:
            remedy = f"what is served is {model_id}@{model.digest}; look at what has changed"
            rule = "must be one that is served here, with its digest"
            raise Refusal.of("unknown-model", "model", rule, json_safe(digest), remedy)
        return model

    def review(self, name: str) -> Review:
        """Return the review of a model, as it was when the service started."""
        return self._reviews[name]

    def reviews(self, name: str | None = None) -> str:
        """Return the header RiskScore-Review, of one model or of all that are served.

        A list of structured fields (RFC 8941): ``"deb-tace-hcc/os/cox";review=draft``.
        """
        return ", ".join(self._headers.values()) if name is None else self._headers[name]

    def statuses(self) -> str:
        """Return the header RiskScore-Review for who may not know which models are served."""
        return ", ".join(dict.fromkeys(review.status for review in self._reviews.values()))

    def describe(self, name: str) -> dict[str, Any]:
        """Return what every answer of a model says of it, JSON-ready."""
        return self._described[name]

    def begin(self, name: str) -> bytes:
        """Return how every answer of a model begins: `describe`, as JSON already."""
        return self._begins[name]

    def listing(self) -> dict[str, Any]:
        """Return the default's id and what there is to say of each model, JSON-ready."""
        return {"default": self.default, "models": list(self._described.values())}

    def detail(self, name: str) -> dict[str, Any]:
        """Return all there is to say of one model, JSON-ready: manifest, review, card.

        Raises
        ------
        Refusal
            404.
        """
        model = self.get(name)
        model_id = model.manifest.id
        return {
            "model": self.describe(model_id),
            "review": self.review(model_id).to_dict(),
            "card": f"/v1/models/{model_id}/card" if self._card(model_id) else None,
            "example": {"model": model_id, "patients": [model.manifest.typical_patient]},
            "manifest": model.manifest.to_dict(),
        }

    def card(self, name: str) -> Reply:
        """Return the card of a model.

        Raises
        ------
        Refusal
            404 where the model has none beside it.
        """
        path = self._card(name)
        if path is None:
            remedy = "write it beside the bundle with `python -m model_cards render`"
            raise Refusal.of("not-found", "card", "must be beside the bundle", None, remedy)
        return Reply(200, path.read_bytes(), f"{CARDS[path.name]}; charset=utf-8")

    def _card(self, name: str) -> Path | None:
        folder = self.get(name).bundle.path
        return next((folder / card for card in CARDS if (folder / card).is_file()), None)

    def self_test(self) -> None:
        """Let every model answer for a patient like its training's, and look at the answer.

        Raises
        ------
        BundleError
            If an answer is not a survival curve.
        """
        for model in self:
            answer = model.answer([model.manifest.typical_patient])
            curve = np.concatenate([[1.0], answer.survival[0]])
            rises = np.diff(curve) > 0
            if not np.isfinite(curve).all() or curve.min() < 0 or curve.max() > 1 or rises.any():
                raise BundleError(
                    f"{model.bundle.path}: the model's answer for a typical patient is not a "
                    "survival curve; fit the model again"
                )


def _load_pinned(entry: str) -> RiskModel:
    name, pin, digest = entry.partition(PIN)
    model = load_model(name)
    if pin and model.digest != f"sha256:{digest}":
        raise BundleError(
            f"{name} is pinned to sha256:{digest} in {MODELS_VARIABLE}, and its manifest.json has "
            f"digest {model.digest}; restore the bundle, or pin what has been reviewed since"
        )
    return model


def _check_approved(models: Sequence[RiskModel]) -> None:
    for model in models:
        status = model.review.status
        if status != "approved":
            raise BundleError(
                f"{model.bundle.path}: its review is {status}, and {APPROVED_VARIABLE} is set; "
                "have it reviewed, or leave it out"
            )


def _describe(model: RiskModel, review: Review) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "id": manifest.id,
        "digest": model.digest,
        "version": __version__,
        "kind": manifest.kind,
        "outcome": manifest.outcome.label,
        "time_unit": manifest.study.time_unit,
        "statement": manifest.statement,
        "review_status": review.status,
        "review": review.label,
        "intervals": manifest.intervals,
    }

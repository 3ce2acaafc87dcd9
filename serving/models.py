"""The models a service answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from riskscore import BundleError, RiskModel, __version__
from riskscore.bundle import shipped_bundles
from riskscore.errors import json_safe
from riskscore.files import read_attachment
from riskscore.review import Review
from serving.problems import Refusal, Reply, json_begin

__all__ = ["APPROVED_VARIABLE", "DEFAULT_MODEL", "MODELS_VARIABLE", "PIN", "Models"]

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

LARGEST_CARD = 10_000_000
"""Bytes."""

SHIPPED_CARDS = Path(__file__).parents[1] / "model_cards"
"""The cards of the shipped models, in the checkout, in a Bento and in the image."""


class Models:
    """Loaded models by id, and which of them answers when a request names none.

    Parameters
    ----------
    models : sequence of RiskModel
        In the order they are listed.
    default : str
        Id of one of them.
    reviews : mapping of str to Review, optional
        Of each, by id; as it was when the model was loaded by default.
    stopped : mapping of str to Refusal, optional
        Why a model answers no more, by id.

    Raises
    ------
    BundleError
        If two have one id, none has the default's, or a review cannot be read.
    """

    def __init__(
        self,
        models: Sequence[RiskModel],
        default: str,
        reviews: Mapping[str, Review] | None = None,
        stopped: Mapping[str, Refusal] = MappingProxyType({}),
    ) -> None:
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
        self.stopped = stopped
        self._reviews = reviews or {name: model.review for name, model in self._models.items()}
        self._described = {
            name: _describe(model, self._reviews[name]) for name, model in self._models.items()
        }
        self._begins = {name: json_begin({"model": told}) for name, told in self._described.items()}
        self._headers = {
            name: f'"{name}";review={self._reviews[name].status}'
            + (";withdrawn" if self._is_withdrawn(name) else "")
            for name in self._models
        }
        self._cards = {name: _card(model) for name, model in self._models.items()}

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

    def answering(self, name: str | None = None) -> RiskModel:
        """Return a model to predict with, as `get` does.

        Raises
        ------
        Refusal
            404 as `get`; 410 with the reason if it was withdrawn, 503 if that cannot be read.
        """
        model = self.get(name)
        if refusal := self.stopped.get(model.manifest.id):
            # Another each time: an exception that is raised again grows by a traceback.
            raise Refusal(refusal.kind, refusal.problems)
        return model

    def _is_withdrawn(self, name: str) -> bool:
        return name in self.stopped and self.stopped[name].kind == "withdrawn"

    def review(self, name: str) -> Review:
        """Return the review of a model."""
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
        models = [
            {**told, "withdrawn": self._withdrawn(name)} for name, told in self._described.items()
        ]
        return {"default": self.default, "models": models}

    def _withdrawn(self, name: str) -> str | None:
        """Return why a model was withdrawn, None if it was not."""
        return self.stopped[name].problems[0].rule if self._is_withdrawn(name) else None

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
            "withdrawn": self._withdrawn(model_id),
            "card": f"/v1/models/{model_id}/card" if self._cards[model_id] else None,
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
        card = self._cards[self.get(name).manifest.id]
        if card is None:
            remedy = "write it beside the bundle with `python -m model_cards render`"
            rule = "must be beside the bundle, and of this digest"
            raise Refusal.of("not-found", "card", rule, None, remedy)
        return card


def _card(model: RiskModel) -> Reply | None:
    """Return the card of a model, read once; None where there is none, or one of another digest."""
    for name, media_type in CARDS.items():
        data = model.bundle.attachment(name, LARGEST_CARD)
        if data is None and model.bundle.path == shipped_bundles().get(model.manifest.id):
            data = read_attachment(SHIPPED_CARDS, f"{model.manifest.id}/{name}", LARGEST_CARD)
        if data is not None and model.digest.encode() in data:
            return Reply(200, data, f"{media_type}; charset=utf-8")
    return None


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

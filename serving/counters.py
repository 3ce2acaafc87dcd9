"""What Prometheus is told beside BentoML's own metrics, at ``GET /metrics``.

::

    riskscore_predictions_total{model}                patients predicted
    riskscore_predict_seconds{model}                  how long a request took, refused or not
    riskscore_refusals_total{kind, field, rule}       rules that requests broke
    riskscore_levels_total{model, predictor, level}   patients predicted, by each predictor
    riskscore_risk_groups_total{model, group}         patients predicted, by risk group
    riskscore_unlike_training_total{model}            patients unlike every training patient
    riskscore_audit_lost_total                        audit lines that could not be written
    riskscore_model_info{model, digest, review}       1 for each model that is served

The last but three are the raw material for drift: sums over patients, no patient in them. A number
is counted by the quarter of the training patients' range it lies in, or as below or above it.
Every label comes from a manifest or from this code, so what clients send cannot make new series.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from riskscore import RiskModel
from riskscore.prediction import Answer
from serving.audit import Facts

__all__ = ["Counters"]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

QUARTERS = ("below", "quarter 1", "quarter 2", "quarter 3", "quarter 4", "above")

FIELDS = frozenset(
    {"body", "patients", "patient", "times", "model", "compare", "explain", "Content-Type"}
    | {"Content-Encoding", "Authorization", "Host", "path", "method", "request", "service"}
)
"""Fields of a refusal that are told as they are, beside the predictors; others are "other"."""

UNLIKE = "no such patient in the training data"
"""How a note on a patient unlike the training patients begins."""


class Counters:
    """The service's own metrics.

    Parameters
    ----------
    registry : CollectorRegistry
        Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"riskscore_{name}", text, labels, registry=registry)

        self._predictions = counter("predictions", "Patients predicted", "model")
        self._refusals = counter("refusals", "Rules that requests broke", "kind", "field", "rule")
        self._levels = counter("levels", "Patients by predictor", "model", "predictor", "level")
        self._groups = counter("risk_groups", "Patients by risk group", "model", "group")
        self._unlike = counter("unlike_training", "Patients unlike the training's", "model")
        self._lost = counter("audit_lost", "Audit lines that could not be written")
        self._seconds = Histogram(
            "riskscore_predict_seconds",
            "How long a request to predict took",
            ("model",),
            registry=registry,
            buckets=SECONDS,
        )
        self._info = Gauge(
            "riskscore_model_info",
            "1 for each model that is served",
            ("model", "digest", "review"),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._fields = FIELDS
        self._by_model: dict[str, _ModelCounters] = {}
        self._told: list[tuple[str, str, str]] = []

    def serve(self, models: Iterable[tuple[RiskModel, str]]) -> None:
        """Make every series of the models that are served, each with its review status.

        Called again when they have changed; what was served before is 0 from then on.

        A series that is there from the start, at 0, shows its first increase as a rate.
        """
        for labels in self._told:
            self._info.labels(*labels).set(0)
        self._told = []
        for model, review in models:
            manifest = model.manifest
            self._fields = self._fields | {p.name for p in manifest.predictors}
            self._told.append((manifest.id, model.digest, review))
            self._info.labels(*self._told[-1]).set(1)
            # By digest: a request may end after its model has been replaced.
            self._by_model[model.digest] = _ModelCounters(
                model,
                self._predictions.labels(manifest.id),
                self._unlike.labels(manifest.id),
                self._levels,
                self._groups,
            )
            self._seconds.labels(manifest.id)

    def predicted(self, digest: str, answer: Answer) -> None:
        """Count the patients of an answer of the model of that digest."""
        self._by_model[digest].count(answer)

    def finished(self, facts: Facts) -> None:
        """Count a request that has been answered."""
        if facts.refusal is not None:
            for rule, field in facts.refusal.codes():
                known = field if field in self._fields else "other"
                self._refusals.labels(facts.refusal.kind, known, rule).inc()
        if facts.model:
            self._seconds.labels(facts.model).observe(facts.seconds)

    def lost(self) -> None:
        """Count an audit line that could not be written."""
        self._lost.inc()


class _ModelCounters:
    """The series of one model, looked up once: to look them up anew costs as much as to predict."""

    def __init__(
        self,
        model: RiskModel,
        predictions: Counter,
        unlike: Counter,
        levels: Counter,
        groups: Counter,
    ) -> None:
        manifest = model.manifest
        self._predictions = predictions
        self._unlike = unlike
        self._groups = {
            label: groups.labels(manifest.id, label) for label in manifest.risk_groups["labels"]
        }
        self._columns: list[tuple[list[Counter], np.ndarray | None]] = []
        for p in manifest.predictors:
            names = p.levels or QUARTERS
            series = [levels.labels(manifest.id, p.name, name) for name in names]
            edges = None
            if not p.is_category:
                low, high = manifest.envelope["ranges"][p.name]
                edges = np.linspace(low, high, len(QUARTERS) - 1)
                # A value at the upper end is inside the range.
                edges[-1] = np.nextafter(edges[-1], np.inf)
            self._columns.append((series, edges))

    def count(self, answer: Answer) -> None:
        self._predictions.inc(len(answer))
        for values, (series, edges) in zip(answer.inputs.T, self._columns, strict=True):
            at = values if edges is None else edges.searchsorted(values, side="right")
            if len(at) == 1:
                series[int(at[0])].inc()
                continue
            counts = np.bincount(at.astype(int), minlength=len(series)).tolist()
            for one, n in zip(series, counts, strict=True):
                if n:
                    one.inc(n)
        for group in answer.risk_group:
            self._groups[group].inc()
        unlike = sum(any(note.startswith(UNLIKE) for note in notes) for notes in answer.notes)
        if unlike:
            self._unlike.inc(unlike)

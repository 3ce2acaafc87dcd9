"""Every model of scikit-survival that has a survival function, against its own ONNX graph.

1,000 patients, 7 predictors, forests of 100 trees, one thread on either side. Both give survival at
all of the model's `unique_times_`; the graph is fed 128 patients at a time, as the runtime does.
"""

from __future__ import annotations

import pickle
import statistics
import timeit
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime as ort
from sksurv.ensemble import (
    ComponentwiseGradientBoostingSurvivalAnalysis,
    ExtraSurvivalTrees,
    GradientBoostingSurvivalAnalysis,
    RandomSurvivalForest,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.tree import SurvivalTree

from riskscore.graph import ROWS_AT_ONCE
from tests.training.exported import around
from training.export import register_converters

__all__ = ["measure"]

MODELS: tuple[Any, ...] = (
    CoxPHSurvivalAnalysis(),
    CoxnetSurvivalAnalysis(fit_baseline_model=True),
    ComponentwiseGradientBoostingSurvivalAnalysis(random_state=0),
    GradientBoostingSurvivalAnalysis(random_state=0),
    SurvivalTree(min_samples_leaf=15, random_state=0),
    RandomSurvivalForest(100, min_samples_leaf=15, random_state=0),
    ExtraSurvivalTrees(100, min_samples_leaf=15, random_state=0),
)
MANY = 10_000


def measure() -> Iterator[str]:
    """Yield a line a model: median over repeats."""
    from skl2onnx import to_onnx

    register_converters()
    X, y = _patients(1_000, 0)
    many, _ = _patients(MANY, 1)
    yield (
        f"{'model':<46}{'difference':>11}{'file':>11}{'pickle':>12}{'smaller':>9}"
        f"{'1 row':>8}{'10,000':>8}"
    )
    for model in MODELS:
        model.fit(X, y)
        graph = to_onnx(model, X[:1]).SerializeToString()
        size, pickled = len(graph), len(pickle.dumps(model))
        ask = _asking(graph)
        difference = max(_difference(model, ask, rows) for rows in (many, _near(model, many)))
        row = X[:1]
        one = [_seconds(lambda: _theirs(model, row), 5, 9), _seconds(lambda: ask(row), 50, 9)]  # noqa: B023
        all_ = [_seconds(lambda: _theirs(model, many), 1, 3), _seconds(lambda: ask(many), 1, 3)]  # noqa: B023
        yield (
            f"{type(model).__name__:<46}{difference:>11.1e}{size:>11,}{pickled:>12,}"
            f"{pickled / size:>9.1f}{one[0] / one[1]:>8.0f}{all_[0] / all_[1]:>8.1f}"
        )


def _patients(n: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    X = np.column_stack([
        random.integers(0, 2, (n, 4)), random.normal(60, 10, n), random.lognormal(3, 1.5, n),
        random.normal(7, 3, n),
    ]).astype(float)  # fmt: skip
    log_hazard = X[:, :4] @ [0.7, 0.7, 0.8, -0.6] + 0.02 * (X[:, 4] - 60) + 0.1 * X[:, 6]
    death = 30 * random.weibull(1.4, n) * np.exp(-log_hazard / 1.4)
    censored = random.uniform(8, 60, n)
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["event"] = death <= censored
    y["time"] = np.minimum(death, censored).round(2) + 0.01
    return X, y


def _near(model: Any, rows: Any) -> Any:
    stages = np.ravel(getattr(model, "estimators_", model))
    trees = [stage.tree_ for stage in stages if hasattr(stage, "tree_")]
    return around(rows, trees, 2) if trees else rows


def _asking(graph: bytes) -> Callable[[Any], Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def ask(rows: Any) -> Any:
        parts = [
            session.run(["survival", "risk_score"], {"X": rows[i : i + ROWS_AT_ONCE]})[0]
            for i in range(0, len(rows), ROWS_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    return ask


def _theirs(model: Any, rows: Any) -> Any:
    return model.predict_survival_function(rows, return_array=True)


def _difference(model: Any, ask: Callable[[Any], Any], rows: Any) -> float:
    parts = np.array_split(rows, 10)
    return max(float(np.abs(ask(part) - _theirs(model, part)).max()) for part in parts)


def _seconds(call: Callable[[], object], number: int, repeat: int) -> float:
    call()
    return statistics.median(timeit.repeat(call, number=number, repeat=repeat)) / number

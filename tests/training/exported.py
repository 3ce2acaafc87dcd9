"""Running a graph, and rows that try it where a rounding could show."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from riskscore.graph import OUTPUTS

__all__ = ["around", "run"]

FloatArray = NDArray[np.float64]


def run(graph: bytes, X: Any, *, optimised: bool = True, at_once: int = 128) -> list[Any]:
    """Return the graph's outputs, fed as the runtime feeds them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(OUTPUTS, {name: X[i : i + at_once]}) for i in range(0, len(X), at_once)]
    return [np.concatenate(p) for p in zip(*parts, strict=True)]


def around(X: FloatArray, trees: list[Any], seed: int) -> FloatArray:
    """Return rows whose values lie on the trees' thresholds, or one step to either side.

    A step is one float32 or one float64, drawn for each value; values of features that no tree
    splits stay as they are.
    """
    random = np.random.default_rng(seed)
    found = X.copy()
    for j in range(X.shape[1]):
        cuts = np.concatenate([t.threshold[t.feature == j] for t in trees])
        cuts = cuts[np.isfinite(cuts)]  # infinite where a split parts missing from known
        if not len(cuts):
            continue
        chosen = random.choice(cuts, len(X))
        single = chosen.astype(np.float32)
        down, up = np.float32(-np.inf), np.float32(np.inf)
        sides = [
            chosen,
            np.nextafter(chosen, -np.inf),
            np.nextafter(chosen, np.inf),
            single.astype(float),
            np.nextafter(single, down).astype(float),
            np.nextafter(single, up).astype(float),
        ]
        found[:, j] = np.choose(random.integers(0, len(sides), len(X)), sides)
    return found

"""The inner graph of a Scan, built node by node as `Graph` builds the outer one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

__all__ = ["Body"]


class Body:
    """Adds nodes one call at a time; names are its own, those of the outer graph may be read."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def const(self, values: Any) -> str:
        """Add a constant and return its name."""
        name = f"body_c{len(self._constants)}"
        array = np.asarray(values, order="C")
        self._constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its result."""
        name = out or f"body_{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def graph(self, inputs: dict[str, int], outputs: dict[str, list[int]]) -> onnx.GraphProto:
        """Return the graph: the length of each int64 input, the shape of each double output."""
        return helper.make_graph(
            self._nodes,
            "body",
            [helper.make_tensor_value_info(n, TensorProto.INT64, [k]) for n, k in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.DOUBLE, k) for n, k in outputs.items()],
            self._constants,
        )

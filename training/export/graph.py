"""Building a graph node by node inside skl2onnx, and writing it with its tables beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

__all__ = [
    "IR_VERSION",
    "LARGE",
    "NAN",
    "OPSET",
    "Graph",
    "exp_of_rows",
    "filled",
    "row_products",
    "same_everywhere",
    "serialised",
    "tables_aside",
    "without_bounds",
]

OPSET = {"": 18, "ai.onnx.ml": 3}
"""Low enough for onnxruntime-web's WASM build (15 to 21 were tried there)."""

IR_VERSION = 8

LARGE = 2**20
"""Bytes from which a table joins the model only after conversion, which copies all it holds."""

_aside: ContextVar[dict[str, NDArray[Any]] | None] = ContextVar("aside", default=None)

NAN = np.array([np.nan])

LANES = 8
"""Doubles that the widest processors compute at once. onnxruntime computes what does not fill them
by other means, to other last bits: which elements these are depends on the number of patients."""


class Graph:
    """Adds nodes one call at a time: `g.add("Exp", x)` returns the name of the result."""

    def __init__(self, scope: Any, container: Any) -> None:
        self.scope = scope
        self.container = container

    def const(self, values: Any) -> str:
        """Add a constant and return its name."""
        name: str = self.scope.get_unique_variable_name("c")
        array = np.asarray(values, order="C")
        aside = _aside.get()
        if aside is not None and array.nbytes > LARGE:
            aside[name] = array
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape)
        else:
            tensor = onnx.numpy_helper.from_array(array, name)
        # Not by `add_initializer`, which keeps a second copy of every tensor to find equal ones.
        self.container.initializers.append(tensor)
        return name

    def add(self, op: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its result."""
        name = out or self.scope.get_unique_variable_name(op.lower())
        domain = attributes.pop("op_domain", "")
        self.container.add_node(
            op,
            list(inputs),
            name,
            op_domain=domain,
            op_version=min(OPSET[domain], self.container.target_opset_any_domain(domain)),
            name=self.scope.get_unique_operator_name(op),
            **attributes,
        )
        return name


def without_bounds(g: Graph, survival: str, lower: str, upper: str) -> None:
    """Write bounds of NaN, for a model that has no interval."""
    for bound in (lower, upper):
        g.add("Mul", survival, g.const(NAN), out=bound)


def row_products(g: Graph, x: str, matrix: NDArray[np.float64]) -> str:
    """Add `x @ matrix` as `riskscore.design.row_products` computes it: [N, p] to [N, m].

    Operations on single elements alone: those of MatMul depend on how many patients there are.
    """
    total = ""
    for k, weights in enumerate(matrix):
        column = g.add("Gather", x, g.const(np.array([k], np.int64)), axis=1)
        product = g.add("Mul", column, g.const(weights[None, :]))
        total = g.add("Add", total, product) if total else product
    return total


def same_everywhere(g: Graph, op: str, column: str) -> str:
    """Add a function of a column, [N, 1], whose last bits do not depend on a patient's position."""
    wide = g.add(op, g.add("Mul", column, g.const(np.ones((1, LANES)))))
    return g.add("Gather", wide, g.const(np.array([0], np.int64)), axis=1)


def filled(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a row of numbers, filled up with 0 to whole `LANES`, as [1, m]."""
    return np.pad(row, (0, -len(row) % LANES))[None, :]


def exp_of_rows(g: Graph, exponent: str, n_times: int, out: str) -> None:
    """Write the exponential of rows that were `filled`, [N, m], cut to their [N, n_times]."""
    wide = g.add("Exp", exponent)
    start, end, axis = (g.const(np.array([k], np.int64)) for k in (0, n_times, 1))
    g.add("Slice", wide, start, end, axis, out=out)


@contextmanager
def tables_aside() -> Iterator[dict[str, NDArray[Any]]]:
    """Keep tables above `LARGE` out of the graphs built in the block; give them by name."""
    aside: dict[str, NDArray[Any]] = {}
    token = _aside.set(aside)
    try:
        yield aside
    finally:
        _aside.reset(token)


def serialised(
    model: onnx.ModelProto, aside: dict[str, NDArray[Any]], properties: dict[str, str]
) -> bytes:
    """Return the model's bytes, with the tables kept aside put in and the properties set."""
    tables = [t for t in model.graph.initializer if t.name in aside]
    for tensor in tables:
        model.graph.initializer.remove(tensor)
    model.ir_version = IR_VERSION
    model.doc_string = ""
    onnx.helper.set_model_props(model, properties)
    parts: list[Any] = [model.SerializeToString(deterministic=True)]
    for tensor in tables:
        parts += _appended(tensor, aside[tensor.name])
    return b"".join(parts)


def _appended(tensor: onnx.TensorProto, table: NDArray[Any]) -> list[Any]:
    """Return the pieces that add an initializer to a serialised model that they follow.

    Protocol buffers merge a message's later part into the earlier, lists by appending, so a second
    `graph` that holds one initializer adds it to the first. Written this way a forest's table is
    copied once; as a message it would be held five times while the model is put together.
    """
    head = tensor.SerializeToString(deterministic=True)
    raw = np.ascontiguousarray(table).data.cast("B")
    tail = _prefix(onnx.TensorProto, "raw_data", raw.nbytes)
    inner = len(head) + len(tail) + raw.nbytes
    middle = _prefix(onnx.GraphProto, "initializer", inner)
    return [_prefix(onnx.ModelProto, "graph", len(middle) + inner), middle, head, tail, raw]


def _prefix(message: Any, field: str, size: int) -> bytes:
    """Return what goes before a length-delimited field: its number, and its size as a varint."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    prefix = bytearray([number << 3 | 2])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix)

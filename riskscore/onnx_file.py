"""What an ONNX file asks to be computed, read from its bytes without the onnx package.

A strict walk over the protocol buffer: every field must be one that an export writes, written as a
serialiser writes it. Tensors and long lists are passed over, not copied, so that the walk costs
little beside loading the graph.

Source of the field numbers: onnx/onnx.proto of ONNX 1.17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Attribute", "Graph", "Node", "OnnxError", "Tensor", "read_graph"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MOST_NODES = 20_000
"""Nodes of all graphs together. A polynomial of 20 columns has 4,000."""

DEEPEST = 1
"""Graphs within each other: the body of a Scan."""

SHORT = 4096
"""Bytes up to which the numbers of an attribute or tensor are read, not passed over."""

MODEL_FIELDS = {
    **dict.fromkeys((1, 5), VARINT),
    **dict.fromkeys((2, 3, 4, 6, 7, 8, 14), BYTES),
}
GRAPH_FIELDS = dict.fromkeys((1, 2, 5, 10, 11, 12, 13), BYTES)
NODE_FIELDS = dict.fromkeys((1, 2, 3, 4, 5, 6, 7), BYTES)
ATTRIBUTE_FIELDS = {
    **dict.fromkeys((1, 4, 5, 6, 9, 13), BYTES),
    **dict.fromkeys((2, 7), FIXED32),
    **dict.fromkeys((3, 8, 20), VARINT),
}
VALUE_FIELDS = {1: BYTES, 2: BYTES, 3: BYTES}
OPSET_FIELDS = {1: BYTES, 2: VARINT}

# The numbers of trees come by the million, each with its key: runs of them are taken at once.
_RUNS = {
    7: re.compile(rb"(?:\x3d[\x00-\xff]{4})*+"),
    8: re.compile(rb"(?:\x40[\x80-\xff]{0,9}+[\x00-\x7f])*+"),
    9: re.compile(rb"(?:\x4a(?:\x0aBRANCH_LEQ|\x04LEAF))*+"),
}


class OnnxError(ValueError):
    """The file is not what an export writes; the text is a rule that it breaks."""


@dataclass(frozen=True)
class Tensor:
    """A constant: its name, element type (of ONNX), shape, and few enough integers to be read."""

    name: str
    kind: int
    shape: tuple[int, ...]
    integers: tuple[int, ...] | None = None


@dataclass
class Attribute:
    """A setting of a node: what of it tells how much is computed.

    `integers` are those of a short attribute; of a long one `runs` holds the bytes, each number
    with its key before it. `modes` is the same for what the nodes of a tree are, and `strings`
    counts other texts.
    """

    integers: list[int] = field(default_factory=list)
    strings: int = 0
    tensor: Tensor | None = None
    graph: Graph | None = None
    runs: list[memoryview] = field(default_factory=list)
    modes: list[memoryview] = field(default_factory=list)


@dataclass(frozen=True)
class Node:
    """One operation: `domain` is "" for ONNX's own."""

    domain: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]


@dataclass
class Graph:
    """Operations in their order, and the constants they read."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def read_graph(data: bytes) -> Graph:
    """Return the graph of an ONNX file.

    Raises
    ------
    OnnxError
        If it is damaged, has a field that no export writes (functions, sparse or quantised tensors,
        training steps), keeps a tensor in another file, or has too many nodes.
    """
    view = memoryview(data)
    if bytes(view[4:8]) == b"ORTM":
        raise OnnxError("must be ONNX, not onnxruntime's own format")
    graph = Graph()
    budget = [MOST_NODES]  # counted down over all graphs
    some = False
    for number, value in _fields(view, MODEL_FIELDS, "model"):
        if number == 7:  # a later part is added to the earlier
            _add_to(graph, _view(value), budget)
            some = True
        elif number == 8:
            _fields_once(_view(value), OPSET_FIELDS, "opset")
    if not some:
        raise OnnxError("must hold a graph")
    return graph


def _add_to(graph: Graph, data: memoryview, budget: list[int], depth: int = 0) -> None:
    for number, value in _fields(data, GRAPH_FIELDS, "graph"):
        if number == 1:
            budget[0] -= 1
            if budget[0] < 0:
                raise OnnxError(f"must have at most {MOST_NODES:,} nodes")
            graph.nodes.append(_node(_view(value), budget, depth))
        elif number == 5:
            tensor = _tensor(_view(value))
            if tensor.name in graph.tensors:
                raise OnnxError(f"must name each tensor once, {tensor.name[:80]!r} comes twice")
            graph.tensors[tensor.name] = tensor
        elif number in (11, 12):
            names = graph.inputs if number == 11 else graph.outputs
            names.append(_text(_fields_once(_view(value), VALUE_FIELDS, "value").get(1, b"")))


def _node(data: memoryview, budget: list[int], depth: int) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    single: dict[int, str] = {}
    attributes: dict[str, Attribute] = {}
    for number, value in _fields(data, NODE_FIELDS, "node"):
        if number in (1, 2):
            (inputs if number == 1 else outputs).append(_text(value))
        elif number == 5:
            name, attribute = _attribute(_view(value), budget, depth)
            if name in attributes:
                raise OnnxError(f"must have each attribute of a node once, {name[:80]!r} is twice")
            attributes[name] = attribute
        elif number in single:
            raise OnnxError(f"must have field {number} of a node once")
        else:
            single[number] = _text(value)
    domain = single.get(7, "")
    return Node(
        domain="" if domain == "ai.onnx" else domain,
        op=single.get(4, ""),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attributes=attributes,
    )


def _attribute(data: memoryview, budget: list[int], depth: int) -> tuple[str, Attribute]:
    names = []
    found = Attribute()
    for number, value in _fields(data, ATTRIBUTE_FIELDS, "attribute", _RUNS):
        if number == 1:
            names.append(_text(value))
        elif number == 3:
            found.integers += _numbers(value)
        elif number == 8:
            found.runs.append(_view(value))
        elif number == -9:
            found.modes.append(_view(value))
        elif number == 9:
            found.strings += 1
        elif number == 5 and found.tensor is None:
            found.tensor = _tensor(_view(value))
        elif number == 6 and found.graph is None and depth < DEEPEST:
            found.graph = Graph()
            _add_to(found.graph, _view(value), budget, depth + 1)
        elif number in (5, 6):
            raise OnnxError("must have one tensor or graph in an attribute, and none in that")
    if len(names) != 1:
        raise OnnxError("must name each attribute once")
    for run in found.runs if sum(map(len, found.runs)) <= SHORT else ():
        found.integers += _numbers(run)[1::2]
    return names[0], found


def _tensor(data: memoryview) -> Tensor:
    name, kind, shape = "", 0, []
    integers: tuple[int, ...] | None = None
    for number, value in _fields(data, None, "tensor"):
        if number == 13 or (number == 14 and value != 0):
            raise OnnxError(
                "must not keep part of itself in another file, of which there is no hash"
            )
        if number == 1:
            shape += _numbers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number in (7, 9) and not isinstance(value, int) and len(value) <= SHORT:
            integers = tuple(_numbers(value)) if number == 7 else _int64(value)
        elif number not in (4, 5, 7, 9, 10, 12, 14):
            raise OnnxError(f"must not have field {number} in a tensor")
    if any(not 0 <= size < 2**40 for size in shape):
        raise OnnxError(f"must have sizes of 0 or more, tensor {name[:80]!r} has {shape[:8]}")
    return Tensor(name, kind, tuple(shape), integers if kind == 7 else None)


def _fields_once(data: memoryview, allowed: dict[int, int], what: str) -> dict[int, object]:
    return dict(_fields(data, allowed, what))


def _fields(
    data: memoryview,
    allowed: dict[int, int] | None,
    what: str,
    runs: dict[int, re.Pattern[bytes]] | None = None,
) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field: an integer, or its bytes.

    Of `runs` the bytes of the whole run, keys and all; -9 for the modes of trees.
    """
    at, end = 0, len(data)
    while at < end:
        key, after = _varint(data, at)
        number, wire = key >> 3, key & 7
        if allowed is not None and number not in allowed:
            raise OnnxError(f"must not have field {number} in a {what}, which no export writes")
        if allowed is not None and wire != allowed[number]:
            raise OnnxError(f"is damaged: field {number} of a {what} has another type")
        passed = runs[number].match(data, at) if runs and number in runs else None
        if passed is not None and passed.end() > at:
            yield -number if number == 9 else number, data[at : passed.end()]
            at = passed.end()
            continue
        at = after
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = (
            _varint(data, at) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}.get(wire, -1), at)
        )
        if size < 0 or at + size > end:
            raise OnnxError(f"is damaged: field {number} of a {what} does not end")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that starts at a byte, and where it ends."""
    value = shift = 0
    for k in range(at, min(at + 10, len(data))):
        byte = data[k]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte == 0 and k > at:
                raise OnnxError("is damaged: a number is written longer than it is")
            return value, k + 1
    raise OnnxError("is damaged: a number does not end")


def _numbers(value: object) -> list[int]:
    """Return the integers of a field that holds one, or many one after the other."""
    if isinstance(value, int):
        return [_signed(value)]
    data, at, numbers = _view(value), 0, []
    while at < len(data):
        number, at = _varint(data, at)
        numbers.append(_signed(number))
    return numbers


def _int64(data: memoryview) -> tuple[int, ...] | None:
    whole = len(data) % 8 == 0
    parts = range(0, len(data), 8)
    return (
        tuple(int.from_bytes(data[k : k + 8], "little", signed=True) for k in parts)
        if whole
        else None
    )


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _view(value: object) -> memoryview:
    if not isinstance(value, memoryview):
        raise OnnxError("is damaged: a number stands where a table should")
    return value


def _text(value: object) -> str:
    data = value if isinstance(value, memoryview | bytes) else b"\xff"
    try:
        return bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        raise OnnxError("is damaged: a name is not UTF-8 text") from None

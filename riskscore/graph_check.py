"""How much a graph computes, told before it runs: its operators, and the size of every result.

A graph may use the operators that exports use, and no others: no loops, no branches, nothing whose
size depends on a patient's values. Sizes then follow from the shapes of the constants and from the
number of rows, so the work for a batch is known, and no patient can make it longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from riskscore.onnx_file import Attribute, Graph, Node, OnnxError, Tensor
from riskscore.tree_check import check_trees

__all__ = ["LARGEST", "MOST_WORK", "OPERATORS", "check_graph"]

Shape = tuple[int, ...]

LARGEST = 2**28
"""Numbers that one result may have: 128 patients x 2,000 trees x 1,000 times."""

MOST_WORK = 10**11
"""Multiplications and additions for one batch: half a minute. A forest of 2,000 trees with a band
on 150 times takes 7e9."""

FOLLOWED = ("Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze")
"""Operators that choose among integers and put them together, but do not compute with them."""


@dataclass
class _Known:
    """What is known of the results so far: shapes, and the values of integers that give shapes.

    `fixed` names the results that are the same whatever the number of rows.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    integers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    work: int = 0

    def inner(self) -> _Known:
        """Return what a graph within a node knows: all of this, and what it adds itself."""
        return _Known(dict(self.shapes), dict(self.integers), set(self.fixed))


Rule = Callable[[Node, list[Shape], _Known], Sequence[Shape]]


def check_graph(graph: Graph, n_rows: int, n_predictors: int) -> int:
    """Return how many operations a graph takes for a batch.

    Parameters
    ----------
    graph : Graph
    n_rows : int
        Rows of the largest batch.
    n_predictors : int
        Columns of the input `x`.

    Raises
    ------
    OnnxError
        If it uses another operator, makes a size from values, or takes too much memory or time.
    """
    known = _Known(shapes={"x": (n_rows, n_predictors)})
    _run(graph, known, within="")
    return known.work


def _run(graph: Graph, known: _Known, within: str) -> None:
    for tensor in graph.tensors.values():
        if tensor.name in known.shapes:
            raise OnnxError(f"must name each result once, {tensor.name[:80]!r} comes twice")
        _add_tensor(tensor.name, tensor, known)
    for node in graph.nodes:
        rule = RULES.get((node.domain, node.op))
        if rule is None or (within and node.op == "Scan"):
            name = f"{node.domain}.{node.op}".strip(".")
            raise OnnxError(
                f"must use the operators of our exports only, not {name[:80]!r}"
                f"{' within a Scan' if within else ''}"
            )
        for name, attribute in node.attributes.items():
            if attribute.graph is not None and (node.op, name) != ("Scan", "body"):
                raise OnnxError(f"must not have a graph in {node.op}")
        try:
            given = [known.shapes[name] for name in node.inputs if name]
            shapes = rule(node, given, known)
        except (KeyError, IndexError, ZeroDivisionError, ValueError) as error:
            if isinstance(error, OnnxError):
                raise
            raise OnnxError(f"must have results of known size, a {node.op} has none") from error
        known.work += sum(map(math.prod, given))
        for name, shape in zip(node.outputs, shapes, strict=False):
            if not name:
                continue
            if name in known.shapes:
                raise OnnxError(f"must name each result once, {name[:80]!r} comes twice")
            known.shapes[name] = shape
            known.work += math.prod(shape)
            if math.prod(shape) > LARGEST or known.work > MOST_WORK:
                raise OnnxError(
                    f"must not compute this much for one batch: a {node.op} gives "
                    f"{math.prod(shape):.2g} numbers after {known.work:.2g} operations"
                )
        _follow_integers(node, known)


def _add_tensor(name: str, tensor: Tensor, known: _Known) -> None:
    known.shapes[name] = tensor.shape
    if math.prod(tensor.shape) > LARGEST:
        raise OnnxError(f"must have smaller constants than {name[:80]!r}")
    if tensor.integers is not None and len(tensor.integers) == math.prod(tensor.shape):
        known.integers[name] = tensor.integers
        known.fixed.add(name)


def _follow_integers(node: Node, known: _Known) -> None:
    """Follow integers that are shapes, or parts of shapes, to where they give one."""
    out = node.outputs[0] if node.outputs else ""
    if node.op == "Shape" and not node.attributes:
        known.integers[out] = known.shapes[node.inputs[0]]
        return
    if node.op not in FOLLOWED:
        return
    parts = node.inputs if node.op == "Concat" else node.inputs[:1]
    others = () if node.op == "Concat" else node.inputs[1:]
    # What is chosen may depend on the number of rows; which is chosen may not.
    if not all(n in known.integers for n in parts) or not all(n in known.fixed for n in others):
        return
    values = [value for name in parts for value in known.integers[name]]
    if node.op == "Gather":
        values = [values[i] for i in known.integers[node.inputs[1]]]
    elif node.op == "Slice":
        chosen = [known.integers[name] for name in node.inputs[1:] if name]
        if any(len(numbers) != 1 for numbers in chosen) or len(known.shapes[node.inputs[0]]) != 1:
            return
        step = chosen[3][0] if len(chosen) > 3 else 1
        values = values[chosen[0][0] : chosen[1][0] : step]
    if len(values) == math.prod(known.shapes[out]):
        known.integers[out] = tuple(values)
        if all(name in known.fixed for name in parts):
            known.fixed.add(out)


def _one(node: Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name, Attribute())
    return attribute.integers[-1] if attribute.integers else default


def _sizes(node: Node, place: int, known: _Known) -> tuple[int, ...] | None:
    """Return the integers of an input that gives a size, which must be known; None without it."""
    if len(node.inputs) <= place or not node.inputs[place]:
        return None
    return known.integers[node.inputs[place]]


def _constants(node: Node, place: int, known: _Known) -> tuple[int, ...] | None:
    """Return the integers of an input that says where a size is taken, the same for any batch."""
    numbers = _sizes(node, place, known)
    if numbers is not None and node.inputs[place] not in known.fixed:
        raise KeyError(node.inputs[place])
    return numbers


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise IndexError(axis)
    return axis % rank


def _same(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    return [shapes[0]]


def _broadcast(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    return [_joined(shapes)]


def _joined(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    sizes = []
    for column in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True):
        others = {size for size in column if size != 1}
        if len(others) > 1:
            raise ValueError(shapes)
        sizes.append(others.pop() if others else 1)
    return tuple(sizes)


def _reduce(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    shape = shapes[0]
    if node.op in ("ArgMax", "ArgMin"):
        axes: Sequence[int] = [_one(node, "axis", 0)]
    else:
        axes = _constants(node, 1, known) or node.attributes.get("axes", Attribute()).integers
        axes = axes or range(len(shape))
    gone = {_axis(axis, len(shape)) for axis in axes}
    if _one(node, "keepdims", 1):
        return [tuple(1 if k in gone else size for k, size in enumerate(shape))]
    return [tuple(size for k, size in enumerate(shape) if k not in gone)]


def _matmul(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    # A vector is a row on the left and a column on the right, as in numpy.
    a = shapes[0] if len(shapes[0]) > 1 else (1, *shapes[0])
    b = shapes[1] if len(shapes[1]) > 1 else (*shapes[1], 1)
    if a[-1] != b[-2]:
        raise ValueError(shapes)
    shape = (*_joined([a[:-2], b[:-2]]), a[-2], b[-1])
    known.work += math.prod(shape) * a[-1]
    if len(shapes[0]) == 1:
        shape = (*shape[:-2], shape[-1])
    return [shape[:-1] if len(shapes[1]) == 1 else shape]


def _gemm(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    a = shapes[0][::-1] if _one(node, "transA", 0) else shapes[0]
    b = shapes[1][::-1] if _one(node, "transB", 0) else shapes[1]
    return _matmul(node, [a, b], known)


def _gather(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    data, indices = shapes
    axis = _axis(_one(node, "axis", 0), len(data))
    return [data[:axis] + indices + data[axis + 1 :]]


def _gather_elements(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    return [shapes[1]]


def _concat(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    axis = _axis(_one(node, "axis", 0), len(shapes[0]))
    total = sum(shape[axis] for shape in shapes)
    return [(*shapes[0][:axis], total, *shapes[0][axis + 1 :])]


def _slice(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    starts, ends = _constants(node, 1, known), _constants(node, 2, known)
    axes, steps = _constants(node, 3, known), _constants(node, 4, known)
    if starts is None or ends is None:
        raise KeyError("starts")
    sizes = list(shapes[0])
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = _axis(axes[k] if axes else k, len(sizes))
        sizes[axis] = len(range(*slice(start, end, steps[k] if steps else 1).indices(sizes[axis])))
    return [tuple(sizes)]


def _squeeze(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    axes = _constants(node, 1, known)
    if axes is None:
        return [tuple(size for size in shapes[0] if size != 1)]
    gone = {_axis(axis, len(shapes[0])) for axis in axes}
    if any(shapes[0][axis] != 1 for axis in gone):
        raise ValueError(shapes)
    return [tuple(size for k, size in enumerate(shapes[0]) if k not in gone)]


def _unsqueeze(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    axes = _constants(node, 1, known) or ()
    rank = len(shapes[0]) + len(axes)
    new, old = {_axis(axis, rank) for axis in axes}, iter(shapes[0])
    return [tuple(1 if k in new else next(old, 1) for k in range(rank))]


def _reshape(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    sizes = list(_sizes(node, 1, known) or ())
    if not _one(node, "allowzero", 0):
        sizes = [shapes[0][k] if size == 0 else size for k, size in enumerate(sizes)]
    total = math.prod(shapes[0])
    if -1 in sizes:
        at = sizes.index(-1)
        sizes[at] = total // math.prod(size for k, size in enumerate(sizes) if k != at)
    if math.prod(sizes) != total or min(sizes, default=1) < 0:
        raise ValueError(sizes)
    return [tuple(sizes)]


def _transpose(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    order = node.attributes.get("perm", Attribute()).integers
    if order and sorted(order) != list(range(len(shapes[0]))):
        raise ValueError(order)
    return [tuple(shapes[0][k] for k in order) if order else shapes[0][::-1]]


def _flatten(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    axis = _one(node, "axis", 1)
    axis = axis + len(shapes[0]) if axis < 0 else axis
    return [(math.prod(shapes[0][:axis]), math.prod(shapes[0][axis:]))]


def _shape(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    if node.attributes:
        raise ValueError("start")
    return [(len(shapes[0]),)]


def _constant_of_shape(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    return [_sizes(node, 0, known) or ()]


def _constant(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    tensor = node.attributes["value"].tensor
    if tensor is None or len(node.attributes) != 1:
        raise KeyError("value")
    _add_tensor(node.outputs[0], tensor, known)
    return [known.shapes.pop(node.outputs[0])]


def _tree(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    trees, depth = check_trees(node)
    known.work += shapes[0][0] * trees * depth
    return [(shapes[0][0], _one(node, "n_targets", 1))]


def _array_feature_extractor(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    rows = shapes[0][:-1] or (1,)
    return [(*rows, math.prod(shapes[1]))]


def _one_hot_encoder(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    a = node.attributes
    levels = max(
        len(a.get("cats_int64s", Attribute()).integers), a.get("cats_strings", Attribute()).strings
    )
    return [(*shapes[0], levels)]


def _linear(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    rows, columns = shapes[0] if len(shapes[0]) == 2 else (1, shapes[0][0])
    targets = _one(node, "targets", 1)
    known.work += rows * columns * targets
    return [(rows, targets)]


def _scan(node: Node, shapes: list[Shape], known: _Known) -> list[Shape]:
    """Every row of every input in turn; nothing is carried from one to the next."""
    body = node.attributes["body"].graph
    inputs = [name for name in body.inputs if name not in body.tensors] if body else []
    if body is None or set(node.attributes) != {"body", "num_scan_inputs"}:
        raise KeyError("body")
    if not len(inputs) == len(node.inputs) == _one(node, "num_scan_inputs", 0):
        raise ValueError("state")
    length = {shape[0] for shape in shapes}
    if len(length) != 1:
        raise ValueError(shapes)
    times = length.pop()
    inner = known.inner()
    for name, shape in zip(inputs, shapes, strict=True):
        inner.shapes[name] = shape[1:]
        inner.integers.pop(name, None)
        inner.fixed.discard(name)
    _run(body, inner, within="Scan")
    known.work += times * inner.work
    return [(times, *inner.shapes[name]) for name in body.outputs]


def _rules(rule: Rule, ops: str, domain: str = "") -> dict[tuple[str, str], Rule]:
    return {(domain, op): rule for op in ops.split()}


SAME = "Abs Cast Ceil Clip Erf Exp Floor Identity IsInf IsNaN Log Neg Not Reciprocal Relu Round"
BROADCAST = "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow"
REDUCE = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"

RULES: Mapping[tuple[str, str], Rule] = {
    **_rules(_same, f"{SAME} Sigmoid Sign Softmax Sqrt Tanh"),
    **_rules(_broadcast, f"{BROADCAST} Sub Sum Where Xor"),
    **_rules(_reduce, " ".join(f"Reduce{what}" for what in REDUCE.split()) + " ArgMax ArgMin"),
    **_rules(_matmul, "MatMul"),
    **_rules(_gemm, "Gemm"),
    **_rules(_gather, "Gather"),
    **_rules(_gather_elements, "GatherElements"),
    **_rules(_concat, "Concat"),
    **_rules(_slice, "Slice"),
    **_rules(_squeeze, "Squeeze"),
    **_rules(_unsqueeze, "Unsqueeze"),
    **_rules(_reshape, "Reshape"),
    **_rules(_transpose, "Transpose"),
    **_rules(_flatten, "Flatten"),
    **_rules(_shape, "Shape"),
    **_rules(_constant_of_shape, "ConstantOfShape"),
    **_rules(_constant, "Constant"),
    **_rules(_scan, "Scan"),
    **_rules(_same, "Binarizer Imputer LabelEncoder Normalizer Scaler", "ai.onnx.ml"),
    **_rules(_tree, "TreeEnsembleRegressor", "ai.onnx.ml"),
    **_rules(_array_feature_extractor, "ArrayFeatureExtractor", "ai.onnx.ml"),
    **_rules(_one_hot_encoder, "OneHotEncoder", "ai.onnx.ml"),
    **_rules(_linear, "LinearRegressor", "ai.onnx.ml"),
}
"""The size of each operator's results: those of this project's converters, and those that skl2onnx
uses for the steps that can stand before a survival model."""

OPERATORS = frozenset(RULES)
"""Operators that a graph may use, by domain."""

"""From a fitted pipeline to one self-contained ONNX graph, through skl2onnx.

`register_converters` teaches skl2onnx this project's estimators; importing registers nothing.
The graph takes `x` (double [N, p]: level indices and numbers) and gives `survival`,
`survival_lower`, `survival_upper` (double [N, T]) and `risk_score` (double [N]).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy import stats
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.pipeline import Pipeline

from riskscore.model import OUTPUTS
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.forest import CompactForest, leaf_numbers
from training.tabulate import ProfileTable, tabulated

__all__ = ["register_converters", "to_onnx"]

OPSET = {"": 18, "ai.onnx.ml": 3}
"""Low enough for onnxruntime-web's WASM build (15 to 21 were tried there)."""

IR_VERSION = 8

LARGE = 2**20
"""Bytes from which a table joins the model only after conversion, which copies all it holds."""

_aside: ContextVar[dict[str, NDArray[Any]] | None] = ContextVar("aside", default=None)

NAN = np.array([np.nan])


def register_converters() -> None:
    """Teach skl2onnx the encoder, the Cox model and the forest. May be called again."""
    update_registered_converter(
        StudyEncoder, "RiskscoreStudyEncoder", _encoder_shape, _convert_encoder, overwrite=True
    )
    for model, (_, converter) in _MODELS.items():
        update_registered_converter(
            model, _alias(model), _curves_shape, converter, overwrite=True, parser=_curves_parser
        )


def to_onnx(pipeline: Pipeline, n_predictors: int, name: str, properties: dict[str, str]) -> bytes:
    """Return the graph of a fitted pipeline of `StudyEncoder` and a model.

    Parameters
    ----------
    pipeline : Pipeline
    n_predictors : int
        Columns of `x`.
    name : str
        Name of the graph; without one skl2onnx would invent a random name, and the same model would
        not give the same bytes.
    properties : dict of str
        The manifest's essentials, for a reader who has only this file.
    """
    register_converters()
    aside: dict[str, NDArray[Any]] = {}
    token = _aside.set(aside)
    try:
        model = convert_sklearn(
            tabulated(pipeline),
            name=name,
            initial_types=[("x", DoubleTensorType([None, n_predictors]))],
            target_opset=OPSET,
        )
    finally:
        _aside.reset(token)
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


def _encoder_shape(operator: Any) -> None:
    rows = operator.inputs[0].type.shape[0]
    operator.outputs[0].type = DoubleTensorType([rows, len(operator.raw_operator.terms_)])


def _curves_parser(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:
    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    for name in OUTPUTS:
        operator.outputs.append(scope.declare_local_variable(name, DoubleTensorType()))
    return operator.outputs


def _alias(model: type) -> str:
    return f"Riskscore{model.__name__}"


def _curves_shape(operator: Any) -> None:
    rows = operator.inputs[0].type.shape[0]
    n_times, _ = _MODELS[type(operator.raw_operator)]
    for output in operator.outputs[:-1]:
        output.type = DoubleTensorType([rows, n_times(operator.raw_operator)])
    operator.outputs[-1].type = DoubleTensorType([rows])


class _Graph:
    """Adds nodes one call at a time: `g.add("Exp", x)` returns the name of the result."""

    def __init__(self, scope: Any, container: Any) -> None:
        self.scope = scope
        self.container = container

    def const(self, values: Any) -> str:
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
        name = out or self.scope.get_unique_variable_name(op.lower())
        domain = attributes.pop("op_domain", "")
        self.container.add_node(
            op,
            list(inputs),
            name,
            op_domain=domain,
            op_version=OPSET[domain],
            name=self.scope.get_unique_operator_name(op),
            **attributes,
        )
        return name


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """Compare with each level's index; a row with any other index becomes NaN."""
    encoder = operator.raw_operator
    g = _Graph(scope, container)
    x, out = operator.inputs[0].full_name, operator.outputs[0].full_name
    categories = [(j, p) for j, p in enumerate(encoder.predictors) if p.is_category]
    parts: list[str] = []
    order: list[int] = []
    if categories:
        columns = [j for j, p in categories for _ in p.levels]
        levels = [float(i) for _, p in categories for i in range(len(p.levels))]
        chosen = g.add("Gather", x, g.const(np.array(columns, np.int64)), axis=1)
        hit = g.add("Cast", g.add("Equal", chosen, g.const(np.array(levels))), to=11)
        hits = g.add("ReduceSum", hit, g.const(np.array([1], np.int64)), keepdims=1)
        valid = g.add("Equal", hits, g.const(np.array([float(len(categories))])))
        hit = g.add("Where", valid, hit, g.const(NAN))
        place = {(j, lv): k for k, (j, lv) in enumerate(zip(columns, levels, strict=True))}
        indicators = [k for k, t in enumerate(encoder.terms_) if t.level is not None]
        wanted = [place[encoder.terms_[k].column, encoder.terms_[k].level] for k in indicators]
        parts.append(g.add("Gather", hit, g.const(np.array(wanted, np.int64)), axis=1))
        order += indicators
    for form in ("linear", "log"):
        numbers = [k for k, t in enumerate(encoder.terms_) if t.level is None and t.form == form]
        if not numbers:
            continue
        columns = [encoder.terms_[k].column for k in numbers]
        values = g.add("Gather", x, g.const(np.array(columns, np.int64)), axis=1)
        parts.append(g.add("Log", values) if form == "log" else values)
        order += numbers
    if categories and len(parts) > 1:  # a bad level spoils the whole row, numbers too
        parts[1:] = [g.add("Where", valid, part, g.const(NAN)) for part in parts[1:]]
    joined = g.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if order == list(range(len(order))):
        g.add("Identity", joined, out=out)
    else:
        g.add("Gather", joined, g.const(np.argsort(order).astype(np.int64)), axis=1, out=out)


def _convert_cox(scope: Any, operator: Any, container: Any) -> None:
    """Curves and log-log intervals; the formulas of `CoxModel.predict_curves`, rearranged.

    The half-width of the interval for log(-log S) is 1.96 sqrt(q), with
    q = z'Vz - 2 z'V a/A + (a'Va + w)/A^2: A the baseline hazard, a the integral of the risk sets'
    means, w the baseline's variance, V the coefficients', z the patient's deviation from the mean.
    """
    model: CoxModel = operator.raw_operator
    efron, V = model.efron_, model.variance_
    g = _Graph(scope, container)
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    x = operator.inputs[0].full_name
    mean = efron.hazard_mean / efron.hazard[:, None]
    own = np.einsum("tq,qr,tr->t", mean, V, mean) + efron.hazard_variance / efron.hazard**2

    lp = g.add("MatMul", x, g.const(model.coef_[:, None]))
    g.add("Squeeze", lp, g.const(np.array([1], np.int64)), out=score)
    offset = g.const(np.array([model.center_ @ model.coef_]))
    hazard = g.add("Mul", g.add("Exp", g.add("Sub", lp, offset)), g.const(-efron.hazard[None, :]))
    g.add("Exp", hazard, out=survival)
    z = g.add("Sub", x, g.const(model.center_[None, :]))
    quadratic = g.add(
        "ReduceSum",
        g.add("Mul", g.add("MatMul", z, g.const(V)), z),
        g.const(np.array([1], np.int64)),
        keepdims=1,
    )
    cross = g.add("MatMul", z, g.const(2 * V @ mean.T))
    q = g.add("Sub", g.add("Add", quadratic, g.const(own[None, :])), cross)
    # Rounding can leave a tiny negative where the variance is nil.
    q = g.add("Max", q, g.const(np.array([0.0])))
    half = g.add("Mul", g.add("Sqrt", q), g.const(np.array([stats.norm.ppf(0.975)])))
    widen = g.add("Exp", half)
    g.add("Exp", g.add("Mul", hazard, widen), out=lower)
    g.add("Exp", g.add("Div", hazard, widen), out=upper)


def _convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """Each tree gives its leaf's number; the leaves' curves are gathered and averaged."""
    model: CompactForest = operator.raw_operator
    g = _Graph(scope, container)
    x = operator.inputs[0].full_name
    # scikit-learn compares float32(x) with its threshold, and so does the graph.
    x32 = g.add("Cast", x, to=1)
    numbers = g.add("TreeEnsembleRegressor", x32, op_domain="ai.onnx.ml", **_ensemble(model.trees_))
    leaf = g.add("Add", g.add("Cast", numbers, to=7), g.const(model.offsets_[None, :]))
    # The risk score travels as a last column beside the curve.
    curves = g.add("Gather", g.const(model.table_), leaf, axis=0)
    # A product with ones sums each patient's trees in one order, whoever else is in the batch;
    # ReduceMean takes another order for one patient than for several.
    ones = g.const(np.ones((1, len(model.trees_)), np.float32))
    total = g.add("Squeeze", g.add("MatMul", ones, curves), g.const(np.array([1], np.int64)))
    n_trees = g.const(np.array([float(len(model.trees_))]))
    mean = g.add("Div", g.add("Cast", total, to=11), n_trees)
    # A tree sends a missing value somewhere; a patient with one gets no answer instead.
    known = g.add("ReduceSum", x, g.const(np.array([1], np.int64)), keepdims=1)
    answer = g.add("Where", g.add("IsNaN", known), g.const(NAN), mean)
    _unbounded(g, answer, operator)


def _convert_table(scope: Any, operator: Any, container: Any) -> None:
    """Look the patient's combination of levels up; a last row of NaN is for those that are none."""
    model: ProfileTable = operator.raw_operator
    g = _Graph(scope, container)
    x = operator.inputs[0].full_name
    table = np.column_stack([model.survival, model.score])
    none = np.array([len(table)], dtype=np.float64)
    table = np.vstack([table, np.full(table.shape[1], np.nan)])
    number = g.add("MatMul", x, g.const(model.weights))
    number = g.add("Where", g.add("IsNaN", number), g.const(none), number)
    answer = g.add("Gather", g.const(table), g.add("Cast", number, to=7), axis=0)
    _unbounded(g, answer, operator)


def _unbounded(g: _Graph, answer: str, operator: Any) -> None:
    """Split curves from the risk score beside them, and give bounds of NaN."""
    survival, lower, upper, score = (v.full_name for v in operator.outputs)
    last = g.const(np.array([-1], np.int64))
    axis = g.const(np.array([1], np.int64))
    g.add("Slice", answer, g.const(np.array([0], np.int64)), last, axis, out=survival)
    g.add("Gather", answer, g.const(np.array(-1, np.int64)), axis=1, out=score)
    for bound in (lower, upper):
        g.add("Mul", survival, g.const(NAN), out=bound)


def _ensemble(trees: list[Any]) -> dict[str, Any]:
    """Return the attributes of one TreeEnsembleRegressor with a target a tree."""
    sizes = [tree.node_count for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    is_leaf = left == -1
    threshold = np.concatenate([tree.threshold for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    number = np.concatenate([leaf_numbers(tree) for tree in trees])
    return {
        "n_targets": len(trees),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, feature).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf.tolist()],
        "nodes_values": np.where(is_leaf, 0.0, _float32_below(threshold)).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "nodes_missing_value_tracks_true": [0] * len(left),
        "target_treeids": tree_ids[is_leaf].tolist(),
        "target_nodeids": node_ids[is_leaf].tolist(),
        "target_ids": tree_ids[is_leaf].tolist(),
        "target_weights": number[is_leaf].astype(float).tolist(),
    }


def _float32_below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold.

    scikit-learn compares a float32 value with a double threshold. Rounded to the nearest float32,
    the threshold could come to lie above a value that was above it; rounded down, `<=` decides the
    same way for every float32.
    """
    rounded = threshold.astype(np.float32)
    above = rounded.astype(np.float64) > threshold
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


_MODELS: dict[type, tuple[Callable[[Any], int], Callable[[Any, Any, Any], None]]] = {
    CoxModel: (lambda model: len(model.efron_.times), _convert_cox),
    CompactForest: (lambda model: len(model.times_), _convert_forest),
    ProfileTable: (lambda model: model.survival.shape[1], _convert_table),
}
"""Number of grid times, and converter, of each model that gives curves."""

"""A graph uses the operators of our exports, and how much it computes is known before it runs."""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from riskscore import load_model
from riskscore.bundle import open_bundle
from riskscore.errors import BundleError
from riskscore.graph_check import check_graph
from riskscore.onnx_file import OnnxError, read_graph


def model_of(
    nodes: list[Any], constants: dict[str, Any] | None = None, **more: Any
) -> onnx.ModelProto:
    """Return a model of nodes that read `x` and constants."""
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.DOUBLE, [None, 3])], [value("y", 11, None)], tensors
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, **more)


def work(model: onnx.ModelProto) -> int:
    """Return how much a graph computes for 128 rows of 3 predictors."""
    return check_graph(read_graph(model.SerializeToString()), 128, 3)


def node(op: str, *inputs: str, out: str = "y", **attributes: Any) -> onnx.NodeProto:
    """Return one node."""
    return helper.make_node(op, list(inputs), [out], **attributes)


def body(nodes: list[Any]) -> onnx.GraphProto:
    """Return the body of a loop or Scan over `r`."""
    value = helper.make_tensor_value_info
    return helper.make_graph(nodes, "b", [value("r", 11, [3])], [value("y", 11, None)])


def test_the_work_of_a_product_is_counted() -> None:
    """128 x 3 times 3 x 5: 1,920 products, and what goes in and out."""
    product = model_of([node("MatMul", "x", "w")], {"w": np.ones((3, 5))})
    assert work(product) == 128 * 3 * 5 + 128 * 3 + 3 * 5 + 128 * 5


@pytest.mark.parametrize("op", ["Loop", "If", "Range", "NonZero", "RandomNormalLike", "Compress"])
def test_operators_that_no_export_uses_are_refused(op: str) -> None:
    """An endless loop hung the only worker of a service."""
    with pytest.raises(OnnxError, match=f"operators of our exports only, not '{op}'"):
        work(model_of([node(op, "x", "x")]))


def test_a_foreign_domain_is_refused() -> None:
    """So is an operator of onnxruntime's own, which may load a library."""
    with pytest.raises(OnnxError, match="not 'com.microsoft.Add'"):
        work(model_of([node("Add", "x", "x", domain="com.microsoft")]))


def test_a_scan_takes_rows_in_turn_and_nothing_else() -> None:
    """Its work is that of its body for each row; another graph within it is refused."""
    once = model_of([node("Scan", "x", body=body([node("Exp", "r")]), num_scan_inputs=1)])
    assert work(once) == 128 * 6 + 2 * 128 * 3
    inner = node("Scan", "r", body=body([node("Exp", "r")]), num_scan_inputs=1)
    twice = model_of([node("Scan", "x", body=body([inner]), num_scan_inputs=1)])
    with pytest.raises(OnnxError, match="one tensor or graph in an attribute, and none in that"):
        work(twice)
    with pytest.raises(OnnxError, match="must not have a graph in Exp"):
        work(model_of([node("Exp", "x", body=body([node("Exp", "r")]))]))
    carried = model_of([node("Scan", "x", body=body([node("Exp", "r")]), num_scan_inputs=0)])
    with pytest.raises(OnnxError, match="results of known size, a Scan has none"):
        work(carried)


def test_results_that_grow_without_end_are_refused() -> None:
    """Joined to itself forty times, a table has 10^14 numbers; so has a product of products."""
    doubled = [
        node("Concat", f"y{k}" if k else "x", f"y{k}" if k else "x", out=f"y{k + 1}", axis=0)
        for k in range(40)
    ]
    with pytest.raises(OnnxError, match="must not compute this much for one batch: a Concat"):
        work(model_of(doubled))
    filled = model_of([node("ConstantOfShape", "s")], {"s": np.array([10**6, 10**6])})
    with pytest.raises(OnnxError, match="must not compute this much for one batch"):
        work(filled)


def test_a_size_may_not_come_from_a_patients_values() -> None:
    """Else one patient could ask for more memory than any that was tried."""
    cast = node("Cast", "x", out="s", to=7)
    with pytest.raises(OnnxError, match="results of known size, a ConstantOfShape has none"):
        work(model_of([cast, node("ConstantOfShape", "s")]))
    # Nor from a table that is looked up by the number of rows.
    shape = node("Shape", "x", out="n")
    chosen = node("Gather", "table", "n", out="s")
    table = {"table": np.arange(500)}
    with pytest.raises(OnnxError, match="results of known size, a ConstantOfShape has none"):
        work(model_of([shape, chosen, node("ConstantOfShape", "s")], table))
    assert work(model_of([shape, node("ConstantOfShape", "n")])) > 128 * 3


def external(model: onnx.ModelProto) -> None:
    """Let a constant say that it is in another file."""
    tensor = model.graph.initializer[0]
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")


def test_a_tensor_in_another_file_is_refused_however_it_is_written() -> None:
    """It would be read from the working directory, and no hash covers it."""
    model = model_of([node("MatMul", "x", "w")], {"w": np.ones((3, 5))})
    external(model)
    with pytest.raises(OnnxError, match="must not keep part of itself in another file"):
        work(model)
    # The length of the key's name written as 0x88 0x00 instead of 0x08 hid it from a plain search.
    data = model.SerializeToString()
    place = data.index(b"\x0a\x08location")
    longer = data[: place + 1] + b"\x88\x00" + data[place + 2 :]
    with pytest.raises(OnnxError, match="must not keep part|is damaged"):
        read_graph(longer)
    value = numpy_helper.from_array(np.ones((3, 5)), "value")
    hidden = model_of([node("Constant", out="w", value=value), node("MatMul", "x", "w")])
    attribute = hidden.graph.node[0].attribute[0].t
    attribute.external_data.add().key = "location"
    with pytest.raises(OnnxError, match="must not keep part of itself in another file"):
        work(hidden)


def test_what_no_export_writes_is_refused() -> None:
    """Functions, sparse tensors, onnxruntime's own format, and numbers that are too long."""
    plain = model_of([node("Exp", "x")])
    function = helper.make_function(
        "f", "g", ["a"], ["b"], [helper.make_node("Exp", ["a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    with pytest.raises(OnnxError, match="must not have field 25 in a model"):
        work(model_of([node("Exp", "x")], functions=[function]))
    sparse = onnx.ModelProto.FromString(plain.SerializeToString())
    sparse.graph.sparse_initializer.add()
    with pytest.raises(OnnxError, match="must not have field 15 in a graph"):
        work(sparse)
    with pytest.raises(OnnxError, match="onnxruntime's own format"):
        read_graph(b"\x20\0\0\0ORTM" + bytes(40))
    data = plain.SerializeToString()
    assert data[0] == 0x08, "the version stands first"
    with pytest.raises(OnnxError, match="a number is written longer than it is"):
        read_graph(b"\x88\x00" + data[1:])
    with pytest.raises(OnnxError, match="does not end"):
        read_graph(data[:-1])


def trees(**changes: list[Any]) -> onnx.ModelProto:
    """Return one tree of two splits, with attributes of its nodes changed."""
    attributes: dict[str, Any] = {
        "nodes_treeids": [0] * 5,
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_featureids": [0] * 5,
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [1.0, 0.0, 2.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 3, 0, 0],
        "nodes_falsenodeids": [2, 0, 4, 0, 0],
        "target_treeids": [0] * 3,
        "target_nodeids": [1, 3, 4],
        "target_ids": [0] * 3,
        "target_weights": [0.0, 1.0, 2.0],
        "n_targets": 1,
    } | changes
    ensemble = node("TreeEnsembleRegressor", "f", domain="ai.onnx.ml", **attributes)
    return model_of([node("Cast", "x", out="f", to=1), ensemble])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes_truenodeids": [1, 0, 2, 0, 0]}, "children come after their parents"),
        ({"nodes_truenodeids": [1, 0, 0, 0, 0]}, "children come after their parents"),
        ({"nodes_falsenodeids": [2, 0, 9, 0, 0]}, "children come after their parents"),
        ({"nodes_falsenodeids": [2, 0, -1, 0, 0]}, "number trees and nodes from 0"),
        ({"nodes_nodeids": [0, 1, 2, 3, 3]}, "number the nodes of each tree from 0"),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]}, "BRANCH_LEQ or"),
        ({"nodes_modes": ["LEAF"]}, "say of each node of its trees"),
    ],
)
def test_a_tree_that_would_be_followed_for_ever_is_refused(
    changes: dict[str, list[Any]], message: str
) -> None:
    """A child that points back at its parent, or at a node that is not there."""
    assert work(trees()) > 0
    with pytest.raises(OnnxError, match=message):
        work(trees(**changes))


def test_a_tree_that_is_too_deep_is_refused() -> None:
    """The runtime builds trees by recursion: a chain of splits would end its stack."""
    n = 4001
    chain: dict[str, list[Any]] = {
        "nodes_treeids": [0] * n,
        "nodes_nodeids": list(range(n)),
        "nodes_featureids": [0] * n,
        "nodes_modes": ["BRANCH_LEQ", "LEAF"] * (n // 2) + ["LEAF"],
        "nodes_values": [1.0] * n,
        "nodes_truenodeids": [min(k + 1, n - 1) for k in range(n)],
        "nodes_falsenodeids": [min(k + 2, n - 1) for k in range(n)],
    }
    with pytest.raises(OnnxError, match="at most 1000 splits in a row"):
        work(trees(**chain))


def test_a_bundle_with_such_a_graph_is_refused_by_name(cox_bundle: Path, tmp_path: Path) -> None:
    """With its hash made right again; the working directory has the file it asks for."""
    copy = tmp_path / "b"
    copy.mkdir()
    for file in cox_bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    model = onnx.ModelProto.FromString((copy / "model.onnx").read_bytes())
    external(model)
    data = model.SerializeToString()
    data = data.replace(b"\x0a\x08location", b"\x0a\x88\x00location")
    (copy / "model.onnx").write_bytes(data)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = sha256(data).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    pattern = f"{re.escape(str(copy))}: model.onnx .*; write the bundle again"
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        (tmp_path / "secret").write_bytes(bytes(64))
        with pytest.raises(BundleError, match=pattern):
            load_model(copy)
    finally:
        os.chdir(here)


def test_the_shipped_graphs_compute_little(cox_bundle: Path, forest_bundle: Path) -> None:
    """Far from the limit, so that nobody's model comes near it by chance."""
    for path in (cox_bundle, forest_bundle):
        bundle = open_bundle(path)
        graph = read_graph(bundle.graph)
        assert check_graph(graph, 128, len(bundle.manifest.predictors)) < 10**8


def test_a_property_that_is_no_text_is_refused(cox_bundle: Path, tmp_path: Path) -> None:
    """The graph's own words about the model are read by the runtime, which expects UTF-8."""
    copy = tmp_path / "b"
    copy.mkdir()
    for file in cox_bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    name, broken = b"deb-tace-hcc/os/cox", b"deb\xe5tace-hcc/os/cox"
    data = (copy / "model.onnx").read_bytes().replace(name, broken)
    (copy / "model.onnx").write_bytes(data)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = sha256(data).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"not UTF-8|onnxruntime cannot read model.onnx"):
        load_model(copy)

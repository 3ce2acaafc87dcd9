"""Whether the trees of a graph end: each child must come after its parent.

onnxruntime follows a tree from node to node without counting; a child that points back at a node
above it would be followed for ever.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from riskscore.onnx_file import Attribute, Node, OnnxError

__all__ = ["DEEPEST", "check_trees"]

DEEPEST = 1000
"""Splits from the root of a tree to a leaf; onnxruntime builds trees by recursion."""

LONGEST = 5
"""Bytes of a number below 2^35."""

IntArray = NDArray[np.int64]


def check_trees(node: Node) -> tuple[int, int]:
    """Return how many trees a TreeEnsembleRegressor has, and the depth of the deepest.

    Raises
    ------
    OnnxError
        If a child does not come after its parent, or a tree is too deep.
    """
    a = node.attributes
    tree, own, left, right = (
        _integers(a.get(f"nodes_{name}", Attribute()))
        for name in ("treeids", "nodeids", "truenodeids", "falsenodeids")
    )
    leaf = _leaves(a.get("nodes_modes", Attribute()))
    if not len(tree) == len(own) == len(left) == len(right) == len(leaf) > 0:
        raise OnnxError("must say of each node of its trees whether it splits, and to which nodes")
    starts = np.flatnonzero(np.concatenate(([True], tree[1:] != tree[:-1])))
    first = np.repeat(starts, np.diff(np.append(starts, len(tree))))
    if (own != np.arange(len(own)) - first).any() or (np.diff(tree) < 0).any():
        raise OnnxError("must number the nodes of each tree from 0")
    for child in (left, right):
        place = first + child
        outside = (place >= len(first)) | (first[np.minimum(place, len(first) - 1)] != first)
        if (~leaf & ((child <= own) | outside)).any():
            raise OnnxError("must have trees whose children come after their parents")
    return len(starts), _depth(starts, ~leaf, first + left, first + right)


def _depth(level: IntArray, splits: NDArray[np.bool_], left: IntArray, right: IntArray) -> int:
    for depth in range(DEEPEST + 1):
        level = level[splits[level]]
        if not len(level):
            return depth + 1
        level = np.unique(np.concatenate([left[level], right[level]]))
    raise OnnxError(f"must have trees of at most {DEEPEST} splits in a row")


def _leaves(modes: Attribute) -> NDArray[np.bool_]:
    """Return which nodes are leaves: each is written as J, a length, and BRANCH_LEQ or LEAF."""
    if modes.strings:
        raise OnnxError("must have trees whose nodes are BRANCH_LEQ or LEAF")
    parts = [np.frombuffer(run, dtype=np.uint8) for run in modes.modes]
    text = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    starts = np.flatnonzero(text == ord("J"))
    leaves: NDArray[np.bool_] = text[starts + 1] == len("LEAF")
    return leaves


def _integers(attribute: Attribute) -> IntArray:
    """Return the integers of an attribute, however many: bytes with seven bits each, low first."""
    if not attribute.runs:
        return np.array(attribute.integers, dtype=np.int64)
    data = np.concatenate([np.frombuffer(run, dtype=np.uint8) for run in attribute.runs])
    # Before every number stands its key, one byte.
    last = np.flatnonzero(data < 0x80)
    start, end = last[0::2] + 1, last[1::2]
    if (end - start).max(initial=0) >= LONGEST:
        raise OnnxError("must number trees and nodes from 0")
    padded = np.append(data, np.zeros(LONGEST, np.uint8)).astype(np.int64)
    numbers = np.zeros(len(start), dtype=np.int64)
    for k in range(LONGEST):
        numbers += np.where(start + k <= end, (padded[start + k] & 0x7F) << 7 * k, 0)
    return numbers

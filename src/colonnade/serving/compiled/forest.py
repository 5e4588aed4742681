"""Trees as ONNX, written node by node: thresholds stay 64-bit, as the libraries compare them, and a missing value goes where they
send it.

The general converters round thresholds to 32 bits, and fail on some of scikit-learn's forests. `estimators` and `light_boosters`
call it; what it writes is proved like any other conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colonnade.serving.compiled.original import Graph

Link = Literal["identity", "exp", "sigmoid", "softmax", "sign", "label"]
"""From the sums of the leaves to the answers: `sign` is the class of a positive or negative sum, `label` that of the largest."""
_LEAF = -1


@dataclass(frozen=True)
class Tree:
    """Arrays over its nodes, the root first. A row goes left where its feature is at most the threshold."""

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    """-1 at a leaf."""
    right: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    """(nodes, targets): what a leaf adds to each sum."""
    target: int | None = None
    """The one sum that it adds to, where `value` has one column for several targets."""


@dataclass(frozen=True)
class Forest:
    trees: Sequence[Tree]
    features: int
    base: Sequence[float]
    """What each sum begins with; as many as there are targets."""
    link: Link = "identity"
    scale: float = 1.0
    """Sums are multiplied by it before a sigmoid."""
    classes: npt.NDArray[Any] | None = None
    dtype: Literal["float32", "float64"] = "float64"
    """How the library reads rows before it compares."""


def thresholds(trees: Sequence[Tree], features: int) -> list[npt.NDArray[np.float64]]:
    """Of each feature, sorted."""
    inner = [tree.left != _LEAF for tree in trees]
    feature = np.concatenate([tree.feature[at] for tree, at in zip(trees, inner, strict=True)] or [[]])
    value = np.concatenate([tree.threshold[at] for tree, at in zip(trees, inner, strict=True)] or [[]])
    return [np.unique(value[feature == number]) for number in range(features)]


def graph(forest: Forest) -> Graph:
    from onnx import TensorProto, helper

    kind = TensorProto.DOUBLE if forest.dtype == "float64" else TensorProto.FLOAT
    nodes, rows = [], "input"
    if forest.dtype != "float64":
        nodes.append(helper.make_node("Cast", ["input"], ["rows"], to=TensorProto.DOUBLE))
        rows = "rows"
    nodes.append(_ensemble(forest, rows))
    linked, constants, answer = _link(forest)
    made = helper.make_graph(
        [*nodes, *linked],
        "forest",
        [helper.make_tensor_value_info("input", kind, [None, forest.features])],
        [helper.make_tensor_value_info("answer", answer, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    return Graph(model.SerializeToString(), "answer", dtype=forest.dtype)


def _ensemble(forest: Forest, rows: str) -> Any:
    from onnx import helper, numpy_helper

    def tensor(values: Any) -> Any:
        return numpy_helper.from_array(np.asarray(values, dtype=np.float64))

    sizes = [len(tree.left) for tree in forest.trees]
    number = np.repeat(np.arange(len(sizes)), sizes)
    node = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.left for tree in forest.trees])
    right = np.concatenate([tree.right for tree in forest.trees])
    leaf = left == _LEAF
    leaves = _leaves(forest)
    return helper.make_node(
        "TreeEnsembleRegressor",
        [rows],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=len(forest.base),
        base_values_as_tensor=tensor(forest.base),
        nodes_treeids=number.tolist(),
        nodes_nodeids=node.tolist(),
        nodes_featureids=np.where(leaf, 0, np.concatenate([tree.feature for tree in forest.trees])).tolist(),
        nodes_values_as_tensor=tensor(
            np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in forest.trees]))
        ),
        nodes_modes=["LEAF" if each else "BRANCH_LEQ" for each in leaf],
        nodes_truenodeids=np.where(leaf, 0, left).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, right).tolist(),
        nodes_missing_value_tracks_true=np.where(
            leaf, 0, np.concatenate([tree.missing_left for tree in forest.trees])
        )
        .astype(int)
        .tolist(),
        target_treeids=leaves[0].tolist(),
        target_nodeids=leaves[1].tolist(),
        target_ids=leaves[2].tolist(),
        target_weights_as_tensor=tensor(leaves[3]),
    )


def _leaves(forest: Forest) -> tuple[npt.NDArray[Any], ...]:
    """Tree, node, target and weight of whatever a leaf adds."""
    parts = []
    for number, tree in enumerate(forest.trees):
        at = np.flatnonzero(tree.left == _LEAF)
        for column in range(tree.value.shape[1]):
            target = tree.target if tree.target is not None else column
            parts.append((np.full(len(at), number), at, np.full(len(at), target), tree.value[at, column]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _link(forest: Forest) -> tuple[list[Any], list[Any], int]:
    """The nodes after the sums, their constants, and the type of the answers."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any) -> Any:
        return numpy_helper.from_array(values, name)

    node = helper.make_node
    if forest.link in ("sign", "label"):
        assert forest.classes is not None
        classes = forest.classes if forest.classes.dtype.kind in "iu" else forest.classes.astype(object)
        if forest.classes.dtype.kind in "iu":
            classes = classes.astype(np.int64)
        found = constant("classes", classes)
        pick = node("Gather", ["classes", "index"], ["answer"])
        kind = TensorProto.INT64 if forest.classes.dtype.kind in "iu" else TensorProto.STRING
        if forest.link == "label":
            return [node("ArgMax", ["sums"], ["index"], axis=1, keepdims=0), pick], [found], kind
        zero, shape = constant("zero", np.zeros(1, np.float32)), constant("shape", np.array([-1]))
        steps = [
            node("Greater", ["sums", "zero"], ["positive"]),
            node("Cast", ["positive"], ["indices"], to=TensorProto.INT64),
            node("Reshape", ["indices", "shape"], ["index"]),
            pick,
        ]
        return steps, [found, zero, shape], kind
    operation = {"identity": "Identity", "exp": "Exp", "sigmoid": "Sigmoid", "softmax": "Softmax"}[
        forest.link
    ]
    last = node(operation, ["scaled"], ["answer"])
    scale = constant("scale", np.array([forest.scale], dtype=np.float32))
    return [node("Mul", ["sums", "scale"], ["scaled"]), last], [scale], TensorProto.FLOAT

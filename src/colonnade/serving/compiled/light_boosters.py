"""LightGBM's models as ONNX, by `forest`. `compile` calls it, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.runtimes.handlers import lightgbm as handlers
from colonnade.serving.compiled import forest, refusals, thresholds
from colonnade.serving.compiled.original import Differs, Original, Rows

_LINKS: Mapping[str, forest.Link] = {
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclassova": "sigmoid",
    "multiclass": "softmax",
}
_ZERO = float(np.float32(1e-35))


def original(folder: Path) -> Original:
    """Raises ModelFileError."""
    booster = handlers.saved_model(str(folder))
    features = booster.num_feature()
    dumped = booster.dump_model()

    def predict(rows: Rows) -> Any:
        return booster.predict(rows, num_threads=1)

    facts = refusals.facts("lightgbm", predict, features)
    return Original(
        library="LightGBM",
        facts=facts,
        predict=predict,
        columns=lambda: [
            thresholds.around(
                np.append(column, 0.0),
                missing=not facts["refuses"]["nan"],
                infinite=not facts["refuses"]["inf"],
            )
            for column in forest.thresholds(_forest(dumped, features).trees, features)
        ],
        graphs=[lambda: forest.graph(_forest(dumped, features))],
        dtypes=("float32", "float64"),
    )


def _forest(dumped: Mapping[str, Any], features: int) -> forest.Forest:
    name, _, parameters = str(dumped.get("objective", "")).partition(" ")
    given = dict(part.partition(":")[::2] for part in parameters.split())
    if name not in _LINKS or "sqrt" in parameters.split():
        raise Differs(
            f"no conversion to ONNX for the objective {dumped.get('objective', 'that the model does not name')}"
        )
    targets = int(dumped["num_tree_per_iteration"])
    averaged = bool(dumped.get("average_output"))
    trees = [_tree(one["tree_structure"], number % targets) for number, one in enumerate(dumped["tree_info"])]
    if not trees:
        raise Differs("the model has no trees")
    scale = 1.0 / (len(trees) // targets) if averaged else 1.0
    return forest.Forest(
        trees,
        features,
        base=[0.0] * targets,
        link=_LINKS[name],
        scale=scale * float(given.get("sigmoid", 1.0)),
    )


def _tree(root: Mapping[str, Any], target: int) -> forest.Tree:
    nodes = list(_walk(root))
    place = {id(node): number for number, node in enumerate(nodes)}
    leaf = np.array(["leaf_value" in node for node in nodes])
    if any(node.get("decision_type", "<=") != "<=" for node in nodes):
        raise Differs("the model splits on categories")
    if any("leaf_coeff" in node or "leaf_features" in node for node in nodes):
        raise Differs("the model has linear trees")
    return forest.Tree(
        feature=np.array([node.get("split_feature", 0) for node in nodes], dtype=np.int64),
        threshold=_beside_zero(np.array([node.get("threshold", 0.0) for node in nodes], dtype=np.float64)),
        left=np.array(
            [-1 if end else place[id(node["left_child"])] for node, end in zip(nodes, leaf, strict=True)]
        ),
        right=np.array(
            [-1 if end else place[id(node["right_child"])] for node, end in zip(nodes, leaf, strict=True)]
        ),
        missing_left=np.array([_missing_left(node) for node in nodes], dtype=bool),
        value=np.array([[node.get("leaf_value", 0.0)] for node in nodes], dtype=np.float64),
        target=target,
    )


def _beside_zero(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """LightGBM takes values up to `_ZERO` for zero before it compares: so no threshold may part them."""
    below = np.nextafter(-_ZERO, -np.inf)
    near = np.abs(threshold) <= _ZERO
    return np.where(near, np.where(threshold >= 0.0, _ZERO, below), threshold)


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The node before what is below it. Trees of leaf-wise growth may be deep, so nothing calls itself."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        if "leaf_value" not in found:
            waiting += [found["right_child"], found["left_child"]]


def _missing_left(node: Mapping[str, Any]) -> bool:
    """Where a missing value goes; a feature that never missed in training takes it for zero."""
    if "leaf_value" in node:
        return False
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    if node["missing_type"] == "Zero":
        raise Differs("the model takes zeros for missing values")
    return bool(node["threshold"] >= 0.0)

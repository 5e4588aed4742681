"""XGBoost's models: found and loaded from a model folder, and as ONNX by onnxmltools. `compile` and `native` call it; nothing in the
gateway does.

Several objectives convert without an error and answer differently (rank:pairwise, survival:*, binary:hinge,
binary:logitraw, reg:logistic with these versions): nothing is trusted but the comparison.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.algorithms.xgboost import models
from colonnade.formats import Vector
from colonnade.serving.compiled import thresholds
from colonnade.serving.compiled.original import Differs, Graph, Original, Rows


def original(folder: Path) -> Original:
    """Raises NotAModelError."""
    ensemble = load(folder)
    booster, facts = ensemble[0], describe(ensemble[0])

    def predict(rows: Rows) -> npt.NDArray[Any]:
        return np.asarray(booster.predict(xgboost.DMatrix(rows)))

    def graph() -> Graph:
        converted = _converted(booster, facts["n_features"])
        output, column = _output(converted, facts)
        return Graph(converted.SerializeToString(), output, column)

    def columns() -> list[Any]:
        if len(ensemble) > 1:
            raise Differs(f"an ensemble of {len(ensemble)} models")
        return list(candidates(booster))

    return Original("XGBoost", facts, predict, columns, [graph])


def load(folder: Path) -> list[xgboost.Booster]:
    """The model, or the models of an ensemble in the order of their names; each cut to its best round.

    Raises NotAModelError.
    """
    held = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    # Ours are called xgboost-model; a model that was brought along may be called anything, when it is alone.
    files = [path for path in held if path.name.startswith(models.NAME)] or held
    if not files or (len(files) > 1 and not files[0].name.startswith(models.NAME)):
        names = ", ".join(path.name for path in held) or "no file"
        raise models.NotAModelError(f"The model's archive needs a file {models.NAME}; it holds {names}.")
    return [_loaded(path) for path in files]


def describe(booster: xgboost.Booster) -> dict[str, Any]:
    """What a contract needs to know."""
    learner = msgspec.json.decode(booster.save_config())["learner"]
    return {
        "objective": learner["objective"]["name"],
        "n_features": booster.num_features(),
        "num_class": int(learner["learner_model_param"]["num_class"]),
    }


def _loaded(path: Path) -> xgboost.Booster:
    booster = models.read(path.read_bytes(), path.name)
    # Names would only be compared with those of the request, which has none.
    booster.feature_names = booster.feature_types = None
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    return booster


# To ONNX


def _converted(booster: xgboost.Booster, features: int) -> Any:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert_xgboost(booster, initial_types=[("input", FloatTensorType([None, features]))])
    except Exception as error:
        raise Differs(f"no conversion to ONNX ({type(error).__name__}: {error})") from error


def _output(graph: Any, facts: dict[str, Any]) -> tuple[str, int | None]:
    """Which output of the graph, and which column of it, is the container's score."""
    names = [output.name for output in graph.graph.output]
    if "probabilities" not in names:
        return names[0], 0
    if facts["objective"] == "multi:softmax":
        return "label", None
    return "probabilities", None if facts["num_class"] > 2 or facts["objective"] == "multi:softprob" else 1


def candidates(booster: xgboost.Booster) -> list[Vector]:
    """For each feature, the values worth trying, NaN (missing) among them."""
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(booster.num_features())]
    for tree in _trees(booster):
        if any(tree.get("split_type", ())):
            raise Differs("the model splits on categories")
        inner = np.array(tree["left_children"]) != -1
        indices = np.array(tree["split_indices"])[inner]
        conditions = np.array(tree["split_conditions"], dtype=np.float32)[inner]
        for index in np.unique(indices):
            found[index].append(conditions[indices == index])
    return [
        thresholds.around_32(np.unique(np.concatenate(parts)) if parts else np.zeros(1, np.float32))
        for parts in found
    ]


def _trees(booster: xgboost.Booster) -> list[dict[str, list[float]]]:
    model = msgspec.json.decode(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    model = model.get("gbtree", model)
    trees: list[dict[str, list[float]]] = model.get("model", {}).get("trees", [])
    return trees

"""scikit-learn's models as ONNX: forests by `forest`, the others by skl2onnx. `compile` calls it, in a process of its own: a model is
a pickle, and opening one runs its code.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.runtimes.handlers import scikit_learn
from colonnade.serving.compiled import forest, refusals, thresholds
from colonnade.serving.compiled.original import Differs, Graph, Original, Rows

_TREES = ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")
_DRAWS = 257


def original(folder: Path) -> Original:
    """Raises ModelFileError when there is nothing to serve."""
    warnings.simplefilter("ignore")  # of feature names that requests do not carry
    model = scikit_learn.saved_model(str(folder))
    predict: Callable[[Rows], npt.NDArray[Any]] = model.predict
    features = getattr(model, "n_features_in_", None)
    if features is None:
        return _unconverted(model, f"{type(model).__name__} does not say how many features it takes")
    facts = refusals.facts("scikit-learn", predict, features)
    found = _forest(model, features)
    return Original(
        library="scikit-learn",
        facts=facts,
        predict=predict,
        columns=lambda: _columns(model, features, found, facts["refuses"]),
        graphs=_graphs(model, features, found),
        # Texts are read as 32-bit numbers by the handlers, and .npy bodies may hold 64-bit ones.
        dtypes=("float32", "float64"),
    )


def _unconverted(model: Any, reason: str) -> Original:
    def refuse() -> Any:
        raise Differs(reason)

    return Original("scikit-learn", {"contract": "scikit-learn"}, model.predict, refuse, [refuse])


# Graphs


def _graphs(model: Any, features: int, found: forest.Forest | None) -> list[Callable[[], Graph]]:
    if found is not None:
        return [partial(forest.graph, found)]
    # In 64 bits first: linear models compute so.
    return [partial(_converted, model, features, dtype) for dtype in ("float64", "float32")]


def _converted(model: Any, features: int, dtype: str) -> Graph:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if dtype == "float64" else FloatTensorType
    try:
        converted = convert_sklearn(
            model, initial_types=[("input", kind([None, features]))], options=_options(model)
        )
    except Exception as error:
        raise Differs(f"no conversion to ONNX ({type(error).__name__}: {_first_line(error)})") from error
    return Graph(converted.SerializeToString(), converted.graph.output[0].name, dtype=dtype)


def _options(model: Any) -> dict[int, dict[str, bool]]:
    """Probabilities, which nobody asks for, as a tensor: a list of mappings costs more than the prediction."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return {id(last): {"zipmap": False}} if hasattr(last, "predict_proba") else {}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


# Forests


def _forest(model: Any, features: int) -> forest.Forest | None:
    """For those whose sums are simple; None for all others."""
    name = type(model).__name__
    if getattr(model, "n_outputs_", 1) != 1:
        return None
    if name.startswith("HistGradientBoosting"):
        return _histogram(model, features)
    if name.startswith(_TREES) and name.endswith(("Classifier", "Regressor")):
        return _bagged(model, features, classifies=name.endswith("Classifier"))
    return None


def _bagged(model: Any, features: int, *, classifies: bool) -> forest.Forest:
    members = [member.tree_ for member in getattr(model, "estimators_", [model])]
    # Shares of classes are summed and not averaged, so that a tie of whole votes stays one.
    trees = [_tree(each, 1.0 if classifies else 1.0 / len(members)) for each in members]
    classes = np.asarray(model.classes_) if classifies else None
    return forest.Forest(
        trees,
        features,
        base=[0.0] * (trees[0].value.shape[1]),
        link="label" if classifies else "identity",
        classes=classes,
        dtype="float32",
    )


def _tree(tree: Any, weight: float) -> forest.Tree:
    return forest.Tree(
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.asarray(tree.missing_go_to_left, dtype=bool),
        value=tree.value[:, 0, :] * weight,
    )


def _histogram(model: Any, features: int) -> forest.Forest | None:
    loss = model.loss
    if (
        getattr(model, "is_categorical_", None) is not None
        or getattr(model, "_preprocessor", None) is not None
    ):
        return None
    trees = [
        _binned(member.nodes, target) for stage in model._predictors for target, member in enumerate(stage)
    ]
    base = np.ravel(model._baseline_prediction).tolist()
    link: forest.Link
    if hasattr(model, "classes_"):
        link = "sign" if len(base) == 1 else "label"
    elif loss in ("poisson", "gamma"):
        link = "exp"
    elif loss in ("squared_error", "absolute_error", "quantile"):
        link = "identity"
    else:
        return None
    classes = np.asarray(model.classes_) if hasattr(model, "classes_") else None
    return forest.Forest(trees, features, base=base, link=link, classes=classes)


def _binned(nodes: Any, target: int) -> forest.Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return forest.Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64)[:, None],
        target=target,
    )


# What to try


def _columns(
    model: Any, features: int, found: forest.Forest | None, refuses: dict[str, str]
) -> Sequence[npt.NDArray[np.float64]]:
    splits = forest.thresholds(found.trees, features) if found is not None else _splits(model, features)
    draws = _draws(model, features)
    return [
        thresholds.around(
            np.concatenate((split, drawn)), missing=not refuses["nan"], infinite=not refuses["inf"]
        )
        for split, drawn in zip(splits, draws, strict=True)
    ]


def _splits(model: Any, features: int) -> list[npt.NDArray[np.float64]]:
    """Thresholds of the trees inside of a model, as far as they are about the features themselves."""
    found: list[list[npt.NDArray[np.float64]]] = [[np.zeros(1)] for _ in range(features)]
    for tree in _inner(model):
        if tree.n_features == features:
            for number in np.unique(tree.feature[tree.feature >= 0]):
                found[number].append(tree.threshold[tree.feature == number])
    return [np.unique(np.concatenate(column)) for column in found]


def _inner(model: Any) -> Iterator[Any]:
    if hasattr(model, "tree_"):
        yield model.tree_
        return
    for member in np.ravel(np.asarray(getattr(model, "estimators_", ()), dtype=object)):
        yield from _inner(member)


def _draws(model: Any, features: int) -> list[npt.NDArray[np.float64]]:
    """Around where the model's own scaling has its features, and of several sizes."""
    random = np.random.default_rng(thresholds.SEED)
    middle, width = np.zeros(features), np.ones(features)
    for _, step in getattr(model, "steps", ()):
        if np.shape(getattr(step, "mean_", ())) == (features,):
            middle = step.mean_
            width = step.scale_ if np.shape(getattr(step, "scale_", ())) == (features,) else width
    sizes = np.repeat([0.1, 1.0, 3.0, 100.0], _DRAWS // 4 + 1)[:_DRAWS]
    return [middle[n] + width[n] * sizes * random.standard_normal(_DRAWS) for n in range(features)]

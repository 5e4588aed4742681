"""Metrics that SageMaker's XGBoost container adds to the library's own: accuracy, f1 and their kin. numpy alone.

They see what `predict` answers for the objective: probabilities, class labels, margins or values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Named = list[tuple[str, float]]


def labels(predictions: npt.NDArray[np.float32], objective: str) -> Array:
    """The class each prediction stands for."""
    if predictions.ndim == 2:
        return np.asarray(predictions.argmax(axis=1), dtype=np.float64)
    if objective in ("multi:softmax", "binary:hinge"):
        return predictions.astype(np.float64)
    return (predictions > (0.0 if objective == "binary:logitraw" else 0.5)).astype(np.float64)


def accuracy(truth: Array, found: Array) -> float:
    return float(np.mean(truth == found))


def balanced_accuracy(truth: Array, found: Array) -> float:
    """Mean recall over the classes that occur."""
    recalls, _, present = _per_class(truth, found)
    return float(np.mean(recalls[present]))


def recall_macro(truth: Array, found: Array) -> float:
    return float(np.mean(_per_class(truth, found)[0]))


def precision_macro(truth: Array, found: Array) -> float:
    return float(np.mean(_per_class(truth, found)[1]))


def f1_macro(truth: Array, found: Array) -> float:
    recalls, precisions, _ = _per_class(truth, found)
    return float(np.mean(_share(2 * recalls * precisions, recalls + precisions)))


def recall(truth: Array, found: Array) -> float:
    """Of the class 1."""
    return float(_share(np.sum((truth == 1) & (found == 1)), np.sum(truth == 1)))


def precision(truth: Array, found: Array) -> float:
    return float(_share(np.sum((truth == 1) & (found == 1)), np.sum(found == 1)))


def f1_binary(truth: Array, found: Array) -> float:
    return float(_share(2 * np.sum((truth == 1) & (found == 1)), np.sum(truth == 1) + np.sum(found == 1)))


def mse(truth: Array, predictions: Array) -> float:
    return float(np.mean((truth - predictions) ** 2))


def r2(truth: Array, predictions: Array) -> float:
    """Share of the variance explained; 0 where there is none to explain."""
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - predictions) ** 2)) / spread if spread else 0.0


OF_LABELS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1_macro,
    "f1_binary": f1_binary,
    "f1_macro": f1_macro,
    "precision": precision,
    "precision_macro": precision_macro,
    # Averaged over all rows, precision and recall of single-label classes are both the accuracy.
    "precision_micro": accuracy,
    "recall": recall,
    "recall_macro": recall_macro,
    "recall_micro": accuracy,
}
OF_VALUES: dict[str, Callable[[Array, Array], float]] = {"mse": mse, "r2": r2}


def asked_of_us(names: Iterable[str]) -> list[str]:
    """Those of the metrics that the library does not have."""
    return [name for name in names if name in OF_LABELS or name in OF_VALUES]


def evaluate(
    names: Iterable[str], predictions: npt.NDArray[np.float32], truth: Array, objective: str
) -> Named:
    found = labels(predictions, objective)
    return [
        (
            name,
            OF_LABELS[name](truth, found)
            if name in OF_LABELS
            else OF_VALUES[name](truth, predictions.astype(np.float64)),
        )
        for name in names
    ]


def _per_class(truth: Array, found: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Recall and precision of every class in either array, and whether it occurs in `truth`."""
    classes = np.union1d(truth, found)
    hits = np.array([np.sum((truth == one) & (found == one)) for one in classes])
    actual = np.array([np.sum(truth == one) for one in classes])
    claimed = np.array([np.sum(found == one) for one in classes])
    return _share(hits, actual), _share(hits, claimed), actual > 0


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> Array:
    whole = np.asarray(whole, dtype=np.float64)
    shares = np.zeros_like(whole)
    np.divide(part, whole, out=shares, where=whole != 0)
    return shares

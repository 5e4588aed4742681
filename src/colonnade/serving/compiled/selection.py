"""Selectable inference: SAGEMAKER_INFERENCE_OUTPUT chooses what of a prediction is answered. `contract` calls it.

https://docs.aws.amazon.com/sagemaker/latest/dg/autopilot-automate-model-development-container-output.html lists the
keys. A key that the objective does not have is answered with NaN, as the container does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from colonnade.formats import record, recordio

Prediction: TypeAlias = Mapping[str, Any]
_LABELS = frozenset({"predicted_label", "labels", "raw_score", "raw_scores"})
_PROBABILITIES = _LABELS | {"probability", "probabilities"}
_KEYS_OF: Mapping[str, frozenset[str]] = {
    "binary:logistic": _PROBABILITIES,
    "binary:logitraw": _LABELS,
    "binary:hinge": _LABELS,
    "multi:softmax": _LABELS,
    "multi:softprob": _PROBABILITIES,
}
_SCORE = frozenset({"predicted_score"})


def keys(text: str) -> tuple[str, ...]:
    """From the variable's comma-separated value; empty when selection is off."""
    return tuple(key for key in text.replace(" ", "").lower().split(",") if key)


def select(
    scores: np.ndarray[Any, Any], wanted: Sequence[str], objective: str, classes: int
) -> list[Prediction]:
    allowed = _KEYS_OF.get(objective, _SCORE)
    return [
        {key: _value(key, score, objective, classes) if key in allowed else float("nan") for key in wanted}
        for score in scores
    ]


def encode(
    predictions: Sequence[Prediction], wanted: Sequence[str], kind: str, *, final_newline: bool
) -> bytes:
    if kind == "application/json":
        return json.dumps({"predictions": predictions}).encode()
    if kind == "application/jsonlines":
        return "".join(f"{json.dumps(prediction)}\n" for prediction in predictions).encode()
    if kind == "application/x-recordio-protobuf":
        return b"".join(recordio.frame(record.encode({}, _tensors(prediction))) for prediction in predictions)
    lines = (",".join(_cell(prediction[key]) for key in wanted) for prediction in predictions)
    return ("\n".join(lines) + ("\n" if final_newline else "")).encode()


def _value(key: str, score: Any, objective: str, classes: int) -> Any:
    many = np.ndim(score) > 0
    if key == "predicted_label":
        return _label(score, objective)
    if key == "labels":
        return list(range(classes if objective.startswith("multi:") else 2))
    if key in ("probabilities", "raw_scores"):
        return score.tolist() if many else [1.0 - score.item(), score.item()]
    return score.max().item() if many else score.item()


def _label(score: Any, objective: str) -> int | float:
    if np.ndim(score) > 0:
        return int(np.argmax(score))
    if objective in ("multi:softmax", "binary:hinge"):
        return float(score)
    return int(score > (0.0 if objective == "binary:logitraw" else 0.5))


def _tensors(prediction: Prediction) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    return {key: np.atleast_1d(np.asarray(value, dtype=np.float32)) for key, value in prediction.items()}


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)

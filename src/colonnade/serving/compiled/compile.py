"""Converts an XGBoost model to ONNX and proves that it answers the same; otherwise says why it is served natively.

Run as a process of its own, since it needs xgboost, onnxmltools and pandas and may meet any file a user uploads.
Several objectives convert without an error and answer differently (rank:pairwise, survival:*, binary:hinge,
binary:logitraw, reg:logistic with these versions), so nothing is trusted but the comparison, and it is never skipped.
"""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from colonnade.formats import Matrix
from colonnade.serving.compiled import boosters, thresholds
from colonnade.serving.compiled.predictor import DESCRIPTION, MODEL, TOLERANCE, Predictor

_LIBRARIES = ("xgboost", "onnxmltools", "onnx", "onnxruntime")


class Differs(Exception):  # noqa: N818 - a verdict on the conversion, no fault
    """The converted model does not answer as the original."""


def compile_model(model: Path, out: Path) -> dict[str, Any]:
    """Write model.onnx (when proved) and compiled.json into `out`; the latter's content is returned.

    `kind` is `onnx`, or `native` with the `reason`. Raises NotAModelError when there is nothing to serve.
    Nothing unproved is ever seen in `out`, and compiled.json comes last: who finds it finds the model too.
    """
    ensemble = boosters.load(model)
    description = {**boosters.describe(ensemble[0]), "libraries": _versions()}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".proving-", dir=out) as name:
        folder = Path(name)
        try:
            if len(ensemble) > 1:
                raise Differs(f"an ensemble of {len(ensemble)} models")
            found = _compiled(ensemble[0], description, folder)
            (folder / MODEL).replace(out / MODEL)
        except (Differs, thresholds.CategoricalSplits) as finding:
            found = {**description, "kind": "native", "reason": f"served natively: {finding}"}
        _describe(folder, found)
        (folder / DESCRIPTION).replace(out / DESCRIPTION)
    if found["kind"] == "native":
        (out / MODEL).unlink(missing_ok=True)
    return found


def _compiled(booster: xgboost.Booster, description: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The description of a proved conversion, which is in `folder`. Raises Differs."""
    values = thresholds.candidates(booster)
    graph = _converted(booster, description["n_features"])
    (folder / MODEL).write_bytes(graph.SerializeToString())
    probe = next(thresholds.batches(values))[:1]
    found = {
        **description,
        "kind": "onnx",
        "reason": "",
        "output": _output(graph, description),
        "probe": {
            "features": [None if np.isnan(value) else float(value) for value in probe[0]],
            "score": booster.predict(xgboost.DMatrix(probe))[0].tolist(),
        },
    }
    # Judged through the predictor that will serve it, not through a session of our own.
    _describe(folder, found)
    largest, rows = _compare(booster, Predictor(folder), values)
    return {**found, "max_abs_difference": largest, "check_rows": rows}


def _converted(booster: xgboost.Booster, features: int) -> Any:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert_xgboost(booster, initial_types=[("input", FloatTensorType([None, features]))])
    except Exception as error:
        raise Differs(f"no conversion to ONNX ({type(error).__name__}: {error})") from error


def _output(graph: Any, description: dict[str, Any]) -> dict[str, Any]:
    """Which output of the graph, and which column of it, is the container's score."""
    names = [output.name for output in graph.graph.output]
    if "probabilities" not in names:
        return {"name": names[0], "column": 0}
    if description["objective"] == "multi:softmax":
        return {"name": "label", "column": None}
    return {
        "name": "probabilities",
        "column": None if description["num_class"] > 2 else _positive(description),
    }


def _positive(description: dict[str, Any]) -> int | None:
    return None if description["objective"] == "multi:softprob" else 1


def _compare(booster: xgboost.Booster, predictor: Predictor, values: list[Matrix]) -> tuple[float, int]:
    """Largest difference and number of rows. Raises Differs above the tolerance, which grows with values above 1."""
    largest, rows, wrong = 0.0, 0, 0
    for batch in thresholds.batches(values):
        wanted = np.asarray(booster.predict(xgboost.DMatrix(batch)), dtype=np.float64)
        found = np.asarray(predictor.predict(batch), dtype=np.float64)
        if wanted.shape != found.shape:
            raise Differs(f"answers of shape {found.shape[1:]} where XGBoost's are {wanted.shape[1:]}")
        difference = np.abs(found - wanted)
        # Written so that a NaN on either side counts as a difference.
        beyond = ~(difference <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
        wrong += int(beyond.reshape(len(batch), -1).any(axis=1).sum())
        rows += len(batch)
        largest = max(largest, float(np.nanmax(difference, initial=0.0)))
    if wrong:
        raise Differs(
            f"as ONNX, {wrong} of {rows} check rows differ from XGBoost's answer by up to {largest:.3g} "
            f"(objective {predictor.contract.objective})"
        )
    return largest, rows


def _describe(folder: Path, description: dict[str, Any]) -> None:
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1))


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        for distribution in (name, f"{name}-cpu"):
            try:
                found[name] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found

"""Converts a model to ONNX and proves that it answers the same; otherwise says why it is served natively.

Run as a process of its own, since it needs the model's library and the converters and may meet any file a user uploads.
Nothing is trusted but the comparison, and it is never skipped.
"""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from colonnade.serving.compiled import thresholds
from colonnade.serving.compiled.original import Differs, Graph, Original
from colonnade.serving.compiled.predictor import DESCRIPTION, MODEL, TOLERANCE, Predictor

_LIBRARIES = ("xgboost", "scikit-learn", "lightgbm", "onnxmltools", "skl2onnx", "onnx", "onnxruntime")
_ORIGINALS = {"xgboost": "boosters", "scikit-learn": "estimators", "lightgbm": "light_boosters"}
"""By the runtime of the model's image, the file that knows its models."""


def compile_model(model: Path, out: Path, runtime: str = "xgboost") -> dict[str, Any]:
    """Write model.onnx (when proved) and compiled.json into `out`; the latter's content is returned.

    `kind` is `onnx`, or `native` with the `reason`. Raises UserError when there is nothing to serve.
    Nothing unproved is ever seen in `out`, and compiled.json comes last: who finds it finds the model too.
    """
    original = cast(Original, import_module(f"{__package__}.{_ORIGINALS[runtime]}").original(model))
    description = {**original.facts, "libraries": _versions()}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".proving-", dir=out) as name:
        folder = Path(name)
        try:
            found = _compiled(original, description, folder)
            (folder / MODEL).replace(out / MODEL)
        except Differs as finding:
            found = {**description, "kind": "native", "reason": f"served natively: {finding}"}
        _describe(folder, found)
        (folder / DESCRIPTION).replace(out / DESCRIPTION)
    if found["kind"] == "native":
        (out / MODEL).unlink(missing_ok=True)
    return found


def _compiled(original: Original, description: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The description of the first proved conversion, which is in `folder`. Raises Differs."""
    values = original.columns()
    refused = Differs("no conversion to ONNX")
    for convert in original.graphs:
        try:
            return _proved(original, convert(), values, description, folder)
        except Differs as finding:
            refused = finding
    raise refused


def _proved(
    original: Original,
    graph: Graph,
    values: Sequence[npt.NDArray[Any]],
    description: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    (folder / MODEL).write_bytes(graph.model)
    probe = next(thresholds.batches(values))[:1].astype(np.float32)
    found = {
        **description,
        "kind": "onnx",
        "reason": "",
        "input": graph.dtype,
        "output": {"name": graph.output, "column": graph.column},
        "probe": {
            "features": [None if np.isnan(value) else float(value) for value in probe[0]],
            "score": np.asarray(original.predict(probe))[0].tolist(),
        },
    }
    # Judged through the predictor that will serve it, not through a session of our own.
    _describe(folder, found)
    try:
        predictor = Predictor(folder)
    except Exception as error:
        raise Differs(f"ONNX Runtime refuses the conversion ({str(error)[:300]})") from error
    largest, rows = _compare(original, predictor, values)
    return {**found, "max_abs_difference": largest, "check_rows": rows}


def _compare(
    original: Original, predictor: Predictor, values: Sequence[npt.NDArray[Any]]
) -> tuple[float, int]:
    """Largest difference and number of rows. Raises Differs above the tolerance, which grows with values above 1."""
    largest, rows, wrong = 0.0, 0, 0
    for drawn in thresholds.batches(values):
        for dtype in original.dtypes:
            batch = drawn.astype(dtype, copy=False)
            differing, distance = _differing(original, predictor, batch)
            wrong, rows, largest = wrong + differing, rows + len(batch), max(largest, distance)
    if wrong:
        objective = original.facts.get("objective")
        raise Differs(
            f"as ONNX, {wrong} of {rows} check rows differ from {original.library}'s answer by up to {largest:.3g}"
            + (f" (objective {objective})" if objective else "")
        )
    return largest, rows


def _differing(original: Original, predictor: Predictor, batch: npt.NDArray[Any]) -> tuple[int, float]:
    """How many rows are answered differently, and by how much at most."""
    try:
        wanted = np.asarray(original.predict(batch))
    except Exception as error:
        raise Differs(f"{original.library} refuses a check row ({type(error).__name__}: {error})") from error
    found = np.asarray(predictor.predict(batch))
    if wanted.shape != found.shape:
        raise Differs(f"answers of shape {found.shape[1:]} where {original.library}'s are {wanted.shape[1:]}")
    if wanted.dtype.kind != "f":  # classes
        return int((found != wanted).sum()), float((found != wanted).any())
    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    difference = np.abs(found - wanted)
    # Written so that a NaN on either side counts as a difference.
    beyond = ~(difference <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
    return int(beyond.reshape(len(batch), -1).any(axis=1).sum()), float(np.nanmax(difference, initial=0.0))


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

"""Serves a compiled model with onnxruntime: one thread, no spinning, small arenas. Gateway workers import this file.

No pandas, sklearn or xgboost comes with it: it starts in a third of xgboost's memory and answers one row several times
faster. What `compile` could not prove is not served here but by `native`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from colonnade.serving.compiled import InvocationError
from colonnade.serving.compiled.contract import Contract
from colonnade.serving.compiled.handled import Handled

__all__ = ["InvocationError", "NotCompiledError", "Predictor"]

DESCRIPTION, MODEL = "compiled.json", "model.onnx"
TOLERANCE = 1e-5


class NotCompiledError(RuntimeError):
    """The folder holds no compiled model; the text says why and what to do."""


class Predictor:
    """A loaded compiled model. Callable from several threads at once."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is the container's: SAGEMAKER_INFERENCE_OUTPUT and its kin."""
        self.description = _description(folder)
        self.contract = _contract(self.description, environment)
        self._session = onnxruntime.InferenceSession(
            (folder / MODEL).read_bytes(), _options(), providers=["CPUExecutionProvider"]
        )
        self._outputs = [self.description["output"]["name"]]
        self._column = self.description["output"]["column"]
        self._dtype = np.dtype(self.description.get("input", "float32"))

    def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Answers as the model's own container has them: for XGBoost a number a row, or a vector for multi:softprob."""
        if rows.dtype != self._dtype:
            rows = rows.astype(self._dtype)
        found: np.ndarray[Any, Any] = self._session.run(self._outputs, {"input": rows})[0]
        if self._column is not None:
            found = found[:, self._column]
        return self.contract.shaped(found)

    def invoke(self, body: bytes, content_type: str = "", accept: str = "") -> tuple[bytes, str]:
        """One POST /invocations: body and content type, or InvocationError."""
        rows = self.contract.read(body, content_type)
        try:
            scores = self.predict(rows)
        except Exception as error:
            raise self.contract.failed(error) from error
        return self.contract.write(scores, accept)

    def check(self) -> None:
        """Predict the row kept at compilation. RuntimeError unless the score kept with it comes back."""
        probe = self.description["probe"]
        row = np.array(
            [[np.nan if value is None else value for value in probe["features"]]], dtype=np.float32
        )
        found = self.predict(row)[0]
        if not _same(found, probe["score"]):
            raise RuntimeError(
                f"The compiled model answers {found} where {probe['score']} was proved. Compile it again."
            )


def _contract(description: Mapping[str, Any], environment: Mapping[str, str] | None) -> Contract | Handled:
    if "contract" in description:
        return Handled(description, environment)
    return Contract(
        features=description["n_features"],
        objective=description["objective"],
        classes=description["num_class"],
        environment=environment,
    )


def _same(found: Any, proved: Any) -> bool:
    if np.asarray(proved).dtype.kind in "US":
        return bool(found == proved)
    return bool(np.allclose(found, proved, rtol=TOLERANCE, atol=TOLERANCE))


def _description(folder: Path) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
    except FileNotFoundError:
        raise NotCompiledError(
            f"{folder} has no {DESCRIPTION}. Run python -m colonnade.serving.compiled first."
        ) from None
    if description["kind"] != "onnx":
        raise NotCompiledError(f"This model is {description['kind']}, not compiled: {description['reason']}")
    return description


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return options

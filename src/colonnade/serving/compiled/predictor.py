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

from colonnade.formats import Matrix
from colonnade.serving.compiled.contract import CSV, Contract, InvocationError, unable

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
        self.contract = Contract(
            features=self.description["n_features"],
            objective=self.description["objective"],
            classes=self.description["num_class"],
            environment=environment,
        )
        self._session = onnxruntime.InferenceSession(
            (folder / MODEL).read_bytes(), _options(), providers=["CPUExecutionProvider"]
        )
        self._outputs = [self.description["output"]["name"]]
        self._column = self.description["output"]["column"]

    def predict(self, rows: Matrix) -> np.ndarray[Any, Any]:
        """Scores as the XGBoost container has them: a number a row, or a vector for multi:softprob."""
        found: np.ndarray[Any, Any] = self._session.run(self._outputs, {"input": rows})[0]
        if self._column is not None:
            return found[:, self._column]
        # Class labels are integers in ONNX, and floats as XGBoost answers them.
        return found.astype(np.float32) if found.dtype != np.float32 else found

    def invoke(self, body: bytes, content_type: str = CSV, accept: str = "") -> tuple[bytes, str]:
        """One POST /invocations: body and content type, or InvocationError."""
        rows = self.contract.read(body, content_type)
        try:
            scores = self.predict(rows)
        except Exception as error:
            raise unable(str(error)) from error
        return self.contract.write(scores, accept)

    def check(self) -> None:
        """Predict the row kept at compilation. RuntimeError unless the score kept with it comes back."""
        probe = self.description["probe"]
        row = np.array(
            [[np.nan if value is None else value for value in probe["features"]]], dtype=np.float32
        )
        found = self.predict(row)[0]
        if not np.allclose(found, probe["score"], rtol=TOLERANCE, atol=TOLERANCE):
            raise RuntimeError(
                f"The compiled model answers {found} where {probe['score']} was proved. Compile it again."
            )


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

"""Models that are served without user code: XGBoost models as ONNX inside the gateway's workers, or natively in a replica.

`python -m colonnade.serving.compiled <model folder> <out folder>` converts and proves a model, in a process of its own;
`predictor` serves what came out with onnxruntime alone; `native` serves, with xgboost itself, what ONNX cannot answer
exactly. Both answer requests by the same `contract`.
"""

from __future__ import annotations


class InvocationError(Exception):
    """An answer that is no prediction: 204 empty body, 400 cannot evaluate, 406 Accept, 415 content type or body.

    Here rather than in `contract`, so that gateway workers know it before they have a model, numpy or onnxruntime.
    """

    def __init__(self, status: int, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.line = line
        """Of the body, where one line is to blame; the message calls it `line <n>`."""

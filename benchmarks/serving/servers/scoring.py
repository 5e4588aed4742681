"""The model inside every peer: ONNX Runtime in the process that answers, one thread, a row of text in and its score out.

Imported by the peers' own programs, in their environments: numpy and onnxruntime only.
"""

from __future__ import annotations

import os

import numpy as np
import onnxruntime


class Model:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options, ["CPUExecutionProvider"])

    def score(self, row: np.ndarray) -> np.ndarray:
        """Of the positive class, for each row of a float32 matrix."""
        return self._session.run(["probabilities"], {"input": row})[0][:, 1]

    def answer(self, body: bytes) -> bytes:
        """From CSV to text."""
        row = np.array([body.split(b",")], dtype=np.float32)
        return str(float(self.score(row)[0])).encode()

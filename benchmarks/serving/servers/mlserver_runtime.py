"""MLServer: a runtime of our own, the V2 protocol with one tensor of a row."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from scoring import Model


class Scores(MLModel):
    async def load(self) -> bool:
        self._scoring = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        tensor = payload.inputs[0]
        row = np.array(tensor.data.root, dtype=np.float32).reshape(tensor.shape)
        scores = self._scoring.score(row).tolist()
        return InferenceResponse(
            model_name=self.name,
            outputs=[ResponseOutput(name="scores", shape=[len(scores)], datatype="FP32", data=scores)],
        )

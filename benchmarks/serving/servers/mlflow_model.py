"""MLflow: a pyfunc model around the ONNX session, saved once as the code it is, served by `mlflow models serve`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import mlflow.models
import mlflow.pyfunc
import numpy as np


class Scores(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        from scoring import Model

        self.model = Model()

    def predict(self, context, model_input, params=None):
        return self.model.score(np.asarray(model_input, dtype=np.float32))


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=__file__, pip_requirements=[])
else:
    mlflow.models.set_model(Scores())

"""Serves XGBoost models with xgboost itself, for those that ONNX does not answer exactly. Runs in a replica process.

Same contract, same class shape as `predictor.Predictor`, taking the model's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from colonnade.algorithms.xgboost import models
from colonnade.formats import Matrix
from colonnade.serving.compiled import boosters
from colonnade.serving.compiled.contract import CSV, Contract, unable


class NativePredictor:
    """A loaded model, or an ensemble. Callable from several threads, one after the other inside xgboost."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._boosters = boosters.load(folder)
        for booster in self._boosters:
            booster.set_param({"nthread": 1})
        about = boosters.describe(self._boosters[0])
        self.contract = Contract(
            features=about["n_features"],
            objective=about["objective"],
            classes=about["num_class"],
            environment=environment,
        )

    def predict(self, rows: Matrix) -> np.ndarray[Any, Any]:
        """Scores as the XGBoost container has them; an ensemble's mean, or for class labels the most frequent one."""
        data = xgboost.DMatrix(rows, nthread=1)
        answers = [np.asarray(booster.predict(data, validate_features=False)) for booster in self._boosters]
        if len(answers) == 1:
            return answers[0]
        if self.contract.objective in ("multi:softmax", "binary:hinge"):
            return np.array([_mode(votes) for votes in np.stack(answers, axis=1)], dtype=np.float32)
        return np.asarray(np.mean(answers, axis=0), dtype=np.float32)

    def invoke(self, body: bytes, content_type: str = CSV, accept: str = "") -> tuple[bytes, str]:
        """One POST /invocations: body and content type, or InvocationError."""
        rows = self.contract.read(body, content_type)
        try:
            scores = self.predict(rows)
        except xgboost.core.XGBoostError as error:
            raise unable(models.sentence(error)) from error
        return self.contract.write(scores, accept)

    def check(self) -> None:
        """One prediction of a row whose features are all missing."""
        self.predict(np.full((1, self.contract.features), np.nan, dtype=np.float32))


def _mode(votes: np.ndarray[Any, Any]) -> float:
    """The most frequent; the smallest of several."""
    values, counts = np.unique(votes, return_counts=True)
    return float(values[counts.argmax()])

"""BentoML: a service with one API of text in and text out."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import bentoml
from scoring import Model


@bentoml.service(metrics={"enabled": True}, logging={"access": {"enabled": False}})
class Scores:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api
    def predict(self, row: str) -> str:
        return self.model.answer(row.encode()).decode()

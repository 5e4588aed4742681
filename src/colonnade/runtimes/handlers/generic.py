"""Handlers for a container that knows no framework: the codecs, and a model that the script must bring."""

from __future__ import annotations

from typing import Any

from colonnade.runtimes.handlers.codecs import decode as decode
from colonnade.runtimes.handlers.codecs import encode as encode


def model(model_dir: str) -> Any:
    raise NotImplementedError(
        f"Please provide a model_fn implementation: this framework does not know how to load {model_dir}."
    )


def predict(data: Any, model: Any) -> Any:
    raise NotImplementedError("Please provide a predict_fn implementation: this framework has no default.")

"""Handlers of the scikit-learn container: a row becomes a matrix of one, texts become float32, `predict` predicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from colonnade.runtimes.handlers import codecs, generic
from colonnade.runtimes.handlers.codecs import encode as encode

model = generic.model


def decode(body: str | bytes, content_type: str) -> Any:
    data = codecs.decode(body, content_type)
    if isinstance(data, np.ndarray) and data.ndim == 1:
        data = data.reshape(1, -1)
    return data.astype(np.float32) if codecs.media_type(content_type) in codecs.TEXTS else data


def predict(data: Any, model: Any) -> Any:
    return model.predict(data)

"""Handlers of the scikit-learn container: a row becomes a matrix of one, texts become float32, `predict` predicts.

A script must bring a model_fn, as for AWS's container. Without any script, `saved_model` loads what joblib or pickle wrote.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from colonnade.runtimes.handlers import codecs, generic
from colonnade.runtimes.handlers.codecs import encode as encode
from colonnade.runtimes.handlers.files import ModelFileError, model_file

model = generic.model
_NAMES = ("model.joblib", "model.pkl", "model.pickle")


def saved_model(model_dir: str) -> Any:
    """Loading runs whatever code its author put there. Raises ModelFileError."""
    import joblib

    path = model_file(model_dir, _NAMES, (".joblib", ".pkl", ".pickle", ".sav"))
    try:
        found = joblib.load(path)
    except Exception as error:
        raise ModelFileError(
            f"{path.name} cannot be loaded by joblib ({type(error).__name__}: {error}). Write it with joblib.dump, with libraries "
            "that are here too, or bring code/inference.py with a model_fn."
        ) from error
    if not callable(getattr(found, "predict", None)):
        raise ModelFileError(
            f"{path.name} holds a {type(found).__name__}, which has no predict: dump the fitted estimator itself."
        )
    return found


def decode(body: str | bytes, content_type: str) -> Any:
    data = codecs.decode(body, content_type)
    if isinstance(data, np.ndarray) and data.ndim == 1:
        data = data.reshape(1, -1)
    return data.astype(np.float32) if codecs.media_type(content_type) in codecs.TEXTS else data


def predict(data: Any, model: Any) -> Any:
    return model.predict(data)

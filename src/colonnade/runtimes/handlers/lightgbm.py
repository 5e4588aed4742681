"""Handlers for LightGBM: the model is a booster's text file, rows come as for scikit-learn, `predict` gives scores or probabilities."""

from __future__ import annotations

from typing import Any

from colonnade.runtimes.handlers import generic
from colonnade.runtimes.handlers.codecs import encode as encode
from colonnade.runtimes.handlers.files import ModelFileError, model_file
from colonnade.runtimes.handlers.scikit_learn import decode as decode

model = generic.model
_NAMES = ("model.txt", "lightgbm-model", "model.lgb")
_START = b"tree\n"


def saved_model(model_dir: str) -> Any:
    """The Booster. Raises ModelFileError."""
    import lightgbm

    path = model_file(model_dir, _NAMES, (".txt", ".lgb", ".model"))
    if not path.read_bytes().startswith(_START):
        raise ModelFileError(
            f"{path.name} is no LightGBM model: save the booster as text, with save_model(<file>)."
        )
    try:
        return lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise ModelFileError(f"{path.name} is no LightGBM model: {error}") from error


def predict(data: Any, model: Any) -> Any:
    return model.predict(data, num_threads=1)

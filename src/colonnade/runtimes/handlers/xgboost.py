"""Handlers of the XGBoost container in script mode: bodies become DMatrix, the model is the file `xgboost-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from colonnade import formats
from colonnade.formats import libsvm, record, recordio
from colonnade.runtimes.handlers import codecs

_LIBSVM = ("text/libsvm", "text/x-libsvm")
_RECORDIO = "application/x-recordio-protobuf"


def model(model_dir: str) -> Any:
    """The Booster in `xgboost-model`, JSON or UBJSON."""
    from colonnade.algorithms.xgboost import models

    path = Path(model_dir, models.NAME)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: provide a model_fn, or put the model under that name"
        )
    return models.read(path.read_bytes(), path.name)


def decode(body: str | bytes, content_type: str) -> Any:
    import xgboost

    kind = codecs.media_type(content_type)
    if kind in _LIBSVM:
        return _matrix(libsvm.rows(codecs.octets(body)))
    if kind == _RECORDIO:
        return _matrix(recordio.rows(codecs.octets(body)))
    data = codecs.decode(body, content_type)
    if isinstance(data, np.ndarray) and data.ndim == 1:
        data = data.reshape(1, -1)
    return xgboost.DMatrix(data)


def predict(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


def encode(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    """As `codecs` does, and RecordIO-protobuf with a record's `score` for each row."""
    if codecs.media_type(accept.partition(",")[0]) != _RECORDIO:
        return codecs.encode(prediction, accept)
    rows = np.asarray(prediction, dtype=np.float32)
    written = (recordio.frame(record.encode({}, {"score": np.atleast_1d(row)})) for row in rows)
    return b"".join(written), _RECORDIO


def _matrix(rows: formats.Matrix | formats.Sparse) -> Any:
    import xgboost

    return xgboost.DMatrix(rows.dense() if isinstance(rows, formats.Sparse) else rows)

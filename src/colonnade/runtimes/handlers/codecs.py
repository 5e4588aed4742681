"""Request bodies to numpy arrays and predictions back, by content type, as the framework containers do by default."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from colonnade.runtimes.handlers import UnsupportedFormatError

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
NPY, NPZ = "application/x-npy", "application/x-npz"
TEXTS = (JSON, JSON_LINES, CSV)
"""Types whose bodies user functions get as text."""


def media_type(value: str) -> str:
    """Without parameters, in lower case.

    >>> media_type("Text/CSV; charset=utf-8")
    'text/csv'
    """
    return value.partition(";")[0].strip().lower()


def decode(body: str | bytes, content_type: str) -> Any:
    try:
        reader = _READERS[media_type(content_type)]
    except KeyError:
        raise UnsupportedFormatError(content_type, "input_fn to deserialize the request data") from None
    return reader(body)


def encode(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    """In the first type of `accept` that can be written."""
    for wanted in (media_type(each) for each in accept.split(",")):
        writer = _WRITERS.get(JSON if wanted == "*/*" else wanted)
        if writer is not None:
            return writer(prediction), JSON if wanted == "*/*" else wanted
    raise UnsupportedFormatError(accept, "output_fn to serialize the response")


def text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


def octets(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _from_csv(body: str | bytes) -> Any:
    """Numbers where all are numbers, else texts."""
    lines = [line.split(",") for line in text(body).splitlines() if line.strip()]
    try:
        cells = np.array(
            [[float(cell) if cell.strip() else np.nan for cell in line] for line in lines], dtype=float
        )
    except ValueError:
        cells = np.array([[cell.strip() for cell in line] for line in lines])
    # One line is a vector, as numpy's own reader has it. A column stays a column: its rows are not one row's values.
    return cells[0] if len(cells) == 1 else cells


def _from_json(body: str | bytes) -> Any:
    return np.array(json.loads(text(body)))


def _from_json_lines(body: str | bytes) -> Any:
    return np.array([json.loads(line) for line in text(body).splitlines() if line.strip()])


def _from_npy(body: str | bytes) -> Any:
    return np.load(io.BytesIO(octets(body)), allow_pickle=False)


def _from_npz(body: str | bytes) -> Any:
    """A scipy sparse matrix; scipy is imported where one comes."""
    from scipy import sparse

    return sparse.load_npz(io.BytesIO(octets(body)))


def _to_json(prediction: Any) -> str:
    return json.dumps(prediction, default=_plain)


def _to_json_lines(prediction: Any) -> str:
    rows = prediction if isinstance(prediction, list) else np.atleast_1d(np.asarray(prediction))
    return "\n".join(json.dumps(row, default=_plain) for row in rows)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: implement output_fn")


def _to_csv(prediction: Any) -> str:
    stream = io.StringIO()
    np.savetxt(stream, np.atleast_1d(prediction), delimiter=",", fmt="%s")
    return stream.getvalue()


def _to_npy(prediction: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(prediction), allow_pickle=False)
    return stream.getvalue()


_READERS: Mapping[str, Callable[[str | bytes], Any]] = {
    JSON: _from_json,
    JSON_LINES: _from_json_lines,
    CSV: _from_csv,
    NPY: _from_npy,
    NPZ: _from_npz,
}
_WRITERS: Mapping[str, Callable[[Any], str | bytes]] = {
    JSON: _to_json,
    JSON_LINES: _to_json_lines,
    CSV: _to_csv,
    NPY: _to_npy,
}

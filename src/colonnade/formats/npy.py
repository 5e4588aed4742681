"""`application/x-npy`: one numeric array as numpy saves it. Pickled objects are refused, since loading one runs code."""

from __future__ import annotations

import io
import math
import tokenize

import numpy as np

from colonnade.formats import FormatError, Matrix

_BROKEN = (
    ValueError,
    EOFError,
    OSError,
    KeyError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    OverflowError,
    tokenize.TokenError,
)


def rows(body: bytes, source: str = "") -> Matrix:
    """The matrix in a request body; a vector is one row."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
    except _BROKEN as error:
        raise FormatError(
            f"not an .npy array ({error}). Send what numpy.save writes.", source=source
        ) from None
    if dtype.kind not in "biuf" or len(shape) not in (1, 2):
        raise FormatError(
            f"an array of {dtype} with {len(shape)} dimensions. Send one or two dimensions of numbers.",
            source=source,
        )
    # The header's shape is only a claim: check it before numpy reserves memory for it.
    held = len(body) - stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
        raise FormatError(
            f"shape {shape} of {dtype} does not fit the {held} bytes that follow.", source=source
        )
    array = np.load(io.BytesIO(body), allow_pickle=False)
    with np.errstate(over="ignore"):
        return np.atleast_2d(array).astype(np.float32)


def write(matrix: Matrix) -> bytes:
    stream = io.BytesIO()
    np.save(stream, matrix, allow_pickle=False)
    return stream.getvalue()

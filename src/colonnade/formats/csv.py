"""`text/csv` as SageMaker's numeric algorithms read it: no header, label first, comma between, empty cell = missing.

`examples` reads training files, `rows` request bodies (one row is the hot path of the whole platform), `write` answers.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np

from colonnade.formats import Examples, FormatError, Matrix, cells
from colonnade.formats.gzip import inflated

PERHAPS_A_HEADER = "Is it a header? Remove it: there is none in SageMaker's CSV."
NUMBERS_ONLY = "Send numbers only; leave a missing one empty."
_LARGE = 1 << 14
"""Bytes from which on many cells at once are read faster than one after the other."""
_numbers = msgspec.json.Decoder(list[float]).decode
_EMPTY_CELL = re.compile(rb"(?<=,)[ \t]*(?=[,\r\n]|\Z)|(?:\A|(?<=\n))[ \t]*(?=,)")


def rows(body: bytes, source: str = "") -> Matrix:
    """The matrix in a request body.

    >>> rows(b"1,2.5\\n3,").tolist()
    [[1.0, 2.5], [3.0, nan]]
    """
    if 0 <= body.find(b"\n") < len(body) - 1:
        return _parse(body, source)
    try:  # One row of plain numbers is nearly a JSON array, and msgspec reads that twice as fast as numpy.
        numbers = _numbers(b"[" + body + b"]")
    except msgspec.DecodeError:
        return _parse(body, source)
    return np.array([numbers], dtype=np.float32) if numbers else _parse(body, source)


def examples(data: bytes, *, label_size: int = 1, weights: bool = False, source: str = "") -> Examples:
    """A training file, gzipped or not: `label_size` columns of labels, one of weights when asked, then features."""
    table = _parse(inflated(data, source), source)
    first = label_size + (1 if weights else 0)
    if table.shape[1] <= first:
        raise FormatError(
            f"{table.shape[1]} columns leave no feature after {label_size} label column(s)"
            f"{' and a weight column' if weights else ''}. Put the label first, then the features.",
            source=source,
            line=1,
        )
    return Examples(
        features=table[:, first:],
        labels=table[:, :label_size] if label_size else None,
        weights=np.ascontiguousarray(table[:, label_size]) if weights else None,
    )


def read(path: Path, *, label_size: int = 1, weights: bool = False) -> Examples:
    return examples(path.read_bytes(), label_size=label_size, weights=weights, source=path.name)


def write(matrix: Matrix) -> bytes:
    """One line a row; a missing value is an empty cell. Numbers keep every digit that float32 has."""
    lines = (",".join("" if value != value else repr(value) for value in row) for row in matrix.tolist())
    return "".join(f"{line}\n" for line in lines).encode()


def _parse(body: bytes, source: str) -> Matrix:
    if not body.strip():
        raise FormatError("no rows. Send at least one line of comma-separated numbers.", source=source)
    if len(body) >= _LARGE and (plain := cells.matrix(body)) is not None:
        return plain
    try:
        return _load(body)
    except ValueError:
        try:  # numpy refuses empty cells at the first one it meets; looking for them beforehand costs as much as parsing.
            return _load(_EMPTY_CELL.sub(b"nan", body))
        except ValueError:
            raise _located(body, source) from None


def _load(body: bytes) -> Matrix:
    return np.loadtxt(body.splitlines(), delimiter=",", dtype=np.float32, comments=None, ndmin=2)


def _located(body: bytes, source: str) -> FormatError:
    """The first cell or line that is wrong; called only when parsing has already failed."""
    width: int | None = None
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split(b",")
        for column, cell in enumerate(cells, start=1):
            if cell.strip() and not _is_number(cell):
                return _not_a_number(cell, source, number, column)
        width = width or len(cells)
        if len(cells) != width:
            return FormatError(
                f"{len(cells)} columns where the first line has {width}. Every line needs the same number.",
                source=source,
                line=number,
            )
    return FormatError("not comma-separated numbers, in UTF-8 without quotes.", source=source, line=1)


def _is_number(cell: bytes) -> bool:
    try:
        _load(cell)
    except ValueError:
        return False
    return True


def _not_a_number(cell: bytes, source: str, line: int, column: int) -> FormatError:
    shown = cell.strip().decode(errors="replace")[:80]
    remedy = PERHAPS_A_HEADER if line == 1 else NUMBERS_ONLY
    return FormatError(f"'{shown}' is not a number. {remedy}", source=source, line=line, column=column)

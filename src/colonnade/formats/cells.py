"""Plain decimal numbers in CSV, by the million: found, weighed and summed by numpy, without an object for any of them.

`csv` asks here first when a body is large. What counts as plain: digits, one point, a minus in front, at most fifteen digits, or
nothing at all for a missing value; same number of cells in each line. Everything else is left to the slower reader, which
also knows what to say about it. The answers are the same to the bit: fifteen digits and powers of ten up to 10^22 are exact in
float64, so one division rounds once, as reading a decimal does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.formats import Matrix, Vector

_PIECE = 1 << 18
"""Bytes at once: what is made of them stays in the processor's cache."""
_MOST_DIGITS = 15
_COMMA, _NEWLINE, _MINUS, _POINT, _ZERO = (np.uint8(byte) for byte in b",\n-.0")
_NINE = np.uint8(9)
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.intp]
_Numbers = npt.NDArray[np.float64]


def matrix(body: bytes) -> Matrix | None:
    """The rows, or None when a cell is no plain number.

    >>> matrix(b"1,-2.5\\n,40\\n").tolist()
    [[1.0, -2.5], [nan, 40.0]]
    >>> matrix(b"1,2e3\\n") is None
    True
    """
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    if not body.endswith(b"\n"):
        body += b"\n"
    width = body.count(b",", 0, body.index(b"\n")) + 1
    pieces: list[Matrix] = []
    at = 0
    while at < len(body):
        end = body.rfind(b"\n", at, at + _PIECE) + 1 or body.index(b"\n", at) + 1
        values = _values(np.frombuffer(body, np.uint8, end - at, at), width)
        if values is None:
            return None
        pieces.append(values.reshape(-1, width))
        at = end
    return np.concatenate(pieces)


def _values(text: _Bytes, width: int) -> Vector | None:
    """The cells of whole lines, one after the other."""
    special = np.flatnonzero(text - _ZERO > _NINE)
    signs = text[special]
    separates = (signs == _COMMA) | (signs == _NEWLINE)
    ends = special[separates]
    if len(ends) % width or not _in_rows(signs[separates], width):
        return None
    if len(ends) == len(special):
        sums = _sums(text, ends, width)
    else:
        sums = _marked(text, special, separates, ends, width)
    return None if sums is None else sums.astype(np.float32)


def _in_rows(separators: _Bytes, width: int) -> bool:
    table = separators.reshape(-1, width)
    return bool((table[:, -1] == _NEWLINE).all() and (table[:, :-1] == _COMMA).all())


def _sums(digits: _Bytes, ends: _Places, width: int) -> _Numbers | None:
    """Each cell's digits as one whole number, the last digit first: fewer and fewer cells have another one."""
    counts = np.diff(ends, prepend=-1) - 1
    if counts.max() > _MOST_DIGITS or (width == 1 and not counts.all()):
        return None
    sums = (digits[ends - 1] - _ZERO).astype(np.float64)
    sums[counts == 0] = np.nan
    cells = np.flatnonzero(counts > 1)
    for place in range(1, int(counts.max())):
        if place > 1:
            cells = cells[counts[cells] > place]
        sums[cells] += (digits[ends[cells] - 1 - place] - _ZERO) * _POWERS[place]
    return sums


def _marked(
    text: _Bytes, special: _Places, separates: npt.NDArray[np.bool_], ends: _Places, width: int
) -> _Numbers | None:
    """The cells of a text with points and minus signs: those are taken out, and what they mean is applied to the sums."""
    places, cells = special[~separates], np.cumsum(separates)[~separates]
    is_point, is_minus = text[places] == _POINT, text[places] == _MINUS
    points, minuses = cells[is_point], cells[is_minus]
    starts = np.concatenate(([0], ends[:-1] + 1))
    if (
        not (is_point | is_minus).all()
        or _repeats(points)
        or _repeats(minuses)
        or (places[is_minus] != starts[minuses]).any()
    ):
        return None
    kept = np.ones(len(text), np.bool_)
    kept[places] = False
    gone = np.cumsum(np.bincount(cells, minlength=len(ends)))
    sums = _sums(text[kept], ends - gone, width)
    if sums is None or np.isnan(sums[cells]).any():
        return None
    sums[points] /= _POWERS[ends[points] - places[is_point] - 1]
    sums[minuses] *= -1.0
    return sums


def _repeats(cells: npt.NDArray[Any]) -> bool:
    return bool((cells[1:] == cells[:-1]).any())

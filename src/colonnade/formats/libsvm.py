"""`text/libsvm`: `label[:weight] [qid:n] index:value ...` in training files, the same without label in requests.

Indices are taken as they stand, so a file that counts from 1 has an empty column 0, as with XGBoost. Parsing is one
pass of numpy over all tokens; a token's kind follows from its place in the line and its colons.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from colonnade.formats import Examples, FormatError, Matrix, Sparse
from colonnade.formats.gzip import inflated

_MAX_INDEX = 2**31 - 1
_COMMENT = re.compile(rb"#[^\n]*")
_QUERY = re.compile(rb"(?<=[ \t])qid:")
_PAIR = re.compile(rb"(\d+):([^:\s]+)")
_SPACES = np.frombuffer(b" \t\n\r\x0b\x0c", dtype=np.uint8)


def examples(data: bytes, source: str = "") -> Examples:
    """A training file, gzipped or not. Lines agree on whether they carry weights and query ids.

    >>> found = examples(b"1 0:2.5 3:1\\n0 1:4\\n")
    >>> found.labels.tolist(), found.features.dense().tolist()[1]
    ([[1.0], [0.0]], [nan, 4.0, nan, nan])
    """
    return _parse(inflated(data, source), source, labelled=True)


def rows(body: bytes, source: str = "") -> Sparse:
    """The matrix in a request body. A label in front is allowed and ignored."""
    first = body.split(maxsplit=1)[:1]
    parsed = _parse(body, source, labelled=bool(first) and b":" not in first[0])
    assert isinstance(parsed.features, Sparse)
    return parsed.features


def write(features: Matrix, labels: Matrix | None = None) -> bytes:
    """Missing values are left out, which is how libsvm says missing."""
    lines = []
    for number, row in enumerate(features.tolist()):
        pairs = [f"{index}:{value!r}" for index, value in enumerate(row) if value == value]
        label = [] if labels is None else [repr(float(labels[number].item()))]
        lines.append(" ".join(label + pairs) + "\n")
    return "".join(lines).encode()


def _parse(data: bytes, source: str, *, labelled: bool) -> Examples:
    text = _COMMENT.sub(b"", data) if b"#" in data else data
    if not text.strip():
        raise FormatError("no rows. Send at least one line 'label index:value ...'.", source=source)
    has_query = labelled and b"qid:" in text
    # A query id becomes the pair -1:n, so that one grammar (label, then pairs) covers every line.
    plain = _QUERY.sub(b"-1:", text) if has_query else text
    try:
        return _assemble(plain, labelled=labelled, has_query=has_query)
    except (ValueError, OverflowError):
        raise _located(text, source, labelled, has_query) from None


def _assemble(text: bytes, *, labelled: bool, has_query: bool) -> Examples:
    line_of_token, colons = _shape(text)
    numbers = np.array(text.replace(b":", b" ").split(), dtype=np.float64)
    heads = np.flatnonzero(np.diff(line_of_token, prepend=-1)) if labelled else np.empty(0, dtype=np.int64)
    weighted = labelled and bool(colons[heads].any())
    expected = np.ones(len(colons), dtype=np.int64)
    expected[heads] = 1 if weighted else 0
    if not np.array_equal(colons, expected) or len(numbers) != len(colons) + int(colons.sum()):
        raise ValueError
    first_number = np.cumsum(colons + 1) - (colons + 1)
    pairs = np.delete(np.arange(len(colons)), heads)
    columns, values = _pairs(numbers, first_number[pairs])
    line = line_of_token[pairs]
    lines = np.unique(line_of_token)
    queries: npt.NDArray[np.int64] | None = None
    if has_query:
        queries, keep = _queries(columns, values, line, lines)
        columns, values, line = columns[keep], values[keep], line[keep]
    if columns.min(initial=0) < 0 or columns.max(initial=0) > _MAX_INDEX:
        raise ValueError
    starts = np.searchsorted(line, np.append(lines, lines[-1] + 1)).astype(np.int64)
    width = int(columns.max(initial=-1)) + 1
    return Examples(
        features=Sparse(starts, columns, values.astype(np.float32), width),
        labels=numbers[first_number[heads]].astype(np.float32)[:, None] if labelled else None,
        weights=numbers[first_number[heads] + 1].astype(np.float32) if weighted else None,
        queries=queries,
    )


def _shape(text: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each token: the line it stands in, and how many colons it has."""
    raw = np.frombuffer(text, dtype=np.uint8)
    space = np.isin(raw, _SPACES)
    starts = np.flatnonzero(~space & np.concatenate(([True], space[:-1])))
    line = np.searchsorted(np.flatnonzero(raw == ord("\n")), starts)
    owner = np.searchsorted(starts, np.flatnonzero(raw == ord(":")), side="right") - 1
    return line.astype(np.int64), np.bincount(owner, minlength=len(starts)).astype(np.int64)


def _pairs(
    numbers: npt.NDArray[np.float64], at: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    indices = numbers[at]
    if not np.isfinite(indices).all() or (np.abs(indices) > _MAX_INDEX).any() or (indices % 1 != 0).any():
        raise ValueError
    return indices.astype(np.int64), numbers[at + 1]


def _queries(
    columns: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    line: npt.NDArray[np.int64],
    lines: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    is_query = columns == -1
    ids = values[is_query]
    if not np.array_equal(line[is_query], lines) or not np.isfinite(ids).all() or (ids % 1 != 0).any():
        raise ValueError
    if (np.abs(ids) > _MAX_INDEX).any():
        raise ValueError
    return ids.astype(np.int64), ~is_query


def _located(text: bytes, source: str, labelled: bool, has_query: bool) -> FormatError:
    """The first line or token that is wrong; called only when parsing has already failed."""
    weighted: bool | None = None
    for number, line in enumerate(text.split(b"\n"), start=1):
        tokens = line.split()
        if not tokens:
            continue
        if labelled:
            label, *tokens = tokens
            parts = label.split(b":")
            if len(parts) > 2 or not all(_is_number(part) for part in parts):
                return _wrong(label, "a label ('1' or, with a weight, '1:0.5')", source, number)
            if weighted is not None and weighted != (len(parts) == 2):
                return _wrong(
                    label, "like the labels above it: give every line a weight, or none", source, number
                )
            weighted = len(parts) == 2
        if has_query:
            if not tokens or not re.fullmatch(rb"qid:\d{1,9}", tokens[0]):
                return _wrong(
                    line.strip(), "a line with 'qid:n' after the label, as the others have", source, number
                )
            tokens = tokens[1:]
        for token in tokens:
            pair = _PAIR.fullmatch(token)
            if not pair or int(pair[1]) > _MAX_INDEX or not _is_number(pair[2]):
                return _wrong(token, "'index:value' with a whole index from 0", source, number)
    return FormatError("not libsvm lines 'label index:value ...'.", source=source, line=1)


def _is_number(token: bytes) -> bool:
    try:
        np.array([token], dtype=np.float64)
    except (ValueError, OverflowError):
        return False
    return True


def _wrong(token: bytes, wanted: str, source: str, line: int) -> FormatError:
    return FormatError(f"'{token.decode(errors='replace')[:80]}' is not {wanted}.", source=source, line=line)

"""DataProcessing: what of each record the model sees, and what of record and prediction comes out.

CSV rows are lists of cells, and a joined row is the record's cells and then the prediction's. A joined JSON record has the
prediction as its member SageMakerOutput; one that is no object becomes {"SageMakerInput": ..., "SageMakerOutput": ...}.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from colonnade.serving.batch.paths import Path, PathError, parse

CSV, JSON = "text/csv", "application/json"
JSON_LINES = ("application/jsonlines", "application/x-jsonlines")
KINDS = (CSV, JSON, *JSON_LINES)
INPUT, OUTPUT = "SageMakerInput", "SageMakerOutput"

_BROKEN = (ValueError, RecursionError, csv.Error)

Call = Callable[[bytes], bytes]


class ProcessingError(Exception):
    """A record or a prediction that cannot be filtered or joined; the text is for the user."""

    def __init__(self, problem: str, *, by_model: bool = False) -> None:
        super().__init__(problem)
        self.by_model = by_model
        """Whether it is the model's answer that is wrong."""


class Form(Protocol):
    """How records of a kind are read and written. Raises ValueError for what is of another kind."""

    def rows(self, body: bytes) -> list[Any]: ...

    def one(self, body: bytes) -> list[Any]:
        """The same of a body that holds the answer to one record."""
        ...

    def join(self, record: Any, prediction: Any) -> Any: ...

    def write(self, rows: Sequence[Any]) -> bytes: ...


class Processing:
    def __init__(
        self, content_type: str, split: str, input_filter: str = "$", output_filter: str = "$", *, join: bool
    ) -> None:
        """Raises PathError."""
        self._input, self._output, self._join = parse(input_filter), parse(output_filter), join
        self._kind = media_type(content_type)
        self._form = _form(self._kind, split)

    def __call__(self, body: bytes, model: Call) -> bytes:
        """Raises ProcessingError, and what the model raises."""
        if self._input.is_root and self._output.is_root and not self._join:
            return model(body)
        records = self._read(body)
        if not records:
            return b""
        filtered = body if self._input.is_root else self._form.write(self._filtered(self._input, records))
        answer = model(filtered)
        if self._output.is_root and not self._join:
            return answer
        found = self._predictions(answer, len(records))
        joined = list(map(self._form.join, records, found)) if self._join else found
        return self._form.write(self._filtered(self._output, joined))

    def _read(self, body: bytes) -> list[Any]:
        try:
            return self._form.rows(body)
        except _BROKEN as error:
            raise ProcessingError(f"the input is not {self._kind}: {error}") from error

    def _predictions(self, answer: bytes, wanted: int) -> list[Any]:
        try:
            found = self._form.rows(answer) if wanted > 1 else self._form.one(answer)
        except _BROKEN as error:
            raise ProcessingError(
                f"Failed to parse output from the algorithm as {self._kind}: {error}", by_model=True
            ) from error
        if len(found) != wanted:
            raise ProcessingError(
                f"the model answered {len(found)} records for {wanted}, so they cannot be told apart",
                by_model=True,
            )
        return found

    def _filtered(self, path: Path, rows: list[Any]) -> list[Any]:
        if path.is_root:
            return rows
        try:
            return [path.select(row) for row in rows]
        except PathError as error:
            raise ProcessingError(str(error)) from error


class Rows:
    """CSV: a line a row. Embedded newlines are not known, as on AWS."""

    def rows(self, body: bytes) -> list[list[str]]:
        text = body.decode()
        lines = [line for line in text.splitlines() if line.strip()]
        if '"' in text:
            return list(csv.reader(lines))
        return [line.split(",") for line in lines]

    one = rows

    def join(self, record: list[str], prediction: list[str]) -> list[str]:
        return record + prediction

    def write(self, rows: Sequence[Any]) -> bytes:
        cells = [row if isinstance(row, list) else [row] for row in rows]
        plain = "".join([",".join(row) + "\n" for row in cells])
        if '"' not in plain and plain.count(",") == sum(map(len, cells)) - len(cells):
            return plain.encode()
        quoted = io.StringIO()
        csv.writer(quoted, lineterminator="\n").writerows(cells)
        return quoted.getvalue().encode()


class Values:
    """JSON: a value a line, or one in all."""

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines

    def rows(self, body: bytes) -> list[Any]:
        if not self._lines:
            return [json.loads(body)]
        return [json.loads(line) for line in body.split(b"\n") if line.strip()]

    def one(self, body: bytes) -> list[Any]:
        return [json.loads(body)]

    def join(self, record: Any, prediction: Any) -> Any:
        held = record if isinstance(record, dict) else {INPUT: record}
        return {**held, OUTPUT: prediction}

    def write(self, rows: Sequence[Any]) -> bytes:
        text = "\n".join(map(_compact, rows))
        return f"{text}\n".encode() if self._lines else text.encode()


_compact = partial(json.dumps, separators=(",", ":"), ensure_ascii=False)


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _form(kind: str, split: str) -> Form:
    if kind == CSV:
        return Rows()
    return Values(lines=kind in JSON_LINES or split == "Line")

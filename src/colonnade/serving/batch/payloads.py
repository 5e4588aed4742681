"""From a file to the bodies of requests: split into records, and as many of these together as the strategy says.

A payload is a stretch of the file, so payloads joined are the file again; only SingleRecord of binary formats strips the
framing, and leaves the payload alone. Blank lines are no records.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO

from colonnade.formats import FormatError, TooLongError, recordio, tfrecord
from colonnade.serving.batch.plan import Plan

_FRAMING = 64
"""Bytes around a record that do not count for its size, generously."""


@dataclass(frozen=True, slots=True)
class Payload:
    body: bytes
    first: int
    """The number of its first record in the file, from 1: of its first line where lines are split."""
    count: int
    """How many records, or lines with the blank ones."""


def payloads(file: BinaryIO, plan: Plan, name: str) -> Iterator[Payload]:
    """Raises FormatError naming the file for data that cannot be split, and for a record above the limit."""
    if plan.split == "Line":
        return _single_lines(file, plan, name) if plan.single_record else _lines(file, plan, name)
    if plan.split == "None":
        return _whole(file, plan, name)
    return _framed(file, plan, name)


def records(body: bytes, split: str) -> list[bytes]:
    """The records of a payload, none of them blank; joined they are the payload, but for blank lines."""
    if split == "Line":
        return [line for line in body.splitlines(keepends=True) if line.strip()]
    if split == "None":
        return [body]
    try:
        return [raw for raw, _ in _reader(split, single=False)(io.BytesIO(body), len(body))]
    except FormatError:
        return [body]  # A record without its framing.


def line_of(body: bytes, record: int) -> int:
    """The line of a payload, from 1, in which its n-th record stands."""
    filled = (number for number, line in enumerate(body.splitlines(), 1) if line.strip())
    return next(islice(filled, record - 1, None), record)


def _whole(file: BinaryIO, plan: Plan, name: str) -> Iterator[Payload]:
    body = file.read(plan.max_payload + 1)
    if len(body) > plan.max_payload:
        raise TooLongError(
            f"the file is longer than MaxPayloadInMB ({plan.max_payload_mb}). Give a SplitType, or a higher limit.",
            source=name,
        )
    if body:
        yield Payload(body, 1, 1)


def _lines(file: BinaryIO, plan: Plan, name: str) -> Iterator[Payload]:
    """Cut behind the last line that fits, without looking at any other."""
    limit, number, rest = plan.max_payload, 1, b""
    while data := rest + file.read(limit + 1 - len(rest)):
        end = len(data) if len(data) <= limit else data.rfind(b"\n", 0, limit) + 1
        if end == 0:
            raise _too_long(plan, name, number)
        body, rest = data[:end], data[end:]
        count = body.count(b"\n") + (not body.endswith(b"\n"))
        if not body.isspace():
            yield Payload(body, number, count)
        number += count


def _single_lines(file: BinaryIO, plan: Plan, name: str) -> Iterator[Payload]:
    number = 0
    while line := file.readline(plan.max_payload + 1):
        number += 1
        if len(line) > plan.max_payload:
            raise _too_long(plan, name, number)
        if not line.isspace():
            yield Payload(line, number, 1)


def _too_long(plan: Plan, name: str, line: int) -> TooLongError:
    return TooLongError(
        f"the record is longer than MaxPayloadInMB ({plan.max_payload_mb}). Give a higher limit.",
        source=name,
        line=line,
    )


def _framed(file: BinaryIO, plan: Plan, name: str) -> Iterator[Payload]:
    together: list[bytes] = []
    size, number = 0, 1
    reader = _reader(plan.split, single=plan.single_record)
    for raw, payload in reader(file, plan.max_payload + _FRAMING, name):
        if len(payload) > plan.max_payload:
            raise TooLongError(
                f"record {number} is longer than MaxPayloadInMB ({plan.max_payload_mb}). Give a higher limit.",
                source=name,
            )
        if together and (plan.single_record or size + len(raw) > plan.max_payload):
            yield Payload(b"".join(together), number - len(together), len(together))
            together, size = [], 0
        together.append(payload if plan.single_record else raw)
        size += len(raw)
        number += 1
    if together:
        yield Payload(b"".join(together), number - len(together), len(together))


def _reader(split: str, *, single: bool) -> partial[Iterator[tuple[bytes, bytes]]]:
    """Where the framing goes, so does the checksum in it: it is checked before."""
    return partial(recordio.stream) if split == "RecordIO" else partial(tfrecord.stream, check=single)

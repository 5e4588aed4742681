"""The frames between a gateway worker and a replica, over a unix socket: a length, a few short texts, a body.

Answers come back in the order of the requests of a connection; so frames need no ids, and when a connection breaks the
oldest unanswered request is the only one of it that the replica can have been working on. Standard library only, since
replicas run it inside runtime environments. HTTP on the same socket was measured against this: docs/decisions/serving-path.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_REQUEST = struct.Struct("<IBHHHH")
_ANSWER = struct.Struct("<IHHH")
INVOKE, PING, STREAM = 1, 2, 3
BEGUN, PART = 102, 206
"""Statuses before the last answer to a STREAM, whose connection is its own: the replica works on it, and a part of the body.
What ends it is the whole answer where there were no parts, 200 without a body after them, or the error's status."""
STORE, LOAD, UNLOAD = 10, 11, 12
"""Of a replica that holds many models: a piece of a model's archive, and taking the model into memory or out of it."""
NOT_LOADED, NO_MEMORY = 1404, 1507
"""Statuses that no model can answer: the model that a request names is not there, or has no room."""
MAX_REQUEST = 1024 * 1024 * 1024 + 64 * 1024
"""Bytes after the header of what a worker asks: the largest input of an asynchronous endpoint, and its texts."""
MAX_FRAME = 128 * 1024 * 1024
"""Bytes after the header. A replica runs user code: what it sends is not trusted."""


class FrameError(Exception):
    """The other side does not speak this protocol; the connection is of no use any more."""


class Request(NamedTuple):
    kind: int
    body: bytes = b""
    content_type: str = ""
    accept: str = ""
    custom_attributes: str = ""
    model: str = ""
    """Which one, where the replica holds many."""


class Answer(NamedTuple):
    status: int
    """As in HTTP; the body of anything above 299 is the error's text."""
    body: bytes
    content_type: str = ""
    custom_attributes: str = ""


def pack_request(request: Request) -> bytes:
    content_type = request.content_type.encode("latin-1", "replace")
    accept = request.accept.encode("latin-1", "replace")
    custom = request.custom_attributes.encode("latin-1", "replace")
    model = request.model.encode("latin-1", "replace")
    total = len(content_type) + len(accept) + len(custom) + len(model) + len(request.body)
    header = _REQUEST.pack(total, request.kind, len(content_type), len(accept), len(custom), len(model))
    return b"".join((header, content_type, accept, custom, model, request.body))


def pack_answer(answer: Answer) -> bytes:
    content_type = answer.content_type.encode("latin-1", "replace")
    custom = answer.custom_attributes.encode("latin-1", "replace")
    total = len(content_type) + len(custom) + len(answer.body)
    return b"".join(
        (
            _ANSWER.pack(total, answer.status, len(content_type), len(custom)),
            content_type,
            custom,
            answer.body,
        )
    )


class Requests:
    """Cuts a stream of bytes into requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Request]:
        """The requests that `data` completes."""
        self._buffer += data
        while (parts := _cut(self._buffer, _REQUEST, MAX_REQUEST)) is not None:
            kind, (content_type, accept, custom, model), body = parts
            yield Request(kind, body, content_type, accept, custom, model)


class Answers:
    """Cuts a stream of bytes into answers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Answer]:
        """The answers that `data` completes. Raises FrameError for bytes that cannot be an answer."""
        self._buffer += data
        while (parts := _cut(self._buffer, _ANSWER, MAX_FRAME)) is not None:
            status, texts, body = parts
            content_type, custom = map(printable, texts)
            yield Answer(status, body, content_type, custom)


def _cut(buffer: bytearray, header: struct.Struct, most: int) -> tuple[int, list[str], bytes] | None:
    """The first frame of the buffer, taken off it: number, texts, body; None while it is incomplete."""
    if len(buffer) < header.size:
        return None
    total, number, *lengths = header.unpack_from(buffer)
    if total > most or sum(lengths) > total:
        raise FrameError(f"a frame of {total} bytes with texts of {lengths}")
    end = header.size + total
    if len(buffer) < end:
        return None
    texts, at = [], header.size
    for length in lengths:
        texts.append(buffer[at : at + length].decode("latin-1"))
        at += length
    body = bytes(memoryview(buffer)[at:end])
    del buffer[:end]
    return number, texts, body


def printable(text: str) -> str:
    """An answer's texts become HTTP headers: printable ASCII, or the replica is not to be trusted with more."""
    if text and not (text.isascii() and text.isprintable()):
        raise FrameError(f"a text that cannot be a header: {text[:80]!r}")
    return text

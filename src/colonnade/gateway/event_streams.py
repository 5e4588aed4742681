"""Event streams (application/vnd.amazon.eventstream): results whose one member is not a value but goes on happening.

An operation returns `kernel.streams.Events` for that member; here they become frames, one piece of the answer's body each.

A frame is `total length, headers' length, CRC of these 8 bytes, headers, payload, CRC of all before`.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any
from zlib import crc32

from colonnade.gateway.exchange import Exchange, Response
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import Shape
from colonnade.kernel.streams import Event, Events

log = logging.getLogger(__name__)

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
BodyWriter = Callable[[Shape], Callable[[Any], bytes]]
"""How the protocol writes a structure as a payload."""
Headers = list[tuple[str, str, Any]]
"""(name, a shape's type name, value)."""


# Frames


def frame(headers: Headers, payload: bytes) -> bytes:
    block = b"".join(_header(*header) for header in headers)
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    content = b"".join((prelude, struct.pack(">I", crc32(prelude)), block, payload))
    return content + struct.pack(">I", crc32(content))


def _header(name: str, kind: str, value: Any) -> bytes:
    encoded = name.encode()
    return struct.pack(">B", len(encoded)) + encoded + _TYPED[kind](value)


def _sized(code: int, data: bytes) -> bytes:
    return struct.pack(">BH", code, len(data)) + data


_TYPED: Mapping[str, Callable[[Any], bytes]] = {
    "boolean": lambda value: b"\x00" if value else b"\x01",
    "integer": lambda value: struct.pack(">Bi", 4, value),
    "long": lambda value: struct.pack(">Bq", 5, value),
    "blob": lambda value: _sized(6, bytes(value)),
    "string": lambda value: _sized(7, str(value).encode()),
    "timestamp": lambda value: struct.pack(">Bq", 8, round(value * 1000)),
}


# Events, by shape


def member(shape: Shape) -> str | None:
    """The member of an output that is an event stream."""
    return next((name for name, each in shape.members.items() if each.serialization.get("eventstream")), None)


class Encoder:
    """Of one event stream's shape: the union of its events and exceptions."""

    def __init__(self, shape: Shape, body_writer: BodyWriter, content_type: bytes) -> None:
        self._writers = {
            name: _Event(name, each, body_writer, content_type.decode())
            for name, each in shape.members.items()
        }
        self._exceptions = {
            code: self._writers[name]
            for name, each in shape.members.items()
            if each.metadata.get("exception")
            for code in (name, each.name)
        }

    def event(self, event: Event) -> bytes:
        ((name, members),) = event.items()
        return self._writers[name].frame(":event-type", "event", members)

    def failure(self, error: Exception) -> bytes:
        if not isinstance(error, ServiceError):
            log.error("an event stream failed", exc_info=error)
            error = ServiceError(
                "InternalFailure", "We encountered an internal error. The server's log has it."
            )
        writer = self._exceptions.get(error.code)
        if writer is not None:
            members = {writer.message_member: error.message, **error.members}
            return writer.frame(":exception-type", "exception", members)
        about = {":error-code": error.code, ":error-message": error.message, ":message-type": "error"}
        return frame(_texts(about), b"")


class _Event:
    """One event: some members in headers, the rest as payload, raw where the model says so."""

    def __init__(self, name: str, shape: Shape, body_writer: BodyWriter, content_type: str) -> None:
        self.name = name
        self.headers = {
            key: each.type_name
            for key, each in shape.members.items()
            if each.serialization.get("eventheader")
        }
        self.message_member = next((key for key in shape.members if key.lower() == "message"), "message")
        explicit = next(
            (k for k, each in shape.members.items() if each.serialization.get("eventpayload")), None
        )
        self.explicit = explicit
        kind = shape.members[explicit].type_name if explicit else "structure"
        self.content_type = _PAYLOADS.get(kind, (content_type, bytes))[0]
        self.empty = len(self.headers) == len(shape.members)
        self.write: Callable[[Any], bytes] = (
            _PAYLOADS[kind][1]
            if kind in _PAYLOADS
            else body_writer(shape.members[explicit] if explicit else shape)
        )

    def frame(self, type_header: str, message_type: str, members: Mapping[str, Any]) -> bytes:
        about = {type_header: self.name, ":message-type": message_type}
        if not self.empty:
            about[":content-type"] = self.content_type
        own = [(k, kind, members[k]) for k, kind in self.headers.items() if members.get(k) is not None]
        return frame([*_texts(about), *own], b"" if self.empty else self._payload(members))

    def _payload(self, members: Mapping[str, Any]) -> bytes:
        if self.explicit is None:
            return self.write({key: item for key, item in members.items() if key not in self.headers})
        value = members.get(self.explicit)
        return b"" if value is None else self.write(value)


_PAYLOADS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "blob": ("application/octet-stream", bytes),
    "string": ("text/plain", lambda text: str(text).encode()),
}


def _texts(values: Mapping[str, str]) -> Headers:
    return [(name, "string", value) for name, value in values.items()]


# Answers


def rest_body(
    shape: Shape, stream: str, body_writer: BodyWriter, content_type: bytes
) -> Callable[[Any], Frames]:
    """REST's other members travel in headers: events alone are the body."""
    encoder = Encoder(shape.members[stream], body_writer, content_type)
    return lambda result: Frames(encoder, result.get(stream) or ())


def rpc_serialiser(
    shape: Shape,
    stream: str,
    body_writer: BodyWriter,
    content_type: bytes,
    headers: list[tuple[bytes, bytes]],
) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    """RPC protocols have no headers of their own: an `initial-response` event opens with the other members."""
    encoder = Encoder(shape.members[stream], body_writer, content_type)
    write = body_writer(shape)
    about = {
        ":event-type": "initial-response",
        ":message-type": "event",
        ":content-type": content_type.decode(),
    }
    head = _texts(about)

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        rest = {name: value for name, value in result.items() if name != stream}
        opening = frame(head, write(rest))
        body = Frames(encoder, result.get(stream) or (), opening)
        return Response(200, [*headers, (b"content-type", CONTENT_TYPE)], body)

    return serialise


class Frames:
    """An answer's body that goes on: encoded events, one piece each. Iterated once, then closed."""

    def __init__(self, encoder: Encoder, events: Events, opening: bytes = b"") -> None:
        self._encoder = encoder
        self._events = events
        self._opening = opening

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._opening:
            yield self._opening
        try:
            async with aclosing(self._source()) as events:
                async for event in events:
                    if event is not None:
                        yield self._encoder.event(event)
        except Exception as error:  # noqa: BLE001 - the status has gone out: only the stream itself can tell
            yield self._encoder.failure(error)

    def _source(self) -> AsyncGenerator[Any, None]:
        if isinstance(self._events, AsyncIterable):
            return _closing(self._events)
        return _threaded(self._events)


async def _closing(events: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    try:
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _threaded(events: Iterable[Any]) -> AsyncGenerator[Any, None]:
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="events")
    loop = asyncio.get_running_loop()
    iterator = iter(events)
    try:
        while True:
            event = await loop.run_in_executor(thread, next, iterator, _END)
            if event is _END:
                return
            yield event
    finally:
        # Behind the step that may still be running: nobody waits for that.
        thread.submit(_close, iterator)
        thread.shutdown(wait=False)


_END = object()


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()

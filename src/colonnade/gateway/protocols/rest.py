"""What rest-json and rest-xml share: members in the URI, the query string, headers and the status, beside a body.

The two differ only in how a structure becomes a body; each hands in its `Codec`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from colonnade.gateway import event_streams
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols import texts
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel.models import OperationModel, Shape

Part = Callable[[Exchange, dict[str, Any]], None]
"""Reads its members from the exchange into the parameters."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How bodies are read and written."""

    reader: Callable[[Shape, frozenset[str] | None], Callable[[bytes], dict[str, Any]]]
    """For a structure, of which only the given members are in the body (None: all)."""
    writer: Callable[[Shape, frozenset[str] | None, str], Callable[[Any], bytes]]
    """The same; the text is the name of the root element."""
    content_type: bytes
    refusal_code: str


def parser(model: OperationModel, codec: Codec) -> Callable[[Exchange], dict[str, Any]]:
    shape = model.input_shape
    if shape is None:
        return lambda exchange: {}
    parts = [part for part in (_uri(shape), _query(shape), *_headers(shape), _body(shape, codec)) if part]

    def parse(exchange: Exchange) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        try:
            for part in parts:
                part(exchange, parameters)
        except Misfit as misfit:
            raise misfit.refusal(codec.refusal_code) from None
        return parameters

    return parse


def located(shape: Shape, location: str) -> dict[str, tuple[str, Shape]]:
    """Member: (wire name, shape) of those in one place."""
    return {
        name: (member.serialization.get("name", name), member)
        for name, member in shape.members.items()
        if member.serialization.get("location") == location
    }


def body_members(shape: Shape) -> frozenset[str]:
    return frozenset(name for name, member in shape.members.items() if "location" not in member.serialization)


def _uri(shape: Shape) -> Part | None:
    members = [(name, wire, texts.reader(member)) for name, (wire, member) in located(shape, "uri").items()]
    if not members:
        return None

    def read(exchange: Exchange, parameters: dict[str, Any]) -> None:
        for name, wire, convert in members:
            if wire in exchange.labels:
                parameters[name] = _convert(name, convert, exchange.labels[wire])

    return read


def _convert(name: str, convert: texts.Read, text: str) -> Any:
    try:
        return convert(text)
    except Misfit as misfit:
        raise misfit.within(name) from None


def _query(shape: Shape) -> Part | None:
    members = located(shape, "querystring")
    if not members:
        return None
    single = {wire: (name, texts.reader(member)) for name, (wire, member) in members.items()}
    lists = {
        wire: (name, texts.reader(member.member))
        for name, (wire, member) in members.items()
        if member.type_name == "list"
    }
    rest = next((name for name, (_, member) in members.items() if member.type_name == "map"), None)

    def read(exchange: Exchange, parameters: dict[str, Any]) -> None:
        if not exchange.query:
            return
        for wire, text in parse_qsl(exchange.query, keep_blank_values=True):
            if wire in lists:
                name, convert = lists[wire]
                parameters.setdefault(name, []).append(_convert(name, convert, text))
            elif wire in single:
                name, convert = single[wire]
                if text or convert is str:
                    parameters[name] = _convert(name, convert, text)
            elif rest is not None and not wire.startswith("X-Amz-"):
                _collect(parameters.setdefault(rest, {}), wire, text, shape.members[rest])

    return read


def _collect(found: dict[str, Any], key: str, text: str, shape: Shape) -> None:
    """A map in the query string: all keys that are nobody else's. Its values may be lists, of repeated keys."""
    if shape.value.type_name == "list":
        found.setdefault(key, []).append(text)
    else:
        found[key] = text


def _headers(shape: Shape) -> list[Part]:
    single = [
        (name, wire.lower().encode(), _header_reader(member))
        for name, (wire, member) in located(shape, "header").items()
    ]
    prefixes = [(name, wire.lower().encode()) for name, (wire, _) in located(shape, "headers").items()]
    parts: list[Part] = []

    def read_single(exchange: Exchange, parameters: dict[str, Any]) -> None:
        headers = exchange.headers
        for name, wire, convert in single:
            raw = headers.get(wire)
            if raw is not None and (raw or convert is str):
                parameters[name] = _convert(name, convert, header_text(raw))

    def read_prefixed(exchange: Exchange, parameters: dict[str, Any]) -> None:
        for name, prefix in prefixes:
            found = {
                wire[len(prefix) :].decode("latin-1"): header_text(raw)
                for wire, raw in exchange.headers.items()
                if wire.startswith(prefix)
            }
            if found:
                parameters[name] = found

    if single:
        parts.append(read_single)
    if prefixes:
        parts.append(read_prefixed)
    return parts


def header_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def _header_reader(shape: Shape) -> texts.Read:
    if shape.type_name != "list":
        return texts.reader(shape)
    member = shape.member
    convert = texts.reader(member)
    return lambda text: [convert(part) for part in texts.split_header(text, member)]


def _body(shape: Shape, codec: Codec) -> Part | None:
    payload = shape.serialization.get("payload")
    if payload is not None:
        return _payload(payload, shape.members[payload], codec, required=payload in shape.required_members)
    members = body_members(shape)
    if not members:
        return None
    read_body = codec.reader(shape, members)

    def read(exchange: Exchange, parameters: dict[str, Any]) -> None:
        if exchange.body:
            parameters.update(read_body(exchange.body))

    return read


def _payload(name: str, member: Shape, codec: Codec, *, required: bool) -> Part | None:
    if member.serialization.get("eventstream"):
        return None
    if member.serialization.get("streaming"):
        return lambda exchange, parameters: parameters.__setitem__(name, exchange.stream)
    if member.type_name in ("blob", "string"):
        text = member.type_name == "string"

        def read_raw(exchange: Exchange, parameters: dict[str, Any]) -> None:
            if exchange.body or required:
                parameters[name] = exchange.body.decode("utf-8", "replace") if text else exchange.body

        return read_raw
    read_body = codec.reader(member, None)

    def read(exchange: Exchange, parameters: dict[str, Any]) -> None:
        if exchange.body:
            try:
                value = read_body(exchange.body)
            except Misfit as misfit:
                raise misfit.within(name) from None
            # Clients write an absent structure as an empty one.
            if value or required:
                parameters[name] = value

    return read


# Answers


def serialiser(
    model: OperationModel, codec: Codec, root: str, *, lone: bool = False
) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    """`root` names the root element of an answer whose members are its body."""
    status = int(model.http.get("responseCode", 200))
    shape = model.output_shape
    if shape is None:
        return lambda exchange, result: Response(status, [], b"")
    write_headers = header_writer(shape)
    status_member = next(iter(located(shape, "statusCode")), None)
    write_body = _body_writer(shape, codec, root)

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        headers = write_headers(result)
        body = write_body(result, headers)
        return Response(int(result.get(status_member, status)) if status_member else status, headers, body)

    return serialise


def header_writer(shape: Shape) -> Callable[[Mapping[str, Any]], list[tuple[bytes, bytes]]]:
    single = {
        name: (wire.lower().encode(), _header_text(member))
        for name, (wire, member) in located(shape, "header").items()
    }
    prefixed = {name: wire.lower() for name, (wire, _) in located(shape, "headers").items()}

    def write(result: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
        headers = []
        for name, value in result.items():
            if value is None:
                continue
            if name in single:
                wire, convert = single[name]
                headers.append((wire, _safe(convert(value))))
            elif name in prefixed:
                for key, text in value.items():
                    headers.append(((prefixed[name] + key).lower().encode(), _safe(text)))
        return headers

    return write


def _header_text(shape: Shape) -> texts.Write:
    if shape.type_name != "list":
        return texts.writer(shape, "rfc822")
    member = shape.member
    convert = texts.writer(member, "rfc822")
    return lambda values: texts.join_header([convert(value) for value in values], member)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _safe(text: str) -> bytes:
    """A header holds one line: what came from a user must not begin another, nor hold what no header may."""
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return text.encode("utf-8", "replace")


BodyWriter = Callable[[Mapping[str, Any], list[tuple[bytes, bytes]]], Any]


def _body_writer(shape: Shape, codec: Codec, root: str) -> BodyWriter:
    stream = event_streams.member(shape)
    if stream is not None:
        return _event_writer(shape, stream, codec)
    payload = shape.serialization.get("payload")
    if payload is not None:
        return _payload_writer(payload, shape.members[payload], codec, root)
    members = body_members(shape)
    if not members:
        return lambda result, headers: b""
    write = codec.writer(shape, members, root)

    def write_members(result: Mapping[str, Any], headers: list[tuple[bytes, bytes]]) -> bytes:
        _default_content_type(headers, codec.content_type)
        return write(result)

    return write_members


def _payload_writer(name: str, member: Shape, codec: Codec, root: str) -> BodyWriter:
    if member.type_name in ("blob", "string"):
        default = b"text/plain" if member.type_name == "string" else b"application/octet-stream"

        def write_raw(result: Mapping[str, Any], headers: list[tuple[bytes, bytes]]) -> Any:
            body = result.get(name)
            if body is None:
                return b""
            _default_content_type(headers, default)
            return body.encode() if isinstance(body, str) else body

        return write_raw
    write = codec.writer(member, None, root)

    def write_payload(result: Mapping[str, Any], headers: list[tuple[bytes, bytes]]) -> bytes:
        if result.get(name) is None:
            return b""
        _default_content_type(headers, codec.content_type)
        return write(result[name])

    return write_payload


def _event_writer(shape: Shape, stream: str, codec: Codec) -> BodyWriter:
    frames = event_streams.rest_body(
        shape, stream, lambda each: codec.writer(each, None, ""), codec.content_type
    )

    def write_events(result: Mapping[str, Any], headers: list[tuple[bytes, bytes]]) -> Any:
        _default_content_type(headers, event_streams.CONTENT_TYPE)
        return frames(result)

    return write_events


def _default_content_type(headers: list[tuple[bytes, bytes]], value: bytes) -> None:
    for name, _ in headers:
        if name == b"content-type":
            return
    headers.append((b"content-type", value))

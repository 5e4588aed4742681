"""rest-json: routes, headers and JSON bodies (Lambda, sagemaker-runtime, bedrock-runtime)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols import json_values, rest
from colonnade.gateway.protocols.faults import Fault
from colonnade.gateway.protocols.json import json_body
from colonnade.kernel.models import OperationModel, Shape


def _reader(shape: Shape, only: frozenset[str] | None) -> Callable[[bytes], Any]:
    read = json_values.reader(shape)

    def read_body(body: bytes) -> Any:
        found = read(json_values.decode(body))
        if only is None or not isinstance(found, dict):
            return found
        return {name: value for name, value in found.items() if name in only}

    return read_body


def _writer(shape: Shape, only: frozenset[str] | None, root: str) -> Callable[[Any], bytes]:
    write = json_values.writer(shape)
    if only is None:
        return lambda value: json_values.encode(write(value))
    return lambda value: json_values.encode(
        write({name: item for name, item in value.items() if name in only})
    )


CODEC = rest.Codec(_reader, _writer, b"application/json", "SerializationException")


def parser(model: OperationModel) -> Callable[[Exchange], dict[str, Any]]:
    return rest.parser(model, CODEC)


def serialiser(model: OperationModel) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    plain = rest.serialiser(model, CODEC, "")
    if model.output_shape is not None and model.output_shape.serialization.get("payload") is not None:
        return plain

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        response = plain(exchange, result)
        if response.body == b"" and response.status not in (204, 304):
            response.headers.append((b"content-type", b"application/json"))
            response.body = b"{}"
        return response

    return serialise


def error(exchange: Exchange, fault: Fault) -> Response:
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", fault.code.encode())]
    body = {"__type": fault.code, **json_body(fault)}
    if fault.shape is not None:
        headers += rest.header_writer(fault.shape)(fault.members)
        away = {
            wire for place in ("header", "headers") for wire, _ in rest.located(fault.shape, place).values()
        }
        body = {name: value for name, value in body.items() if name not in away}
    return Response(fault.status, headers, json_values.encode(body))

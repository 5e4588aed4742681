"""json 1.0 and 1.1: one POST to `/`, the operation in X-Amz-Target, everything in one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.gateway import event_streams
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols import json_values
from colonnade.gateway.protocols.faults import Fault
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel.models import OperationModel, Shape


def parser(model: OperationModel) -> Callable[[Exchange], dict[str, Any]]:
    read = json_values.reader(model.input_shape) if model.input_shape else _nothing

    def parse(exchange: Exchange) -> dict[str, Any]:
        if not exchange.body:
            return {}
        try:
            parameters: dict[str, Any] = read(json_values.decode(exchange.body))
        except Misfit as misfit:
            raise misfit.refusal() from None
        return parameters

    return parse


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def serialiser(model: OperationModel) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    headers = [(b"content-type", content_type(model))]
    if model.output_shape is None:
        return lambda exchange, result: Response(200, list(headers), b"{}")
    stream = event_streams.member(model.output_shape)
    if stream is not None:
        return event_streams.rpc_serialiser(model.output_shape, stream, body_writer, content_type(model), [])
    write = body_writer(model.output_shape)
    return lambda exchange, result: Response(200, list(headers), write(result))


def body_writer(shape: Shape) -> Callable[[Any], bytes]:
    write = json_values.writer(shape)
    return lambda value: json_values.encode(write(value))


def content_type(model: OperationModel | None) -> bytes:
    version = model.service_model.metadata.get("jsonVersion", "1.0") if model else "1.1"
    return f"application/x-amz-json-{version}".encode()


def error(exchange: Exchange, fault: Fault) -> Response:
    model = exchange.plan.model if exchange.plan else None
    headers = [(b"content-type", content_type(model))]
    if exchange.headers.get(b"x-amzn-query-mode") == b"true":
        headers.append((b"x-amzn-query-error", f"{fault.query_code};{fault.sender}".encode()))
    body = {"__type": fault.code, **json_body(fault)}
    return Response(fault.status, headers, json_values.encode(body))


def json_body(fault: Fault) -> dict[str, Any]:
    """The message under the name that the error's shape gives it, and the shape's further members."""
    if fault.shape is None:
        return {"message": fault.message}
    body = dict(json_values.writer(fault.shape)(fault.members))
    body.setdefault("message" if "Message" not in body else "Message", fault.message)
    return body

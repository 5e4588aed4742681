"""smithy-rpc-v2-cbor: `POST /service/{targetPrefix}/operation/{Op}`, one CBOR map each way, said by a header.

Newer SDKs choose it for the services whose models list it; it is understood for every service that has a targetPrefix. Shapes
drive it as they drive JSON: only scalars differ, since blobs travel raw and timestamps under a tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.gateway import event_streams
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols import cbor_items, json_values, timestamps
from colonnade.gateway.protocols.cbor_items import Instant
from colonnade.gateway.protocols.faults import Fault
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel.models import OperationModel, Shape

CONTENT_TYPE = b"application/cbor"
_SAID = (b"smithy-protocol", b"rpc-v2-cbor")


def _blob(value: Any) -> bytes:
    if type(value) is not bytes:
        raise Misfit("a byte string", value)
    return value


def _timestamp(value: Any) -> float:
    if type(value) is Instant:
        return float(value.seconds)
    raise Misfit("a timestamp (tag 1)", value)


_READERS = {**json_values.SCALAR_READERS, "blob": _blob, "timestamp": _timestamp}


def _scalar_writer(shape: Shape) -> json_values.Convert | None:
    if shape.type_name == "timestamp":
        return lambda value: Instant(timestamps.epoch(value))
    if shape.type_name in ("float", "double"):
        return float
    return None


def parser(model: OperationModel) -> Callable[[Exchange], dict[str, Any]]:
    read = json_values.reader(model.input_shape, _READERS) if model.input_shape else None

    def parse(exchange: Exchange) -> dict[str, Any]:
        if not exchange.body or read is None:
            return {}
        try:
            parameters: dict[str, Any] = read(cbor_items.decode(exchange.body))
        except Misfit as misfit:
            raise misfit.refusal() from None
        return parameters

    return parse


def serialiser(model: OperationModel) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    shape = model.output_shape
    if shape is None:
        return lambda exchange, result: Response(200, [_SAID], b"")
    stream = event_streams.member(shape)
    if stream is not None:
        return event_streams.rpc_serialiser(shape, stream, body_writer, CONTENT_TYPE, [_SAID])
    write = body_writer(shape)
    return lambda exchange, result: Response(200, [_SAID, (b"content-type", CONTENT_TYPE)], write(result))


def body_writer(shape: Shape) -> Callable[[Any], bytes]:
    write = json_values.writer(shape, _scalar_writer)
    return lambda value: cbor_items.encode(write(value))


def error(exchange: Exchange, fault: Fault) -> Response:
    headers = [_SAID, (b"content-type", CONTENT_TYPE)]
    if exchange.headers.get(b"x-amzn-query-mode") == b"true":
        headers.append((b"x-amzn-query-error", f"{fault.query_code};{fault.sender}".encode()))
    body: dict[str, Any] = {"__type": fault.code}
    if fault.shape is not None:
        body |= json_values.writer(fault.shape, _scalar_writer)(fault.members)
    body.setdefault("message" if "Message" not in body else "Message", fault.message)
    return Response(fault.status, headers, cbor_items.encode(body))

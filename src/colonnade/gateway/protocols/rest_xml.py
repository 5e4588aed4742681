"""rest-xml: routes, headers and XML bodies. Of our services only S3 speaks it, with corrections of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.outgoing import host_id
from colonnade.gateway.protocols import rest, s3_corrections, xml_values
from colonnade.gateway.protocols.faults import Fault
from colonnade.gateway.protocols.xml_values import clean
from colonnade.kernel.models import OperationModel, Shape

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _reader(shape: Shape, only: frozenset[str] | None) -> Callable[[bytes], Any]:
    read = xml_values.reader(shape, only)
    return lambda body: read(xml_values.parse(body))


def _writer_for(
    namespace: str, timestamp: str
) -> Callable[[Shape, frozenset[str] | None, str], Callable[[Any], bytes]]:
    spaces = f' xmlns="{namespace}"' if namespace else ""

    def writer(shape: Shape, only: frozenset[str] | None, root: str) -> Callable[[Any], bytes]:
        inner = xml_values.writer(shape, only, timestamp=timestamp)
        name = root or shape.serialization.get("name", shape.name)
        return lambda value: f"{_DECLARATION}<{name}{spaces}>{inner(value)}</{name}>".encode()

    return writer


def _codec(model: OperationModel) -> rest.Codec:
    s3 = model.service_model.service_name == "s3"
    namespace = s3_corrections.NAMESPACE if s3 else model.service_model.metadata.get("xmlNamespace", "")
    writer = _writer_for(namespace, "millis" if s3 else "iso8601")
    return rest.Codec(
        _reader, writer, b"application/xml", "InvalidArgument" if s3 else "SerializationException"
    )


def parser(model: OperationModel) -> Callable[[Exchange], dict[str, Any]]:
    parse = rest.parser(model, _codec(model))
    if model.service_model.service_name != "s3":
        return parse
    return lambda exchange: _without_framing(parse(exchange))


def _without_framing(parameters: dict[str, Any]) -> dict[str, Any]:
    """aws-chunked is how the body travelled, not what the object is."""
    encoding = parameters.get("ContentEncoding")
    if encoding is not None and "aws-chunked" in encoding:
        kept = [
            part.strip() for part in encoding.split(",") if part.strip() and part.strip() != "aws-chunked"
        ]
        if kept:
            parameters["ContentEncoding"] = ",".join(kept)
        else:
            del parameters["ContentEncoding"]
    return parameters


def serialiser(model: OperationModel) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    if model.service_model.service_name != "s3":
        return rest.serialiser(model, _codec(model), "")
    if model.name in s3_corrections.LONE_ELEMENTS:
        return _lone(model, s3_corrections.LONE_ELEMENTS[model.name])
    plain = rest.serialiser(model, _codec(model), s3_corrections.ROOTS.get(model.name, ""))
    status = s3_corrections.STATUSES.get(model.name)
    partial = model.name in s3_corrections.PARTIAL

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        response = plain(exchange, result)
        if status is not None:
            response.status = status
        elif partial and result.get("ContentRange"):
            response.status = 206
        return response

    return serialise


def _lone(model: OperationModel, member: str) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    root = f'<{member} xmlns="{s3_corrections.NAMESPACE}"'

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        value = result.get(member)
        text = f"{root}>{clean(value)}</{member}>" if value else f"{root}/>"
        return Response(200, [(b"content-type", b"application/xml")], (_DECLARATION + text).encode())

    return serialise


def error(exchange: Exchange, fault: Fault) -> Response:
    """S3's bare `<Error>`; nothing where HTTP allows no body, but what has not changed still has its headers."""
    if fault.status == 304 and exchange.plan is not None and exchange.plan.model.output_shape is not None:
        return Response(
            fault.status, rest.header_writer(exchange.plan.model.output_shape)(fault.members), b""
        )
    headers = _marker_headers(fault.members)
    if exchange.method == "HEAD":
        return Response(fault.status, headers, b"")
    members = {"Code": fault.query_code, "Message": fault.message}
    members |= {name: str(value) for name, value in fault.members.items() if name.lower() != "message"}
    members.setdefault("Resource", exchange.path)
    members |= {"RequestId": exchange.request_id, "HostId": host_id(exchange)}
    inner = "".join(f"<{name}>{clean(value)}</{name}>" for name, value in members.items())
    body = f"{_DECLARATION}<Error>{inner}</Error>"
    return Response(fault.status, [(b"content-type", b"application/xml"), *headers], body.encode())


def _marker_headers(members: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """A key that a delete marker hides is told apart from one that never was by headers, in refusals too."""
    if not members.get("DeleteMarker"):
        return []
    return [(b"x-amz-delete-marker", b"true"), (b"x-amz-version-id", str(members["VersionId"]).encode())]

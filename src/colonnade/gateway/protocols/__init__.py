"""The wire protocols, one file each. Every one has

- `parser(model)`: a function from an exchange to parameters,
- `serialiser(model)`: a function from an exchange and a result to a response,
- `error(exchange, fault)`: a fault in the protocol's own shape.

Both compile an operation's shapes once; plans.py keeps what they return. Shapes alone drive them: nothing here knows an
operation by name except s3_corrections.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols.faults import Fault
from colonnade.kernel.models import OperationModel

Parse = Callable[[Exchange], dict[str, Any]]
Serialise = Callable[[Exchange, Mapping[str, Any]], Response]


class WireProtocol(Protocol):
    def parser(self, model: OperationModel) -> Parse: ...

    def serialiser(self, model: OperationModel) -> Serialise: ...

    def error(self, exchange: Exchange, fault: Fault) -> Response: ...


_MODULES = {
    "json": "json",
    "rest-json": "rest_json",
    "rest-xml": "rest_xml",
    "query": "query",
    "smithy-rpc-v2-cbor": "cbor",
}


def named(protocol: str) -> WireProtocol:
    """By botocore's name for it. Raises KeyError for one that we do not speak."""
    return cast(WireProtocol, import_module(f"{__name__}.{_MODULES[protocol]}"))

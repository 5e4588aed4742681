"""Colonnade's own paths, below `/_colonnade/`: S3's path style owns every other first segment.

`@own("GET", "/_colonnade/health")` marks an async function; a path ending in `/*` takes everything below. Other packages add
theirs (reset, clock, metrics, console) by importing this, never by editing it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from colonnade import __version__
from colonnade.gateway.exchange import Response
from colonnade.kernel.platform import Platform

PREFIX = "/_colonnade/"


@dataclass(frozen=True, slots=True)
class OwnRequest:
    platform: Platform
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes
    source: str


OwnHandler = Callable[[OwnRequest], Awaitable[Response]]
_handlers: dict[tuple[str, str], OwnHandler] = {}


def own(method: str, path: str) -> Callable[[OwnHandler], OwnHandler]:
    if not path.startswith(PREFIX):
        raise ValueError(f"our own paths begin with {PREFIX}: {path!r}")

    def register(handler: OwnHandler) -> OwnHandler:
        if (method, path) in _handlers:
            raise ValueError(f"{method} {path} has a handler already: {_handlers[method, path].__module__}")
        _handlers[method, path] = handler
        return handler

    return register


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, [(b"content-type", b"application/json")], msgspec.json.encode(value))


async def answer(request: OwnRequest) -> Response:
    handler = _find("GET" if request.method == "HEAD" else request.method, request.path)
    if handler is None:
        known = sorted({path for _, path in _handlers})
        return json_response({"message": f"no {request.method} {request.path} here", "paths": known}, 404)
    return await handler(request)


def _find(method: str, path: str) -> OwnHandler | None:
    if (method, path) in _handlers:
        return _handlers[method, path]
    while len(path) > len(PREFIX):
        path = path.rstrip("/").rpartition("/")[0] + "/"
        if (method, path + "*") in _handlers:
            return _handlers[method, path + "*"]
    return None


@own("GET", "/_colonnade/health")
async def health(request: OwnRequest) -> Response:
    return json_response({"status": "ok", "version": __version__})

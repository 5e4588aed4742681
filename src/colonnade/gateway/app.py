"""The ASGI application: a scope and its messages become an Exchange, its Response becomes messages.

Raw ASGI, since this is the hot path of inference. Run it on uvicorn with uvloop and httptools. `raw_path` is used throughout:
a decoded path has lost what S3 keys and Lambda ARNs need.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from colonnade.gateway import (
    ephemeral,  # noqa: F401 - being imported is how its paths are found
    errors,
    failures,
    metrics,  # noqa: F401
    own,
    sns,  # noqa: F401
    work_credentials,  # noqa: F401
)
from colonnade.gateway.body import Disconnected, TooLarge, read_all
from colonnade.gateway.chain import walk
from colonnade.gateway.connection import EXTENSION
from colonnade.gateway.exchange import Exchange, Receive, Response, Send
from colonnade.gateway.handlers.identify import claimed_signature
from colonnade.gateway.outgoing import send_response
from colonnade.gateway.plans import BODY_LIMIT
from colonnade.gateway.refusals import refusal
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.measures import Measures
from colonnade.kernel.platform import Platform

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
Pools = tuple[ThreadPoolExecutor, ThreadPoolExecutor]
"""For operations, and for those whose bodies have yet to come."""


def build(
    platform: Platform,
    *,
    default_region: str = "us-east-1",
    threads: int = 24,
    uploads: int = 64,
    bucket_hosts: Sequence[str] = (),
) -> Application:
    """`bucket_hosts` are the suffixes under which a host name's first part is a bucket (`localhost`, `s3.example.org`)."""
    pools = (
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="operation"),
        ThreadPoolExecutor(max_workers=uploads, thread_name_prefix="upload"),
    )
    measures = platform.the(Measures) if platform.has(Measures) else Measures()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if "extensions" in scope:
                exchange = _exchange(platform, pools, scope, receive, default_region, ())
                await send_response(exchange, _refused(exchange, scope), send)
            elif scope["raw_path"].startswith(b"/_colonnade/"):
                await _own(platform, scope, receive, send)
            else:
                exchange = _exchange(platform, pools, scope, receive, default_region, bucket_hosts)
                await _serve(exchange, measures, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send, pools)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})

    return application


def _refused(exchange: Exchange, scope: Scope) -> Response:
    """What `connection` could not take for a request, in the words of whom it seems to be meant for."""
    with suppress(ServiceError):
        exchange.signature = claimed_signature(exchange)
    return errors.answer(exchange, refusal(exchange, scope["extensions"][EXTENSION]))


async def _serve(exchange: Exchange, measures: Measures, send: Send) -> None:
    began = perf_counter()
    try:
        response = await _answer(exchange, began)
        if response is not None:
            await send_response(exchange, response, send)
            plan = exchange.plan
            service, operation = (plan.service, plan.operation) if plan is not None else ("", "")
            measures.request(service, operation, response.status, perf_counter() - began)
    finally:
        if exchange.stream is not None:
            exchange.stream.abandon()


async def _answer(exchange: Exchange, began: float) -> Response | None:
    """None when nobody is there any more to be answered."""
    try:
        await walk(exchange)
    except Disconnected:
        return None
    except Exception as error:  # noqa: BLE001 - the one place where accidents become answers; logged there
        response = errors.answer(exchange, error)
        failures.tell(exchange, error, response, perf_counter() - began)
        return response
    return exchange.response


def _exchange(
    platform: Platform,
    pools: Pools,
    scope: Scope,
    receive: Receive,
    default_region: str,
    bucket_hosts: Sequence[str],
) -> Exchange:
    pairs = scope["headers"]
    headers: dict[bytes, bytes] = dict(pairs)
    if len(headers) != len(pairs):
        headers = _joined(pairs)
    client = scope.get("client")
    raw_path = scope["raw_path"].decode("latin-1")
    return Exchange(
        platform=platform,
        pool=pools[0],
        uploads=pools[1],
        receive=receive,
        request_id=platform.ids.uuid(),
        method=scope["method"],
        raw_path=raw_path,
        path=_with_bucket(raw_path, headers, bucket_hosts) if bucket_hosts else raw_path,
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        source=client[0] if client else "",
        default_region=default_region,
    )


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers that are given more than once are one list, as HTTP and signatures have it."""
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


def _with_bucket(raw_path: str, headers: dict[bytes, bytes], bucket_hosts: Sequence[str]) -> str:
    host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].lower()
    for suffix in bucket_hosts:
        if host.endswith("." + suffix):
            return f"/{host[: -len(suffix) - 1]}{raw_path}"
    return raw_path


async def _own(platform: Platform, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        request = own.OwnRequest(
            platform=platform,
            method=scope["method"],
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=dict(scope["headers"]),
            body=await read_all(receive, BODY_LIMIT),
            source=scope["client"][0] if scope.get("client") else "",
        )
        response = await own.answer(request)
    except Disconnected:
        return
    except TooLarge:
        response = own.json_response({"message": f"at most {BODY_LIMIT} bytes"}, 413)
    except Exception:
        log.exception("%s %s failed", scope["method"], scope["path"])
        response = own.json_response({"message": "internal failure; the server's log has it"}, 500)
    await _send_own(response, send)


async def _send_own(response: Response, send: Send) -> None:
    assert isinstance(response.body, bytes)
    length = (b"content-length", str(len(response.body)).encode())
    await send(
        {"type": "http.response.start", "status": response.status, "headers": [*response.headers, length]}
    )
    await send({"type": "http.response.body", "body": response.body})


async def _lifespan(receive: Receive, send: Send, pools: Pools) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            await send({"type": "lifespan.shutdown.complete"})
            return

"""The ASGI application: a scope and its messages become an Exchange, its Response becomes messages.

Raw ASGI, since this is the hot path of inference. Run it on uvicorn with uvloop and httptools, and with `connection`, which asks it to
answer small requests at once before it makes a task of them. `raw_path` is used throughout: a decoded path has lost what S3 keys and
Lambda ARNs need.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from colonnade.gateway import (
    cross_origin,
    endpoints,  # noqa: F401
    ephemeral,  # noqa: F401 - being imported is how its paths are found
    errors,
    failures,
    metrics,  # noqa: F401
    own,
    post_form,
    sns,  # noqa: F401
    work_credentials,  # noqa: F401
)
from colonnade.gateway.body import Disconnected, TooLarge, read_all
from colonnade.gateway.chain import walk, walk_at_once
from colonnade.gateway.connection import BEGUN, EXTENSION
from colonnade.gateway.exchange import Exchange, Message, Receive, Response, Send
from colonnade.gateway.handlers.identify import claimed_signature
from colonnade.gateway.outgoing import send_response
from colonnade.gateway.overload import Overload
from colonnade.gateway.plans import BODY_LIMIT
from colonnade.gateway.refusals import refusal
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.measures import Measures
from colonnade.kernel.platform import Platform

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Pairs = Sequence[tuple[bytes, bytes]]
_OWN = own.PREFIX.encode()


def build(
    platform: Platform,
    *,
    default_region: str = "us-east-1",
    threads: int = 24,
    uploads: int = 64,
    bucket_hosts: Sequence[str] = (),
) -> Application:
    """`bucket_hosts` are the suffixes under which a host name's first part is a bucket (`localhost`, `s3.example.org`)."""
    return Application(platform, default_region, threads, uploads, tuple(bucket_hosts))


class Application:
    def __init__(
        self,
        platform: Platform,
        default_region: str,
        threads: int,
        uploads: int,
        bucket_hosts: tuple[str, ...],
    ) -> None:
        self._platform = platform
        self._default_region = default_region
        self._bucket_hosts = bucket_hosts
        self._operations = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="operation")
        self._uploads = ThreadPoolExecutor(max_workers=uploads, thread_name_prefix="upload")
        """For operations whose bodies have yet to come."""
        self._overload = Overload()
        self._measures = platform.the(Measures) if platform.has(Measures) else Measures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if "extensions" in scope:
                await self._answer_extension(scope, receive, send)
            elif scope["raw_path"].startswith(_OWN):
                await _own(self._platform, scope, receive, send)
            else:
                await self._serve(self._exchange(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})

    def answer_at_once(
        self, method: str, raw_path: bytes, query: bytes, pairs: Pairs, body: bytes, source: str
    ) -> Exchange | None:
        """A request whose body came with its head, without waiting and without a task of its own. Its `response` is None when
        that did not suffice: then the exchange goes on as `scope["extensions"][BEGUN]`. None for our own paths."""
        if raw_path.startswith(_OWN):
            return None
        exchange = self._new_exchange(method, raw_path, query, pairs, _nothing_to_receive, source)
        exchange.whole = body
        if post_form.is_one(exchange) or b"origin" in exchange.headers:
            return exchange
        try:
            if not walk_at_once(exchange):
                return exchange
        except Exception as error:  # noqa: BLE001 - see _answer
            exchange.response = _failed(exchange, error)
        if exchange.response is not None and isinstance(exchange.response.body, bytes):
            self._count(exchange)
        return exchange

    def refuse_at_once(self, data: bytes, call_soon: Callable[..., object]) -> bytes | None:
        """The answer to a call of an endpoint that came in too long a turn of the event loop; None: go on with it."""
        refusal = self._overload.refusal(data, call_soon)
        if refusal is not None:
            self._measures.request("sagemaker-runtime", "InvokeEndpoint", 503, 0.0)
        return refusal

    async def _answer_extension(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What `connection` adds to ASGI: a request that was begun already, or what it could not take for a request, which is
        refused in the words of whom it seems to be meant for."""
        begun: Exchange | None = scope["extensions"].get(BEGUN)
        if begun is not None:
            begun.receive = receive
            await self._serve(begun, send)
            return
        exchange = self._exchange(scope, receive)
        with suppress(ServiceError):
            exchange.signature = claimed_signature(exchange)
        exchange.response = errors.answer(exchange, refusal(exchange, scope["extensions"][EXTENSION]))
        await send_response(exchange, exchange.response, send)
        self._count(exchange)

    async def _serve(self, exchange: Exchange, send: Send) -> None:
        try:
            if exchange.response is None and cross_origin.is_preflight(exchange):
                exchange.response = cross_origin.preflight(exchange)
            elif exchange.response is None:
                await _answer(exchange)
                if b"origin" in exchange.headers:
                    cross_origin.dress(exchange)
            if exchange.response is not None:
                await send_response(exchange, exchange.response, send)
                self._count(exchange)
        finally:
            if exchange.stream is not None:
                exchange.stream.abandon()

    def _count(self, exchange: Exchange) -> None:
        assert exchange.response is not None
        plan = exchange.plan
        service, operation = (plan.service, plan.operation) if plan is not None else ("", "")
        self._measures.request(service, operation, exchange.response.status, perf_counter() - exchange.began)

    def _exchange(self, scope: Scope, receive: Receive) -> Exchange:
        client = scope.get("client")
        return self._new_exchange(
            scope["method"],
            scope["raw_path"],
            scope["query_string"],
            scope["headers"],
            receive,
            client[0] if client else "",
        )

    def _new_exchange(
        self, method: str, raw_path: bytes, query: bytes, pairs: Pairs, receive: Receive, source: str
    ) -> Exchange:
        headers: dict[bytes, bytes] = dict(pairs)
        if len(headers) != len(pairs):
            headers = _joined(pairs)
        path = raw_path.decode("latin-1")
        return Exchange(
            platform=self._platform,
            pool=self._operations,
            uploads=self._uploads,
            receive=receive,
            request_id=self._platform.ids.uuid(),
            method=method,
            raw_path=path,
            path=_with_bucket(path, headers, self._bucket_hosts) if self._bucket_hosts else path,
            query=query.decode("latin-1"),
            headers=headers,
            source=source,
            default_region=self._default_region,
            began=perf_counter(),
        )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                for pool in (self._operations, self._uploads):
                    pool.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _nothing_to_receive() -> Message:
    raise RuntimeError("the whole body of this request came with its head")


async def _answer(exchange: Exchange) -> None:
    """Without a response when nobody is there any more to be answered."""
    try:
        await walk(exchange)
    except Disconnected:
        return
    except Exception as error:  # noqa: BLE001 - the one place where accidents become answers; logged there
        exchange.response = _failed(exchange, error)


def _failed(exchange: Exchange, error: Exception) -> Response:
    response = errors.answer(exchange, error)
    failures.tell(exchange, error, response, perf_counter() - exchange.began)
    return response


def _joined(pairs: Pairs) -> dict[bytes, bytes]:
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

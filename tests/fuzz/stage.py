"""The whole application in this process, as a server has it but without a socket: memory store, files in a folder, no driver.

It is called as uvicorn would call it, and held to what uvicorn holds it to.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colonnade import app as composition
from colonnade.cloud.iam.principals import StoredPrincipals
from colonnade.cloud.kms.service_keys import StoredKeys
from colonnade.cloud.logs.streams import FileLogStreams
from colonnade.cloud.s3.storage import S3Storage
from colonnade.cloud.sns.publishing import StoredNotifications
from colonnade.gateway import app, errors, failures, sigv4
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import (
    Backlogs,
    Credential,
    Keys,
    LogStreams,
    Notifications,
    Principal,
    Principals,
    ServerAddress,
    Storage,
)
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store.memory import MemoryStore
from colonnade.objects import ObjectStore
from colonnade.objects.memory import MemoryObjects
from colonnade.serving.asynchronous.backlog import StoredBacklogs
from colonnade.serving.router import Router
from colonnade.timeseries.database import Timeseries

ACCOUNT, REGION = "123456789012", "us-east-1"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "root", f"arn:aws:iam::{ACCOUNT}:root")
KEY, SECRET = "AKIAEXAMPLEEXAMPLE00", "the-secret-of-the-root-user"
HOST = "127.0.0.1:4566"
_BAD_NAME = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\\[\]={} \t"]')
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass
class Request:
    """One that can be signed yet. `target` is path and query as they travel."""

    scope: str
    """The signing name; empty: unsigned."""
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    framed: str = ""
    """What `x-amz-content-sha256` claims instead of the digest."""
    spoilt: tuple[str, str] | None = None
    """A header that is replaced after signing."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    seconds: float
    """Of this process's own time: the machine may have other things to do."""
    accident: str
    """The traceback that was logged."""


class Stage:
    def __init__(self, folder: Path) -> None:
        self._platform = Platform(
            store=MemoryStore(), clock=SystemClock(), ids=SeededIds(1), signals=LocalSignals()
        )
        root = Credential(KEY, SECRET, None, None, ROOT)
        store, clock, signals = self._platform.store, self._platform.clock, self._platform.signals
        for kind, part in (
            (Principals, StoredPrincipals(store, clock, root, signals=signals, lenient=True)),
            (ObjectStore, MemoryObjects()),
            (LogStreams, FileLogStreams(folder / "logs", clock)),
            (Router, Router(seed=1, deadline=0.05)),
            (ServerAddress, ServerAddress(f"http://{HOST}")),
            (Keys, StoredKeys(self._platform, lambda: b"m" * 32)),
            (Notifications, StoredNotifications(self._platform)),
            (Backlogs, StoredBacklogs(self._platform)),
        ):
            self._platform.provide(kind, part)
        self._metrics = Timeseries(folder / "metrics.db")
        self._platform.provide(Timeseries, self._metrics)
        self._platform.provide(Storage, S3Storage(self._platform))
        composition.load_operations()
        self._application = app.build(self._platform, threads=4)
        self._loop = asyncio.new_event_loop()

    def ask(self, request: Request) -> Answer:
        return self._loop.run_until_complete(asyncio.wait_for(self._ask(request), 60))

    def close(self) -> None:
        self._loop.run_until_complete(self._stop())
        self._loop.close()
        self._metrics.close()

    async def _stop(self) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.shutdown"}

        async def send(message: Any) -> None:
            return None

        await self._application({"type": "lifespan"}, receive, send)

    async def _ask(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        scope = {
            "type": "http",
            "method": request.method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": arriving(request),
            "client": ("127.0.0.1", 1),
        }
        half = len(request.body) // 2
        messages = [
            {"type": "http.request", "body": request.body[:half], "more_body": True},
            {"type": "http.request", "body": request.body[half:], "more_body": False},
        ]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        began = time.process_time()
        with accidents() as seen:
            await self._application(scope, receive, send)
        seconds = time.process_time() - began
        assert sent, "nothing was answered"
        _as_uvicorn_would(request.method, sent)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), body, seconds, "\n".join(seen))


def arriving(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers as they come off the wire, the signature among them."""
    headers = {"Host": HOST, "Content-Length": str(len(request.body))} | request.headers
    if request.scope:
        headers |= signed(request, headers)
    if request.spoilt:
        headers[request.spoilt[0]] = request.spoilt[1]
    headers = {name: value for name, value in headers.items() if not _BAD_NAME.search(name.encode())}
    return [(name.lower().encode(), _travelling(value)) for name, value in headers.items()]


def signed(request: Request, headers: Mapping[str, str]) -> dict[str, str]:
    """Our own signer, for its speed: that it agrees with botocore's is proved elsewhere."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    s3 = request.scope == "s3"
    digest = request.framed or sigv4.hashlib.sha256(request.body).hexdigest()
    added = {"X-Amz-Date": now, "x-amz-content-sha256": digest}
    covered = {name.lower().encode(): _travelling(value) for name, value in (dict(headers) | added).items()}
    covered.pop(b"content-length", None)
    names = tuple(sorted(name.decode() for name in covered))
    path, _, query = request.target.partition("?")
    text = sigv4.canonical_request(
        request.method,
        sigv4.canonical_path(path, s3=s3),
        sigv4.canonical_query(query),
        covered,
        names,
        digest,
    )
    scope = f"{now[:8]}/{REGION}/{request.scope}/aws4_request"
    key = sigv4.signing_key(SECRET, now[:8], REGION, request.scope)
    claim = f"Credential={KEY}/{scope}, SignedHeaders={';'.join(names)}"
    return added | {
        "Authorization": f"{sigv4.ALGORITHM} {claim}, Signature={sigv4.signature(key, now, scope, text)}"
    }


def _as_uvicorn_would(method: str, sent: list[MutableMapping[str, Any]]) -> None:
    """What uvicorn would answer with a bare 500, or cut off."""
    start, *parts = sent
    assert start["type"] == "http.response.start"
    assert parts, "an answer without a body message"
    assert not parts[-1].get("more_body"), "the answer was not brought to its end"
    length = None
    for name, value in start["headers"]:
        assert not _BAD_NAME.search(name), f"a header named {name!r}"
        assert not _BAD_VALUE.search(value), f"the header {name!r} holds {value!r}"
        length = int(value) if name == b"content-length" else length
    size = sum(len(part.get("body", b"")) for part in parts)
    if method != "HEAD" and start["status"] not in (204, 304):
        assert length == size, f"content-length {length}, but {size} bytes"


@contextmanager
def accidents() -> Iterator[list[str]]:
    seen: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                seen.append("".join(traceback.format_exception(record.exc_info[1])))

    handler = Handler()
    errors.log.addHandler(handler)
    was, errors.log.propagate = errors.log.propagate, False
    told, failures.log.disabled = failures.log.disabled, True  # thousands of lines that nobody reads
    try:
        yield seen
    finally:
        failures.log.disabled = told
        errors.log.removeHandler(handler)
        errors.log.propagate = was


def _travelling(value: str) -> bytes:
    """As one byte each where that can be, without what llhttp refuses."""
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raw = value.encode("utf-8", "replace")
    return _BAD_VALUE.sub(b"", raw).strip()

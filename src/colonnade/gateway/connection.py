"""One client's connection: uvicorn's HTTP protocol, with the patience and the limits that it does not have.

Whoever writes no whole head, sends a body by the drop or reads no answer is let go after a while, so that connections and
memory last. What is wrong with HTTP itself is answered like any other refusal: the application is asked for the words, by
`scope["extensions"]["colonnade.refusal"]`.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from colonnade.gateway.refusals import Refusal

EXTENSION = "colonnade.refusal"


class Connection(HttpToolsProtocol):
    """Looks at itself every few seconds; between looks it only counts, since this is the hot path of inference."""

    LOOK_SECONDS = 5.0
    HEAD_SECONDS = 20.0
    """From a request's first byte to the end of its head."""
    IDLE_SECONDS = 75.0
    """Between requests, and before the first one."""
    BODY_SECONDS = 60.0
    """For the next `BODY_LEAST` bytes of a body, while we are ready to take them."""
    BODY_LEAST = 1024
    DRAIN_SECONDS = 60.0
    """For what is left of a body that was refused unread."""
    READER_SECONDS = 600.0
    """For a client that takes nothing of its answer: it may be training on what it has."""
    MOST_HEAD = 64 * 1024
    MOST_HEADERS = 200

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heard = self._answered = self.loop.time()
        self._received = 0
        self._mark = (self._heard, 0)
        self._head_since: float | None = None
        self._head_from = self._head_starts_at = self._head_counted_from = 0
        self._in_message = False
        self._stalled_since: float | None = None
        self._refused = False
        self._watch: TimerHandle = self.loop.call_later(self.LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    # What arrives

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._heard = self.loop.time()
        before = self._received
        while data and not self._refused:
            self._received += len(data)
            data = self._fed(data)
        if self._head_since is None or self._refused:
            return
        if self._head_from >= before:
            self._head_counted_from = self._received  # How much of this was head, the parser does not say.
        elif self._received - self._head_counted_from > self.MOST_HEAD:
            self._refuse(Refusal.HEAD_TOO_LARGE)

    def _fed(self, data: bytes) -> bytes:
        """What is left to feed: a request to upgrade is answered like any other, and the next may follow it."""
        self._head_starts_at = self._received - len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            self._received -= len(rest)
            return rest
        except httptools.HttpParserError as error:
            large = isinstance(error.__context__, _HeadTooLarge)
            self._refuse(Refusal.HEAD_TOO_LARGE if large else Refusal.MALFORMED)
        return b""

    def on_message_begin(self) -> None:
        self._in_message = True
        self._head_since = self._heard
        self._head_from = self._head_starts_at
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > self.MOST_HEADERS or (
            self._received - self._head_from > self.MOST_HEAD and self._head_size() > self.MOST_HEAD
        ):
            raise _HeadTooLarge
        self._mark = (self._heard, self._received)
        super().on_headers_complete()
        self._head_since = None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answered = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    # What does not

    def _look(self) -> None:
        now = self.loop.time()
        if self._stalled_since is not None and now - self._stalled_since > self.READER_SECONDS:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(self.LOOK_SECONDS, self._look)
        if self.transport.is_closing() or self._refused:
            return
        if self._head_since is not None:
            if now - self._head_since > self.HEAD_SECONDS:
                self._refuse(Refusal.TIMEOUT)
        elif self.cycle is None or self.cycle.response_complete:
            late = self._in_message and now - self._answered > self.DRAIN_SECONDS
            if late or now - self._heard > self.IDLE_SECONDS:
                self.transport.close()
        elif self.cycle.more_body:
            self._look_at_body(now)

    def _look_at_body(self, now: float) -> None:
        since, received = self._mark
        ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if ours or self._received - received >= self.BODY_LEAST:
            self._mark = (now, self._received)
        elif now - since > self.BODY_SECONDS:
            self._refuse(Refusal.TIMEOUT)

    # Refusing

    def send_400_response(self, msg: str) -> None:
        self._refuse(Refusal.MALFORMED)

    def _refuse(self, kind: Refusal) -> None:
        """Say so once, if that can still be told apart from an answer under way, and hang up."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._head_since is not None:
                cycle.keep_alive = False  # What is wrong came after it: it is answered yet.
                return
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self._answer(kind)

    def _answer(self, kind: Refusal) -> None:
        begun: Any = self.scope  # None before the first request
        scope: Any = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [],
            "client": self.client,
            **(begun or {}),
            "extensions": {EXTENSION: kind},
        }
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)


class _HeadTooLarge(Exception):  # noqa: N818 - caught where it is fed
    pass


def configuration(application: Any, *, connection: type[Connection] = Connection) -> uvicorn.Config:
    """How uvicorn is to serve the application, in production and in tests."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # X-Forwarded-For would let any client on this machine choose its aws:SourceIp.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=int(Connection.IDLE_SECONDS),
        timeout_graceful_shutdown=10,
        backlog=2048,
    )

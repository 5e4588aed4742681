"""One client's connection: uvicorn's HTTP protocol, with the patience and the limits that it does not have.

Whoever writes no whole head, sends a body by the drop or reads no answer is let go after a while, so that connections and
memory last. What is wrong with HTTP itself is answered like any other refusal: the application is asked for the words, by
`scope["extensions"]["colonnade.refusal"]`.

A small request is kept until its body is there, and then shown to the application before anything is made for it: most are answered
at once (`Application.answer_at_once`), in the callback that brought the last byte and in one write. The others go on as ASGI
has it, with what was found out about them so far in `scope["extensions"]["colonnade.begun"]`.
"""

from __future__ import annotations

import asyncio
import re
from asyncio.events import TimerHandle
from typing import TYPE_CHECKING, Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from colonnade.gateway.outgoing import complete
from colonnade.gateway.refusals import Refusal

if TYPE_CHECKING:
    from colonnade.gateway.exchange import Exchange, Response

EXTENSION = "colonnade.refusal"
BEGUN = "colonnade.begun"
_NEVER_IN_A_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


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
    MOST_AT_ONCE = 64 * 1024
    """Bytes of a body up to which a request is kept until it is whole."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heard = self._answered = self.loop.time()
        self._received = 0
        self._mark = (self._heard, 0)
        self._head_since: float | None = None
        self._head_from = self._head_starts_at = self._head_counted_from = 0
        self._in_message = False
        self._stalled_since: float | None = None
        self._refused = self._leaving = False
        self._at_once = getattr(self.app, "answer_at_once", None)
        self._overloaded = getattr(self.app, "refuse_at_once", None)
        self._kept: bytes | None = None
        """The body so far of a request that nothing was made for yet."""
        self._source = self.client[0] if self.client else ""
        self._watch: TimerHandle = self.loop.call_later(self.LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    # What arrives

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        if self._overloaded is not None and self._is_between_messages():
            refusal = self._overloaded(data, self.loop.call_soon)
            if refusal is not None:
                self._answered = self._heard
                self.transport.write(refusal)
                return
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

    def _is_between_messages(self) -> bool:
        cycle = self.cycle
        return not self._in_message and not self._refused and (cycle is None or cycle.response_complete)

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
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = None  # type: ignore[assignment]  # made when somebody wants it

    def on_headers_complete(self) -> None:
        if len(self.headers) > self.MOST_HEADERS or (
            self._received - self._head_from > self.MOST_HEAD and self._head_size() > self.MOST_HEAD
        ):
            raise _HeadTooLarge
        self._mark = (self._heard, self._received)
        if self._may_be_kept():
            self._kept = b""
        else:
            self._make_scope()
            super().on_headers_complete()
        self._head_since = None

    def _may_be_kept(self) -> bool:
        cycle = self.cycle
        if (
            self._at_once is None
            or self.expect_100_continue
            or (cycle is not None and not cycle.response_complete)
            or self.flow.write_paused
            or self.parser.should_upgrade()
        ):
            return False
        for name, value in self.headers:
            if name == b"transfer-encoding":
                return False
            if name == b"content-length" and (len(value) > 9 or int(value) > self.MOST_AT_ONCE):
                return False
        return True

    def on_body(self, body: bytes) -> None:
        if self._kept is None:
            super().on_body(body)
        else:
            self._kept = self._kept + body if self._kept else body

    def _make_scope(self) -> None:
        """As uvicorn does at each request's begin."""
        begun = (self.url, self.headers, self.expect_100_continue)
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = begun
        self.scope["headers"] = self.headers

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_message_complete(self) -> None:
        self._in_message = False
        if self._kept is None:
            super().on_message_complete()
            return
        body, self._kept = self._kept, None
        if self.transport.is_closing():
            return
        assert self._at_once is not None
        path, query = self._target()
        method = self.parser.get_method().decode("ascii")
        exchange = self._at_once(method, path, query, self.headers, body, self._source)
        response = exchange.response if exchange is not None else None
        if exchange is None or response is None or not self._write(exchange, response):
            self._go_on(exchange, body)

    def _target(self) -> tuple[bytes, bytes]:
        path, _, query = self.url.partition(b"?")
        if path.startswith(b"/") and b"#" not in self.url:
            return path, query
        parsed = httptools.parse_url(self.url)
        return parsed.path, parsed.query or b""

    def _go_on(self, exchange: Exchange | None, body: bytes) -> None:
        """The ordinary way, with a task."""
        self._make_scope()
        if exchange is not None:
            extensions: Any = {BEGUN: exchange}
            self.scope["extensions"] = extensions
        super().on_headers_complete()
        self.cycle.body += body
        self.cycle.keep_alive = self.cycle.keep_alive and not self._leaving
        super().on_message_complete()

    def _write(self, exchange: Exchange, response: Response) -> bool:
        """The whole answer, as uvicorn would write it; False for one that comes in pieces, or that uvicorn would not write."""
        headers, body = response.headers, response.body
        if not isinstance(body, bytes) or _NEVER_IN_A_HEADER.search(
            b"".join([value for _, value in headers])
        ):
            return False
        rest = complete(exchange, response, body)
        keeps = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        parts = [STATUS_LINE[response.status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if keeps else b"connection: close\r\n\r\n", rest)
        self.transport.write(b"".join(parts))
        self._answered = self._heard
        self.server_state.total_requests += 1
        if not keeps or self._leaving:
            self.transport.close()
        return True

    def shutdown(self) -> None:
        """Also a request that is not whole yet is answered."""
        self._leaving = True
        if self._kept is None:
            super().shutdown()

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer for each response: `_look` sees to idle connections."""
        self._answered = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

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
        if self._kept is not None:
            self._look_at_body(now, ours=False)
        elif self._head_since is not None:
            if now - self._head_since > self.HEAD_SECONDS:
                self._refuse(Refusal.TIMEOUT)
        elif self.cycle is None or self.cycle.response_complete:
            late = self._in_message and now - self._answered > self.DRAIN_SECONDS
            if late or now - self._heard > self.IDLE_SECONDS:
                self.transport.close()
        elif self.cycle.more_body:
            self._look_at_body(now, ours=self.flow.read_paused or self.cycle.waiting_for_100_continue)

    def _look_at_body(self, now: float, *, ours: bool) -> None:
        since, received = self._mark
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
        scope_now: Any = self.scope
        if scope_now is None and self.url is not None:
            self._make_scope()
        if self._kept is not None:
            self._kept = None
            path, query = self._target()
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["raw_path"], self.scope["query_string"] = path, query
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

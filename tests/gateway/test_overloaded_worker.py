"""A worker that has more calls than it can answer in time, with real sockets: it answers those it can and refuses the others."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from colonnade.gateway.connection import configuration
from colonnade.gateway.overload import LONGEST, Overload

CALLS = 120
REQUEST = b"POST /endpoints/demo/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1,2"


class Slow:
    """An application that takes its time for each call, on the event loop, as a prediction does."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.stands = threading.Event()
        self._overload = Overload()

    def answer_at_once(self, *_: Any) -> None:
        if not self.go.is_set():
            self.stands.set()
            assert self.go.wait(60)
        time.sleep(2 * LONGEST / (CALLS / 2))

    def refuse_at_once(self, data: bytes, call_soon: Any) -> bytes | None:
        return self._overload.refusal(data, call_soon)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def slow() -> Iterator[tuple[Slow, int]]:
    application, listener = Slow(), socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configuration(application))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield application, listener.getsockname()[1]
    application.go.set()
    server.should_exit = True
    thread.join(60)
    listener.close()


def test_what_cannot_be_answered_in_time_is_refused_and_the_rest_is_answered(slow: tuple[Slow, int]) -> None:
    application, port = slow
    clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(CALLS)]
    for client in clients:
        client.sendall(REQUEST)
        assert status(client) == 200
    application.go.clear()
    clients[0].sendall(REQUEST)
    assert application.stands.wait(60)
    for client in clients[1:]:
        client.sendall(REQUEST)
    application.go.set()

    seen = Counter(status(client) for client in clients)

    assert set(seen) == {200, 503}
    assert seen[200] >= 16
    for client in clients:  # every connection goes on
        client.sendall(REQUEST)
        assert status(client) == 200
        client.close()


def status(client: socket.socket) -> int:
    assert select.select([client], [], [], 60)[0]
    head = client.recv(65536)
    if head.startswith(b"HTTP/1.1 503"):
        assert b"\r\nretry-after: 1\r\n" in head
    return int(head[9:12])

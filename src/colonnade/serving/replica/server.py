"""The loop of a replica: requests off the socket, one at a time to the model, answers back in order.

One thread, because user code is rarely written for several, and because answers must come in order anyway. The socket is
bound only once the model is there, so whoever connects finds it ready. After SIGTERM no new connection is taken; it ends
when those that exist have been closed, so a worker that switches away loses nothing.

An answer in parts goes out as the model makes them. While its reader takes none, the model waits; when its reader has gone, the
generator is closed. Pings are answered between parts, everything else after the last one.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import traceback
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from colonnade.serving.frames import (
    BEGUN,
    PART,
    PING,
    STREAM,
    Answer,
    FrameError,
    Request,
    Requests,
    pack_answer,
)

_CHUNK = 256 * 1024
_LONGEST_PART = 1 << 20
"""Bytes of a frame; larger parts go out as several."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a STREAM may be answered by: the first part is there."""

    content_type: str
    custom_attributes: str
    pieces: Generator[bytes, None, None]


Handle = Callable[[Request], Answer | Parts]


def listen(address: str) -> socket.socket:
    """`address` is a path. A socket left behind by a process that was killed is taken over."""
    with contextlib.suppress(FileNotFoundError):
        Path(address).unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    # Workers connect as another user than the one that user code runs as; the folder around it keeps strangers out.
    Path(address).chmod(0o666)
    listener.listen(128)
    return listener


class Server:
    def __init__(self, listener: socket.socket, handle: Handle) -> None:
        self._listener = listener
        self._handle = handle
        self._selector = selectors.DefaultSelector()
        self._open: dict[socket.socket, Requests] = {}
        self._asked: deque[tuple[socket.socket, Request]] = deque()
        self._awake, self._waker = socket.socketpair()
        self._stopping = False

    def run(self) -> None:
        """Serve until SIGTERM, or SIGINT, and then until the last connection has gone."""
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while self._open or not self._stopping:
            self._look(0 if self._asked else None)
            if self._asked:
                self._work_on(*self._asked.popleft())

    def _look(self, timeout: float | None) -> None:
        """Take in what has come, and wait for something when there is time."""
        for event, ready in self._selector.select(timeout):
            if event.fileobj is self._awake:
                self._stop()
            elif event.fileobj is self._listener:
                self._accept()
            elif isinstance(event.fileobj, socket.socket) and ready & selectors.EVENT_READ:
                self._read(event.fileobj)

    def _stop(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._awake.recv(64)
        if not self._stopping:
            self._stopping = True
            self._selector.unregister(self._listener)
            self._listener.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._open[connection] = Requests()
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_CHUNK)
            if not data:
                return self._close(connection)
            for request in self._open[connection].feed(data):
                if request.kind == PING and all(asking is not connection for asking, _ in self._asked):
                    connection.sendall(pack_answer(Answer(200, b"")))
                else:
                    self._asked.append((connection, request))
        except (OSError, FrameError):
            self._close(connection)

    def _work_on(self, connection: socket.socket, request: Request) -> None:
        if connection not in self._open:
            return  # whoever asked has gone
        try:
            if request.kind == STREAM:
                connection.sendall(pack_answer(Answer(BEGUN, b"")))
            answer = self._answer(request)
            if isinstance(answer, Parts):
                self._stream(connection, answer)
            else:
                connection.sendall(pack_answer(answer))
        except OSError:
            self._close(connection)

    def _answer(self, request: Request) -> Answer | Parts:
        if request.kind == PING:
            return Answer(200, b"")
        try:
            return self._handle(request)
        except Exception as error:  # noqa: BLE001 - the model's code is anybody's; its errors are answers
            return _failed(error)

    # Answers in parts

    def _stream(self, connection: socket.socket, parts: Parts) -> None:
        """Raises OSError when the reader has gone."""
        end = Answer(200, b"")
        with contextlib.closing(parts.pieces):
            while True:
                try:
                    piece = next(parts.pieces, None)
                except Exception as error:  # noqa: BLE001 - as above
                    end = _failed(error)
                    break
                if piece is None:
                    break
                for start in range(0, len(piece), _LONGEST_PART):
                    part = piece[start : start + _LONGEST_PART]
                    self._send(
                        connection,
                        pack_answer(Answer(PART, part, parts.content_type, parts.custom_attributes)),
                    )
                self._look(0)
                if connection not in self._open:
                    return
        self._send(connection, pack_answer(end))

    def _send(self, connection: socket.socket, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if connection not in self._open:
                raise ConnectionResetError
            try:
                view = view[connection.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait_for_room(connection)

    def _wait_for_room(self, connection: socket.socket) -> None:
        self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        try:
            self._look(None)
        finally:
            if connection in self._open:
                self._selector.modify(connection, selectors.EVENT_READ)

    def _close(self, connection: socket.socket) -> None:
        if self._open.pop(connection, None) is not None:
            self._selector.unregister(connection)
            connection.close()


def _failed(error: Exception) -> Answer:
    traceback.print_exception(error)
    return Answer(500, f"{type(error).__name__}: {error}".encode(), "text/plain")

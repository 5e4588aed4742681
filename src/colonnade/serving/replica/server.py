"""The loop of a replica: requests off the socket, one at a time to the model, answers back in order.

One thread, because user code is rarely written for several, and because answers must come in order anyway. The socket is
bound only once the model is there, so whoever connects finds it ready. After SIGTERM no new connection is taken; it ends
when those that exist have been closed, so a worker that switches away loses nothing.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

from colonnade.serving.frames import PING, Answer, FrameError, Request, Requests, pack_answer

Handle = Callable[[Request], Answer]
_CHUNK = 256 * 1024


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
        self._stopping = False

    def run(self) -> None:
        """Serve until SIGTERM, or SIGINT, and then until the last connection has gone."""
        awake, waker = socket.socketpair()
        awake.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._selector.register(awake, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while self._open or not self._stopping:
            for event, _ in self._selector.select():
                if event.fileobj is awake:
                    self._stop()
                elif event.fileobj is self._listener:
                    self._accept()
                elif isinstance(event.fileobj, socket.socket):
                    self._serve(event.fileobj)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._selector.unregister(self._listener)
            self._listener.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._open[connection] = Requests()
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_CHUNK)
            if not data:
                return self._close(connection)
            for request in self._open[connection].feed(data):
                connection.sendall(pack_answer(self._answer(request)))
        except (OSError, FrameError):
            self._close(connection)

    def _answer(self, request: Request) -> Answer:
        if request.kind == PING:
            return Answer(200, b"")
        try:
            return self._handle(request)
        except Exception as error:  # noqa: BLE001 - the model's code is anybody's; its errors are answers
            traceback.print_exc()
            return Answer(500, f"{type(error).__name__}: {error}".encode(), "text/plain")

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._open[connection]
        connection.close()

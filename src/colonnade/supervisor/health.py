"""Asks a server whether it is ready. By bare sockets: `http.client` would double what the supervisor holds in memory."""

from __future__ import annotations

import socket
import time

from colonnade.settings import reachable

_RETRY_SECONDS = 0.05


def wait_until_healthy(host: str, port: int, seconds: float) -> bool:
    """Whether the server answered 200 in time. The socket listens before any worker runs, so the request waits in the
    backlog and is answered by the first worker that accepts."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if _ask(reachable(host).strip("[]"), port, left) == 200:
            return True
        time.sleep(_RETRY_SECONDS)
    return False


def _ask(host: str, port: int, timeout: float) -> int | None:
    """The HTTP status, or None when the connection broke: the worker that had taken it died."""
    request = f"GET /_colonnade/health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                words = answer.readline(64).split()
                answer.read()  # to its end: hanging up on the worker halfway is no way to begin
    except OSError:
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None

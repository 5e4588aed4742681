"""Is a replica there? The leader's own look, beside the connections of the workers.

Addresses are as routes have them: `unix:` and `tcp:` speak frames, `http+unix:` and `http:` HTTP.
"""

from __future__ import annotations

import socket

from colonnade.serving.frames import PING, Answers, FrameError, Request, pack_request


def answers(address: str, timeout: float = 2.0) -> bool:
    """Whether the replica answers a ping in time: its model is loaded and it is not at work on something long."""
    if address.startswith("http"):
        return _status_of_ping(address, timeout) == 200
    try:
        with connect(address, timeout) as connection:
            connection.sendall(pack_request(Request(PING)))
            found = Answers()
            while data := connection.recv(4096):
                for answer in found.feed(data):
                    return answer.status == 200
    except (OSError, FrameError):
        return False
    return False


def refuses(address: str, timeout: float = 2.0) -> bool:
    """Whether it answers that it is not well, as only servers of users' own can."""
    return address.startswith("http") and _status_of_ping(address, timeout) not in (0, 200)


def _status_of_ping(address: str, timeout: float) -> int:
    """Of GET /ping; 0 without an answer."""
    from http.client import HTTPConnection, HTTPException

    request = HTTPConnection("localhost", timeout=timeout)
    try:
        request.sock = connect(address, timeout)
        request.request("GET", "/ping")
        return request.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        request.close()


def connect(address: str, timeout: float | None = None) -> socket.socket:
    """Raises OSError when nobody listens there."""
    kind, _, place = address.partition(":")
    if kind in ("unix", "http+unix"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)

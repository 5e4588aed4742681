"""What lies outside of this machine, as a client sees it: a proxy that only writes down whom it was asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Outside:
    port: int
    asked: list[str] = field(default_factory=list)
    """Hosts for HTTPS, whole addresses for HTTP."""

    def environment(self) -> dict[str, str]:
        """Sends there all that does not go to this machine."""
        url = f"http://127.0.0.1:{self.port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        return dict.fromkeys(names, url) | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@contextlib.contextmanager
def watched() -> Iterator[Outside]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outside = Outside(listener.getsockname()[1])
        threading.Thread(target=_listen, args=(listener, outside), daemon=True).start()
        yield outside


def _listen(listener: socket.socket, outside: Outside) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connection:
            _method, target, _version = connection.recv(4096).decode().splitlines()[0].split()
            outside.asked.append(target)

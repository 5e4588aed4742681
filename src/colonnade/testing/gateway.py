"""A gateway on a real socket within the test's own process, served as production serves it, so that a test may look into both.

with served(app.build(platform)) as port:
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", ...)
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from colonnade.gateway.connection import Connection, configuration

_START_SECONDS = 120.0
"""Long enough for the busiest machine: a server that fails to start ends its thread."""


@contextmanager
def served(application: Any, connection: type[Connection] = Connection) -> Iterator[int]:
    """The port on 127.0.0.1 where the application answers until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = configuration(application, connection=connection)
    config.lifespan = "on"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server ended before it started"
        assert time.monotonic() < deadline, f"the server did not start in {_START_SECONDS:g} s"
        time.sleep(0.005)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        listening.close()

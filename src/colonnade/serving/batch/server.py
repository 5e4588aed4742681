"""A user's own HTTP server as the model of a lane: started, pinged until it is there, then asked at /invocations.

The program is found and told its socket and port as for an endpoint (`replica.program`). Each lane has a server of its own; who
waits too long for it is the lane's parent, which ends both.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from colonnade.serving import probe
from colonnade.serving.frames import MAX_FRAME, Answer, Request
from colonnade.serving.replica import program

_LOOK_SECONDS = 0.02


def started(folder: Path, environment: Mapping[str, str]) -> Callable[[Request], Answer]:
    """Raises RuntimeError when it ends before it answers a ping."""
    code = folder / "code"
    command = program.command_of(code, environment["COLONNADE_SERVER"])
    reserved, port = program.reserve()
    # Not in a folder of the model's: a socket's whole path has room for 107 bytes.
    unix = Path(tempfile.mkdtemp(prefix="s-")) / "s"
    told = {**environment, "COLONNADE_SOCKET": str(unix), "SAGEMAKER_BIND_TO_PORT": str(port)}
    server = subprocess.Popen(command, cwd=code, env=told)
    address = _address(server, unix, port)
    reserved.close()
    return lambda request: _ask(address, request)


def _address(server: subprocess.Popen[bytes], unix: Path, port: int) -> str:
    while True:
        for address in (f"http+unix:{unix}", f"http:127.0.0.1:{port}"):
            if probe.answers(address):
                return address
        if server.poll() is not None:
            raise RuntimeError(
                f"the server ended with exit code {server.returncode} before it answered GET /ping with 200"
            )
        time.sleep(_LOOK_SECONDS)


def _ask(address: str, request: Request) -> Answer:
    connection = HTTPConnection("localhost")
    headers = {"Content-Type": request.content_type, "Accept": request.accept}
    try:
        connection.sock = probe.connect(address)
        connection.request(
            "POST",
            "/invocations",
            request.body,
            {name: value for name, value in headers.items() if value},
        )
        answer = connection.getresponse()
        body = answer.read(MAX_FRAME + 1)
    except (OSError, HTTPException) as error:
        return Answer(500, f"The server broke off ({type(error).__name__}: {error}).".encode(), "text/plain")
    finally:
        connection.close()
    return Answer(answer.status, body, answer.headers.get("Content-Type", ""))

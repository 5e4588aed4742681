"""`python -m colonnade.serving.replica.program`: become the user's own HTTP server, as a container's `serve` would be started.

The program may listen on the unix socket that COLONNADE_SOCKET names, or on the port SAGEMAKER_BIND_TO_PORT. Nobody else can
get that port in between: a socket stays bound to it, without listening, until the program listens there. Linux lets both
be bound as long as both set SO_REUSEADDR, which servers do to survive their own restarts. A child watches for that moment
and tells the port by the file `address` beside the socket; then it ends. This process itself becomes the program.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_LOOK_SECONDS = 0.02


def main(environ: Mapping[str, str]) -> None:
    base = Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    command = command_of(base / "model" / "code", environ["COLONNADE_SERVER"])
    reserved, port = reserve()
    print(f"starting {' '.join(command)}: socket {environ['COLONNADE_SOCKET']}, port {port}", flush=True)
    _in_the_background(os.getpid(), reserved, port, Path(environ["COLONNADE_SOCKET"]))
    os.chdir(base / "model" / "code")
    variables = {**environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    try:
        os.execve(command[0], command, variables)
    except OSError as error:
        sys.exit(
            f"cannot run {command[0]}: {error.strerror}; is its first line #! and an interpreter that is here?"
        )


def command_of(folder: Path, program: str) -> list[str]:
    """Ends the process, saying why, for a program that is not there or lies elsewhere."""
    path = (folder / program).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        sys.exit(f"COLONNADE_SERVER names {program}, which is no file in {folder}: pack it as code/{program}")
    if os.access(path, os.X_OK):
        return [str(path), "serve"]
    if path.suffix == ".py":
        return [sys.executable, str(path), "serve"]
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return [str(path), "serve"]


def reserve() -> tuple[socket.socket, int]:
    """A port that nobody gets who asks for a free one, and that only programs with SO_REUSEADDR get by its number."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("0.0.0.0", 0))
    return reserved, reserved.getsockname()[1]


def _in_the_background(server: int, reserved: socket.socket, port: int, unix: Path) -> None:
    """In a grandchild, so that the program has no child that it does not know of."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork() == 0:
        tell(server, reserved, port, unix)
    os._exit(0)


def tell(server: int, reserved: socket.socket, port: int, unix: Path) -> None:
    while _runs(server) and not unix.exists():
        if _listens(port):
            reserved.close()
            draft = unix.with_name(".address")
            draft.write_text(f"tcp:127.0.0.1:{port}")
            draft.replace(unix.with_name("address"))
            return
        time.sleep(_LOOK_SECONDS)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(os.environ)

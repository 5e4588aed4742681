"""The one listening socket, made before any child runs, and a useful refusal when its port is taken."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path

BACKLOG = 1024


class PortError(Exception):
    """The address cannot be listened on; the message says why, who has it where that can be known, and what to do."""


def listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PortError(f"the host {host!r} has no address ({error.strerror}): correct --host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortError(_explain(host, port, error)) from error
    return listener


def _explain(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken{owner(port)}: stop that, or choose another port with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has: choose one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: correct --host (127.0.0.1 is this machine alone)"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def owner(port: int) -> str:
    """ " by process 71 (python server.py)", as far as /proc lets this user see; else nothing."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & _open_in(process):
            with suppress(OSError):
                command = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
                return (
                    f" by process {process.name} ({command if len(command) <= 60 else command[:57] + '...'})"
                )
    return ""


def _open_in(process: Path) -> set[str]:
    """What its descriptors lead to; they and the process may go while we look."""
    found = set()
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == "0A" and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(columns[9])
    return inodes

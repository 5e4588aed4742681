"""`colonnade up --detach`: the server goes on in the background once it is ready, and its log goes to a file.

The person's process waits at a pipe for one line: ready, or what was wrong. So a refusal reads the same as without
`--detach`, and the exit code is true.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn, Protocol

from colonnade.cli.terminal import CommandError
from colonnade.settings import Settings
from colonnade.supervisor.folder import FolderError, ServerRecord

LOG = "server.log"
LOG_BYTES = 16 * 1024 * 1024
"""A larger log of earlier runs is moved to server.log.1 at start."""


class Tell(Protocol):
    def __call__(self, record: ServerRecord, *, detached: bool) -> None: ...


Serve = Callable[[Callable[[ServerRecord], None]], int]


def start(chosen: Settings, serve: Serve, tell: Tell) -> int:
    log = None if chosen.ephemeral else _log_file(chosen.data)
    reader, writer = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(reader)
        _become_daemon(serve, writer, log)
    os.close(writer)
    os.waitpid(first, 0)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        line = pipe.readline()
    if not line:
        raise CommandError(
            f"the server ended before it was ready: {f'read {log}' if log else 'run it without --detach'}"
        )
    told = json.loads(line)
    if "error" in told:
        raise CommandError(told["error"] + (f" (log: {log})" if told["log"] and log else ""))
    tell(ServerRecord(**told), detached=True)
    return 0


def _log_file(data: Path) -> Path:
    log = data / LOG
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
    except OSError as error:
        raise FolderError(
            f"{log} cannot be written: {error.strerror}: choose another folder with --data"
        ) from error
    return log


def _become_daemon(serve: Serve, writer: int, log: Path | None) -> NoReturn:
    """A session of its own, and a second fork so that it can never get a terminal again."""
    os.setsid()
    if os.fork():
        os._exit(0)
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDWR)
    output = os.open(log, os.O_WRONLY | os.O_APPEND) if log else nothing
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.chdir("/")

    def announce(record: ServerRecord) -> None:
        _send(writer, asdict(record))

    try:
        code = serve(announce)
    except Exception as error:  # noqa: BLE001 - the person waits at the pipe for it, whatever it is
        from colonnade.supervisor import StartError

        _send(writer, {"error": str(error) or type(error).__name__, "log": isinstance(error, StartError)})
        code = 1
    sys.exit(code)


def _send(writer: int, message: object) -> None:
    """Silent after the first: nobody waits at the pipe any more."""
    try:
        os.write(writer, json.dumps(message).encode() + b"\n")
        os.close(writer)
    except OSError:
        return

"""Keeps the server's processes alive: one leader and N gateway workers around one listening socket.

Called by `colonnade up`. It binds the socket itself, so that a worker may die and come back without a refused connection,
and stays small: standard library only, never the gateway, the models or anything of ML.

    up ── supervisor (socket, lock, server.json)
             ├── leader        reconcilers, alarms, schedules
             ├── worker-1 …N   accept on the inherited socket

Children die with the supervisor (`child.py`), and they hold the folder's lock too: it is free only when all have gone.
SIGTERM, SIGINT and SIGHUP stop everything, workers first so that no request starts new work; SIGUSR1 before that lets
jobs live on. A second one ends everything at once.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from types import FrameType

from colonnade import credentials
from colonnade.credentials import master_key
from colonnade.settings import Settings
from colonnade.supervisor import folder, listening
from colonnade.supervisor.child import LEADING
from colonnade.supervisor.children import Child
from colonnade.supervisor.folder import ServerRecord
from colonnade.supervisor.health import wait_until_healthy

COMMAND = (sys.executable, "-m", "colonnade")
START_SECONDS = 60.0
RECORD_RETRY_SECONDS = 1.0
WORKER_STOP_SECONDS = 30.0
LEADER_STOP_SECONDS = 180.0
"""More than the 120 s that a training job has between SIGTERM and SIGKILL."""

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HEALTHY = 0
"""No signal has this number: the health thread sends it down the signals' pipe, as a leader does LEADING."""
_log = logging.getLogger("supervisor")


class StartError(Exception):
    """The server does not come up; the message says why and what to do."""


class Phase(Enum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING_WORKERS = "stopping workers"
    STOPPING_LEADER = "stopping leader"


def run(
    settings: Settings, announce: Callable[[ServerRecord], None], command: Sequence[str] = COMMAND
) -> int:
    """Start, call `announce` once a worker answers the health request and the leader leads, go on until told to stop.

    Answers the exit code. Raises FolderError, PortError, CredentialsError or StartError when it cannot start; nothing
    is left running then. `command` is what children run, with `_leader` or `_worker` and their arguments after it.
    """
    with folder.locked(settings.data) as lock:
        credentials.settle(settings)
        master_key.settle(settings)
        with listening.listen(settings.host, settings.port) as listener:
            bound = replace(settings, port=listener.getsockname()[1])
            try:
                return _Supervisor(bound, listener, lock, command, announce).run()
            finally:
                folder.forget(bound.data)


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        lock: int,
        command: Sequence[str],
        announce: Callable[[ServerRecord], None],
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._record = ServerRecord.of(settings)
        self._command = command
        self._lock = lock
        self._listener = listener
        self._phase = Phase.STARTING
        self._keep_jobs = False
        self._deadline = float("inf")
        self._record_due = float("inf")
        """When it is written again, after it could not be."""
        self._failure: str | None = None
        self._awaited = {_HEALTHY, LEADING}

    def _make_children(self, wake: int) -> None:
        common = (
            "--settings",
            self._settings.for_children(),
            "--parent",
            str(os.getpid()),
            "--lock",
            str(self._lock),
        )
        leads = ("_leader", "--name", "leader", "--ready", str(wake), *common)
        self._leader = Child("leader", (*self._command, *leads), (self._lock, wake))
        accept = self._listener.fileno()
        self._workers = [
            Child(
                name,
                (*self._command, "_worker", "--name", name, "--fd", str(accept), *common),
                (self._lock, accept),
            )
            for name in (f"worker-{number}" for number in range(1, self._settings.workers + 1))
        ]
        self._children = [self._leader, *self._workers]

    def run(self) -> int:
        with _wakeups() as (wakeup, wake):
            self._make_children(wake)
            for child in self._children:
                child.start()
            self._watch_health(wake)
            self._deadline = time.monotonic() + START_SECONDS
            while not self._over():
                # Sorted, since of two signals at once the later one is told first, and SIGUSR1 counts before SIGTERM.
                for event in sorted(_events(wakeup, self._pause())):
                    self._take(event)
                self._look_after_children()
        if self._failure:
            raise StartError(self._failure)
        return 0

    def _over(self) -> bool:
        return self._phase is Phase.STOPPING_LEADER and not any(child.alive() for child in self._children)

    def _pause(self) -> float | None:
        """Until something is due; None sleeps until the next signal."""
        dues = [child.due for child in self._children if child.due is not None]
        nearest = min([*dues, self._deadline, self._record_due])
        return None if nearest == float("inf") else max(0.0, nearest - time.monotonic())

    def _take(self, event: int) -> None:
        if event in self._awaited:
            self._awaited.remove(event)
            if not self._awaited:
                self._ready()
        elif event == signal.SIGUSR1:
            self._keep_jobs = True
        elif event in _STOPPING:
            self._stop()

    def _watch_health(self, wake: int) -> None:
        def watch() -> None:
            if wait_until_healthy(self._settings.host, self._settings.port, START_SECONDS):
                os.write(wake, bytes([_HEALTHY]))

        threading.Thread(target=watch, name="health", daemon=True).start()

    def _fail(self, reason: str) -> None:
        if self._phase is Phase.STARTING:
            self._failure = self._failure or reason

    def _ready(self) -> None:
        if self._phase is Phase.STARTING:
            self._phase = Phase.SERVING
            self._deadline = float("inf")
            self._write_record()
            _log.info("ready at %s, workers: %d", self._record.url, self._settings.workers)
            self._announce(self._record)

    def _write_record(self) -> None:
        self._record = replace(self._record, processes={child.name: child.pid for child in self._children})
        try:
            folder.write(self._settings.data, self._record)
            self._record_due = float("inf")
        except OSError as error:
            # The disk is full: no reason to end a server that can still answer what is read.
            self._record_due = time.monotonic() + RECORD_RETRY_SECONDS
            _log.warning("%s was not brought up to date: %s", self._settings.data / folder.RECORD, error)

    def _look_after_children(self) -> None:
        for child in self._children:
            ended = child.reap()
            if ended is not None:
                self._ended(child, ended)
        if self._phase is Phase.SERVING:
            if restarted := [child for child in self._children if child.is_due()]:
                for child in restarted:
                    child.start()
            if restarted or time.monotonic() >= self._record_due:
                self._write_record()
        elif self._phase is Phase.STOPPING_WORKERS and not any(child.alive() for child in self._workers):
            self._stop_leader()
        if time.monotonic() >= self._deadline:
            self._too_late()

    def _too_late(self) -> None:
        if self._phase is Phase.STARTING:
            lacking = "no worker answers" if _HEALTHY in self._awaited else "the leader does not lead"
            self._fail(f"not ready within {START_SECONDS:.0f} s: {lacking}; the log may say why")
            self._stop()
        else:
            late = self._workers if self._phase is Phase.STOPPING_WORKERS else [self._leader]
            self._kill(late, "it took too long to stop")

    def _ended(self, child: Child, how: str) -> None:
        if self._phase is Phase.SERVING:
            delay = child.plan_restart()
            self._write_record()
            _log.warning("%s %s; it starts again in %.1f s", child.name, how, delay)
        elif self._phase is Phase.STARTING:
            self._fail(f"{child.name} {how} before the server was ready; its last lines say why")
            self._stop()
        else:
            _log.debug("%s %s", child.name, how)

    def _stop(self) -> None:
        if self._phase in (Phase.STOPPING_WORKERS, Phase.STOPPING_LEADER):
            self._kill(
                self._children, "told to stop a second time; jobs that run are taken up at the next start"
            )
            return
        self._fail("stopped before the server was ready")
        _log.info("stopping%s", ", jobs live on" if self._keep_jobs else "")
        self._phase = Phase.STOPPING_WORKERS
        self._deadline = time.monotonic() + WORKER_STOP_SECONDS
        for child in self._children:
            child.due = None
        for child in self._workers:
            child.send(signal.SIGTERM)

    def _stop_leader(self) -> None:
        self._phase = Phase.STOPPING_LEADER
        self._deadline = time.monotonic() + LEADER_STOP_SECONDS
        if not self._leader.alive() and not self._keep_jobs and not self._failure:
            _log.warning("the leader was not running, so jobs may live on; the next start takes them up")
        if self._keep_jobs:
            self._leader.send(signal.SIGUSR1)
        self._leader.send(signal.SIGTERM)

    def _kill(self, children: Sequence[Child], why: str) -> None:
        self._deadline = float("inf")
        for child in children:
            if child.alive():
                _log.warning("killing %s: %s", child.name, why)
                child.send(signal.SIGKILL)


@contextmanager
def _wakeups() -> Iterator[tuple[int, int]]:
    """Signals become bytes in a pipe, so that one `select` waits for everything and none is missed."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    caught = (*_STOPPING, signal.SIGUSR1, signal.SIGCHLD)
    before = {each: signal.signal(each, _only_wake) for each in caught}
    fd_before = signal.set_wakeup_fd(writer)
    try:
        yield reader, writer
    finally:
        signal.set_wakeup_fd(fd_before)
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(reader)
        os.close(writer)


def _only_wake(signum: int, frame: FrameType | None) -> None:
    """A handler must exist for the wake-up byte to be written."""


def _events(wakeup: int, timeout: float | None) -> bytes:
    ready, _, _ = select.select([wakeup], [], [], timeout)
    return os.read(wakeup, 4096) if ready else b""

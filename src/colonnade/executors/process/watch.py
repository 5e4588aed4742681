"""Watching a command: its output to the log, its metrics to their file, its end by itself or by the stop sequence."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from colonnade.executors.process import processes
from colonnade.executors.process.lines import LineSplitter, encode
from colonnade.executors.process.metrics import MetricSearch

TICK = 0.1


def watch(
    process: subprocess.Popen[bytes], printer: Printer, uid: int | None, step: Callable[[], None]
) -> tuple[int, resource.struct_rusage]:
    """Log what a command prints until it has ended, calling `step` every tick; then leave nothing of it alive. Its exit code, as
    shells count, and what it used."""
    output = process.stdout
    assert output is not None
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as selector, _end_of(process.pid, selector):
        selector.register(output, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select(TICK)]
            if output in ready and printer.take(output.fileno()) == 0:
                selector.unregister(output)
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            step()
    process.returncode = os.waitstatus_to_exitcode(status)
    processes.signal_group(process.pid, signal.SIGKILL)
    if uid is not None:
        processes.kill_user(uid)
    processes.kill_descendants()
    while printer.take(output.fileno()):
        pass
    printer.end()
    output.close()
    code = process.returncode
    return (code if code >= 0 else 128 - code), used


class Ending:
    """The stop sequence: SIGTERM to the group when asked or when time is up, SIGKILL after the grace."""

    def __init__(
        self, limits: Mapping[str, Any], begun: float, leader: int, wanted: Callable[[], bool]
    ) -> None:
        self._limits, self._begun, self._leader, self._wanted = limits, begun, leader, wanted
        self._kill_at: float | None = None
        self.stopped = False
        self.timed_out = False

    def step(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                processes.signal_group(self._leader, signal.SIGKILL)
            return
        longest = self._limits["max_runtime_seconds"]
        self.timed_out = longest is not None and now - self._begun >= longest
        self.stopped = not self.timed_out and self._wanted()
        if self.timed_out or self.stopped:
            processes.signal_group(self._leader, signal.SIGTERM)
            self._kill_at = now + self._limits["stop_grace_seconds"]


class Printer:
    """From the command's output to the log and the metrics file."""

    def __init__(self, log: Any, metrics: Path, search: MetricSearch) -> None:
        self._log, self._metrics, self._search = log, metrics, search
        self._splitter = LineSplitter()

    def take(self, descriptor: int) -> int | None:
        """Write down what is there to read: how many bytes, 0 at the end, None when there is nothing now."""
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return None
        self._write(self._splitter.feed(data))
        return len(data)

    def end(self) -> None:
        self._write(self._splitter.end())

    def _write(self, lines: Sequence[str]) -> None:
        now = time.time()
        rows: list[bytes] = []
        printed: list[bytes] = []
        for line in lines:
            found, complaints = self._search.values(line, now)
            rows += found
            printed += [encode(now, text) for text in (line, *complaints)]
        if printed:
            self._log.write(b"".join(printed))
        if rows:
            with self._metrics.open("ab") as file:
                file.write(b"".join(rows))


@contextlib.contextmanager
def _end_of(pid: int, selector: selectors.BaseSelector) -> Any:
    """Wake the selector at a process's end where the system can tell; elsewhere the tick finds it."""
    if sys.platform != "linux":
        yield
        return
    descriptor = os.pidfd_open(pid)
    selector.register(descriptor, selectors.EVENT_READ)
    try:
        yield
    finally:
        selector.unregister(descriptor)
        os.close(descriptor)

"""One child process as the supervisor sees it: start, signal, notice its end, wait before starting it again."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence

FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
STEADY_SECONDS = 30.0
"""A child that has lived this long is not held guilty of its earlier ends."""


class Child:
    def __init__(self, name: str, command: Sequence[str], descriptors: Sequence[int]) -> None:
        self.name = name
        self.due: float | None = None
        """When it starts again, on the monotonic clock; None while it runs or has yet to be judged."""
        self._command = command
        self._descriptors = descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._ends = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """In a process group of its own: a terminal's ctrl-C reaches the supervisor alone, which stops all in order."""
        self.due = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, pass_fds=self._descriptors, process_group=0
        )

    def alive(self) -> bool:
        return self._process is not None

    def send(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signum)

    def reap(self) -> str | None:
        """How it ended, told once; None while it runs."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._process = None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def plan_restart(self) -> float:
        """Seconds to wait: doubled with each end that follows soon upon the last start."""
        self._ends = 0 if time.monotonic() - self._started >= STEADY_SECONDS else self._ends
        delay: float = min(LONGEST_DELAY, FIRST_DELAY * 2**self._ends)
        self._ends += 1
        self.due = time.monotonic() + delay
        return delay

    def is_due(self) -> bool:
        return self.due is not None and time.monotonic() >= self.due

"""A lane: a forked process that holds the model and answers one request after the other.

Forked rather than started, so that it is there at once; its parent has no threads and loads no library that minds. A lane that
crashes, or is late, takes nothing with it: its parent sees the end of their socket, or kills it, and forks another.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from colonnade.serving.frames import (
    Answer,
    Answers,
    FrameError,
    Request,
    Requests,
    pack_answer,
    pack_request,
)

_CHUNK = 1 << 20
_LOOK_SECONDS = 0.002
Handle = Callable[[Request], Answer]


class LaneLost(Exception):  # noqa: N818 - a condition
    """The lane's process ended before it answered; the text says how."""


class Lane:
    def __init__(self, make: Callable[[], Handle], *, leads: bool = True) -> None:
        """`make` runs in the new process and loads the model. Its first answer says whether it could: body and status 200, or 500
        with the reason. A lane that `leads` takes what its model has started with it when it is ended."""
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            if leads:
                os.setpgid(0, 0)
            _live(theirs, make)
        self._leads = leads
        if leads:  # Whichever of the two is first.
            with contextlib.suppress(OSError):
                os.setpgid(self._pid, self._pid)
        theirs.close()
        self._socket = ours
        self._answers = Answers()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, request: Request) -> None:
        """To a lane that has answered everything before. Raises LaneLost."""
        try:
            self._socket.sendall(pack_request(request))
        except OSError:
            raise self._lost() from None

    def receive(self) -> Answer | None:
        """What has come of the answer is taken; the answer itself once it is whole. Blocks when nothing came. Raises LaneLost."""
        try:
            data = self._socket.recv(_CHUNK)
            if data:
                return next(self._answers.feed(data), None)
        except (OSError, FrameError) as error:
            self.end()
            raise LaneLost(f"The model's process said what cannot be understood: {error}.") from error
        raise self._lost()

    # For a lane of a lane, whose asker is watched by the clock itself

    def load(self) -> None:
        """Wait until it has its model. Raises LaneLost with the reason when it cannot."""
        answer = self._wait()
        if answer.status != 200:
            self.end()
            raise LaneLost(answer.body.decode("utf-8", "replace"))

    def ask(self, request: Request) -> Answer:
        """Wait for the answer. When it is lost, so is this process, and whoever asked this one begins anew with all of them."""
        try:
            self.send(request)
            return self._wait()
        except LaneLost as lost:
            raise SystemExit(str(lost)) from lost

    def _wait(self) -> Answer:
        while (answer := self.receive()) is None:
            pass
        return answer

    # Ends

    def end(self) -> None:
        """Kill it, at once. Twice does no harm."""
        self._reap(patience=0.0)

    def _lost(self) -> LaneLost:
        """It ended by itself: how is known in a moment, since its socket goes before it does."""
        code = self._reap(patience=5.0)
        how = "" if code is None else f" (exit code {code})" if code >= 0 else f" (signal {-code})"
        return LaneLost(f"The model's process ended{how} before it answered.")

    def _reap(self, patience: float) -> int | None:
        """Its exit code; None when that was told before. Nothing of it is left."""
        self._socket.close()
        deadline = time.monotonic() + patience
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(self._pid, os.WNOHANG))[0] == 0:
                if time.monotonic() >= deadline:
                    os.kill(self._pid, signal.SIGKILL)
                time.sleep(_LOOK_SECONDS)
            self._kill_group()
            return os.waitstatus_to_exitcode(found[1])
        return None

    def _kill_group(self) -> None:
        if self._leads:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)


def _live(connection: socket.socket, make: Callable[[], Handle]) -> NoReturn:
    """The lane's own life. Nothing of its parent's is cleaned up here."""
    code = 1
    try:
        handle = _made(connection, make)
        if handle is not None:
            _answer_all(connection, handle)
            code = 0
    except OSError:
        pass  # the parent has gone
    except BaseException:  # noqa: BLE001 - SystemExit of user code too; a forked process must not run on into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _made(connection: socket.socket, make: Callable[[], Handle]) -> Handle | None:
    try:
        handle = make()
    except BaseException as error:  # noqa: BLE001 - user code; what went wrong is told
        traceback.print_exc()
        connection.sendall(pack_answer(Answer(500, f"{type(error).__name__}: {error}".encode())))
        return None
    connection.sendall(pack_answer(Answer(200, b"")))
    return handle


def _answer_all(connection: socket.socket, handle: Handle) -> None:
    requests = Requests()
    while data := connection.recv(_CHUNK):
        for request in requests.feed(data):
            connection.sendall(pack_answer(_answer(handle, request)))


def _answer(handle: Handle, request: Request) -> Answer:
    try:
        return handle(request)
    except Exception as error:  # noqa: BLE001 - the model's code is anybody's; its errors are answers
        traceback.print_exc()
        return Answer(500, f"{type(error).__name__}: {error}".encode(), "text/plain")

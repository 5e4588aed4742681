"""Signals between the processes of one server: a Unix socket for each, in one folder.

Who has a socket there and answers is alive; a socket that refuses the connection belonged to a process that died, and is
removed. Names are reached through `/proc/self/fd`, since a data folder may lie deeper than a socket's path may be long.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from colonnade.kernel.signals import Handler, LocalSignals, Refusal

_SUFFIX = ".sock"


class SocketSignals:
    def __init__(self, folder: Path, name: str) -> None:
        """`name` is this process's own among those of the folder: `worker-4711`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._local = LocalSignals()
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = name + _SUFFIX
        self._closing = threading.Event()
        self._posts: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._path(self._name))
        self._listener.listen(64)
        self._senders = ThreadPoolExecutor(8, thread_name_prefix="signal")
        threading.Thread(target=self._listen, name="signals-listen", daemon=True).start()
        threading.Thread(target=self._post, name="signals-post", daemon=True).start()

    def subscribe(self, topic: str, handler: Handler) -> None:
        self._local.subscribe(topic, handler)

    def publish(self, topic: str, subject: str = "", *, timeout: float = 10.0) -> Sequence[Refusal]:
        others = [name for name in self._processes() if name != self._name]
        answers = [self._senders.submit(self._ask, name, topic, subject, timeout) for name in others]
        refusals = list(self._local.publish(topic, subject))
        refusals += [refusal for answer in answers if (refusal := answer.result()) is not None]
        return refusals

    def notify(self, topic: str, subject: str = "") -> None:
        self._posts.put((topic, subject))

    def close(self) -> None:
        self._closing.set()
        self._posts.put(None)
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        self._listener.close()
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._local.close()

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"

    def _processes(self) -> list[str]:
        return sorted(path.name for path in Path(self._path("")).iterdir() if path.name.endswith(_SUFFIX))

    def _ask(self, name: str, topic: str, subject: str, timeout: float) -> Refusal | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            try:
                connection.connect(self._path(name))
                connection.sendall(json.dumps([topic, subject]).encode() + b"\n")
                answer = connection.makefile("rb").readline()
            except (ConnectionRefusedError, FileNotFoundError):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._folder)
                return None
            except TimeoutError:
                return Refusal(name.removesuffix(_SUFFIX), f"no answer within {timeout:g} s")
            except (ConnectionError, BrokenPipeError):
                return None
        if not answer.endswith(b"\n"):  # it died while we asked: nobody is left to wait for
            return None
        reason = json.loads(answer)
        return None if reason is None else Refusal(name.removesuffix(_SUFFIX), reason)

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._answer, args=(connection,), name="signal-answer", daemon=True
            ).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError, BrokenPipeError):
            line = connection.makefile("rb").readline()
            if line.endswith(b"\n"):
                topic, subject = json.loads(line)
                reason = self._local.deliver(topic, subject)
                connection.sendall(json.dumps(reason).encode() + b"\n")

    def _post(self) -> None:
        while (post := self._posts.get()) is not None:
            self.publish(*post)

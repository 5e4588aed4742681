"""The data folder's claim: one server at a time, and where to find it.

`server.lock` decides: whoever holds its flock is the server, and the kernel lets go of it when the last holder dies.
`run/server.json` only tells: it is worth reading while the lock is held, and stale otherwise.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from colonnade import __version__
from colonnade.settings import Settings, reachable

LOCK = "server.lock"
RECORD = Path("run", "server.json")
_DYING_SECONDS = 5.0
"""How long the children of a killed supervisor may take to let go."""
_PROBE_SECONDS = 0.5
"""How long a lock may be somebody's who only looks: runners of replicas and `holder` take it for an instant, shared."""


class FolderError(Exception):
    """The data folder cannot be served; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What `run/server.json` says of the server that is up."""

    pid: int
    host: str
    port: int
    started: float
    """Epoch seconds."""
    version: str
    data: str
    region: str
    ephemeral: bool = False
    processes: Mapping[str, int | None] = field(default_factory=dict)
    """Pid by name; None while one waits to be started again."""

    @classmethod
    def of(cls, settings: Settings) -> ServerRecord:
        return cls(
            pid=os.getpid(),
            host=settings.host,
            port=settings.port,
            started=time.time(),
            version=__version__,
            data=str(settings.data),
            region=settings.region,
            ephemeral=settings.ephemeral,
        )

    @property
    def data_folder(self) -> Path:
        return Path(self.data)

    @property
    def url(self) -> str:
        return f"http://{reachable(self.host)}:{self.port}"


@contextmanager
def locked(data: Path) -> Iterator[int]:
    """Make the folder if need be and hold its lock; yields the descriptor, for children to hold too."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "run").mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderError(
            f"the data folder {data} cannot be used: {error.strerror}: choose another with --data"
        ) from error
    try:
        _claim(descriptor, data)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield descriptor
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _claim(descriptor: int, data: Path) -> None:
    start = time.monotonic()
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        pid = _pid_in(descriptor)
        patience = _DYING_SECONDS if pid and not _lives(pid) else _PROBE_SECONDS
        if time.monotonic() - start > patience:
            who = f"process {pid}" if pid else "another process"
            raise FolderError(
                f"{who} already serves the data folder {data}: use it, stop it with `colonnade down`, "
                "or choose another folder with --data"
            )
        time.sleep(0.05)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_in(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None


def _lives(pid: int) -> bool:
    """A zombie, which nobody collects in some containers, does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a system without /proc
        return True


def holder(data: Path) -> int | None:
    """The pid of the server that holds the folder (it may be starting or stopping); None when nobody does."""
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        return _pid_in(descriptor)
    finally:
        os.close(descriptor)


def write(data: Path, record: ServerRecord) -> None:
    draft = data / RECORD.with_suffix(".new")
    draft.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    draft.replace(data / RECORD)


def forget(data: Path) -> None:
    (data / RECORD).unlink(missing_ok=True)


def running(data: Path) -> ServerRecord | None:
    """The server that is up and ready in this folder; None when none is, or it is only starting."""
    pid = holder(data)
    try:
        record = ServerRecord(**json.loads((data / RECORD).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return record if record.pid == pid else None

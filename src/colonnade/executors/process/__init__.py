"""Work as processes of this machine: a folder and a detached runner for each (`runner.py`), in the best isolation there is.

What this class knows lies in the folders, so a second one over the same folder, in another process or after a kill -9, knows
the same. Back ends: `namespace.py` (as root with a user of its own, else in a user namespace), `plain.py` (none).
"""

from __future__ import annotations

import compileall
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from colonnade.executors import Lines, Metric, Observation, OutputFile, Phase, Usage, Work
from colonnade.executors.process import isolation as isolations
from colonnade.executors.process import outputs, processes
from colonnade.executors.process.enter import ROOT, words
from colonnade.executors.process.folder import WorkFolder, below, is_locked, read_json, take_lock, write_json
from colonnade.executors.process.lines import decode
from colonnade.executors.process.specification import specify, visible_folders

_PHASES = {"staging": Phase.STAGING, "running": Phase.RUNNING}
_USERS = 100_000
_MOST = 4 << 20
"""Bytes of log that one call of `logs` reads."""


class ProcessExecutor:
    patience = 10.0
    """Seconds without a server before its replicas end: enough for a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        hide: Sequence[Path] = (),
        isolation: str = "auto",
        lifeline: Path | None = None,
    ) -> None:
        """`hide`: folders and files that no work may see. `lifeline`: a file that the server keeps locked (flock, exclusive) while it
        lives; replicas end `patience` after it was let go. Their runners probe it with a shared lock for an instant each
        tick, so a server taking it should try for a moment before it believes that another one runs."""
        self._works = folder.absolute() / "works"
        self._overlays = folder.absolute() / "overlays"
        for made in (self._works, self._overlays):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hide = [str(path.absolute()) for path in (folder, *hide)]
        self._lifeline = str(lifeline.absolute()) if lifeline else ""
        self._python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        self._shown = _server_packages()
        self._keep = visible_folders(
            [sys.base_prefix, sys.prefix, str(Path(self._python).parent), *self._shown]
        )
        self._sockets = _socket_folder()
        # A work of another user cannot keep the bytecode of what it imports; 15 ms when there is nothing to do.
        compileall.compile_dir(Path(ROOT, "colonnade"), quiet=2)
        self.isolation = isolations.choose(isolation, self._python, tuple(self._shown), tuple(self._keep))

    def start(self, work: Work) -> None:
        folder = self._folder(work.id)
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self._lock_to_start(folder)
        if lock is None:
            return
        try:
            if folder.state.exists():
                return
            if not folder.specification.exists():
                self._specify(work, folder)
            self._launch(folder, lock)
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        finally:
            os.close(lock)

    def observe(self, work_id: str) -> Observation:
        folder = self._folder(work_id)
        locked = is_locked(folder.lock)
        state = read_json(folder.state)
        if state is None:
            return Observation(Phase.STAGING if locked else Phase.ABSENT)
        if state["phase"] != "ended" and not locked:
            state = self._bury(folder, state)
        return self._observation(folder, state)

    def stop(self, work_id: str) -> None:
        folder = self._folder(work_id)
        if is_locked(folder.lock):
            with contextlib.suppress(FileNotFoundError):
                folder.stop.touch()

    def logs(self, work_id: str, position: int = 0) -> Lines:
        data = _tail(self._folder(work_id).log, position)
        return Lines(decode(data), position + len(data))

    def metrics(self, work_id: str, position: int = 0) -> tuple[Sequence[Metric], int]:
        data = _tail(self._folder(work_id).metrics, position)
        return [Metric(**json.loads(line)) for line in data.splitlines()], position + len(data)

    def outputs(self, work_id: str, folder: str) -> Sequence[OutputFile]:
        ml = self._folder(work_id).ml
        found = outputs.files(ml, below(ml, folder))
        listed = [OutputFile(path, status.st_size, status.st_mtime, status.st_mode) for path, status in found]
        return sorted(listed, key=lambda output: output.path)

    def open(self, work_id: str, path: str) -> BinaryIO:
        ml = self._folder(work_id).ml
        return outputs.open_file(ml, below(ml, path))

    def forget(self, work_id: str) -> None:
        folder = self._folder(work_id)
        if not folder.path.exists():
            return
        if is_locked(folder.lock):
            self._kill_runner(folder)
        state, specification = read_json(folder.state) or {}, read_json(folder.specification)
        if state.get("phase") != "ended" and specification:
            self._kill_left_behind(state, specification)
        if specification:
            shutil.rmtree(specification["run"] or folder.spool, ignore_errors=True)
        shutil.rmtree(folder.path, onerror=_make_removable)
        if specification and specification["uid"] is not None:
            self._give_back(specification["uid"], folder.path)

    def known(self) -> Iterator[str]:
        return iter(sorted(path.name for path in self._works.iterdir()))

    # Starting

    def _folder(self, work_id: str) -> WorkFolder:
        if not re.fullmatch(r"[a-z0-9-]{1,100}", work_id):
            raise ValueError(f"{work_id!r} is no id of a work: want [a-z0-9-]{{1,100}}")
        return WorkFolder(self._works / work_id)

    def _lock_to_start(self, folder: WorkFolder) -> int | None:
        """The lock, unless a runner has it. Somebody who only looks holds it for an instant, so ask more than once."""
        for _ in range(20):
            if folder.state.exists():
                return None
            lock = take_lock(folder.lock)
            if lock is not None:
                return lock
            time.sleep(0.005)
        return None

    def _specify(self, work: Work, folder: WorkFolder) -> None:
        described = specify(work, folder)
        run = str(self._sockets / _digest(str(folder.path))) if work.serves else ""
        if run:
            Path(run).mkdir(mode=0o700, exist_ok=True)
        described |= {
            "isolation": self.isolation,
            "uid": self._user(folder.path) if self.isolation == "namespace" else None,
            "run": run,
            "mark": f"{work.id}.{_digest(str(self._works))}",
            "python": self._python,
            "shown": self._shown,
            "keep": self._keep,
            "hide": self._hide,
            "overlays": str(self._overlays),
            "lifeline": self._lifeline if work.serves else "",
            "patience": self.patience,
        }
        write_json(folder.specification, described)

    def _user(self, folder: Path) -> int:
        """A user id that no other work on this machine has until it is forgotten, whichever server's it is."""
        users = self._sockets / "users"
        users.mkdir(mode=0o700, exist_ok=True)
        first = zlib.crc32(str(folder).encode())
        with (self._sockets / "users.lock").open("w") as lock:
            # Or two servers would take the same abandoned one, one after the other.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for step in range(_USERS):
                uid = processes.FIRST_USER + 1 + (first + step) % _USERS
                taken = users / str(uid)
                if taken.is_symlink() and not taken.exists():
                    taken.unlink(missing_ok=True)  # its work was removed by other means than forgetting
                with contextlib.suppress(FileExistsError):
                    taken.symlink_to(folder)
                    return uid
        raise RuntimeError(f"{_USERS} works have a user id already; forget some")

    def _give_back(self, uid: int, folder: Path) -> None:
        taken = self._sockets / "users" / str(uid)
        with contextlib.suppress(FileNotFoundError):
            if taken.readlink() == folder:  # not somebody else's by now
                taken.unlink()

    def _launch(self, folder: WorkFolder, lock: int) -> None:
        with (folder.path / "runner.err").open("wb") as errors:
            subprocess.run(
                words("runner", str(folder.path), str(lock), detached=True),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=(lock,), cwd="/",
                env={"PATH": os.defpath, "LANG": "C.UTF-8"}, check=True,
            )  # fmt: skip

    # Observing

    def _observation(self, folder: WorkFolder, state: dict[str, Any]) -> Observation:
        started = state.get("started")
        if state["phase"] != "ended":
            phase = Phase.STOPPING if folder.stop.exists() else _PHASES[state["phase"]]
            return Observation(phase, started=started, address=self._address(folder))
        return Observation(
            Phase.ENDED,
            started=started,
            ended=state["ended"],
            exit_code=state.get("exit_code"),
            stopped=state.get("stopped", False),
            timed_out=state.get("timed_out", False),
            failure=state.get("failure", ""),
            staged=state.get("staged", True),
            lost=state.get("lost", False),
            usage=Usage(**state.get("usage", {})),
        )

    def _address(self, folder: WorkFolder) -> str:
        run = self._sockets / _digest(str(folder.path))
        if (run / "s").exists():
            return f"unix:{run / 's'}"
        return _told_address(run / "address")

    # Ends that are not the runner's

    def _bury(self, folder: WorkFolder, state: dict[str, Any]) -> dict[str, Any]:
        """Write down the end of a work whose runner was killed, after making sure that nothing of it runs."""
        state = read_json(folder.state) or state
        specification = read_json(folder.specification)
        if state["phase"] == "ended" or specification is None:
            return state
        self._kill_left_behind(state, specification)
        began = "started" in state
        ended = state | {
            "phase": "ended",
            "ended": time.time(),
            "staged": began,
            "exit_code": 137 if began else None,
        }
        ended |= {"lost": True, "failure": "The process that supervised this work was killed."}
        write_json(folder.state, ended, durable=True)
        return ended

    def _kill_runner(self, folder: WorkFolder) -> None:
        """Its lock is free when it is gone; it may not have written its number yet."""
        deadline = time.monotonic() + 10
        while is_locked(folder.lock) and time.monotonic() < deadline:
            state = read_json(folder.state) or {}
            pid = state.get("runner", 0)
            if pid and processes.started_at(pid) == state["runner_started"]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def _kill_left_behind(self, state: dict[str, Any], specification: dict[str, Any]) -> None:
        leader = state.get("leader", 0)
        if leader and processes.started_at(leader) == state["leader_started"]:
            processes.signal_group(leader, signal.SIGKILL)
        processes.kill_marked(f"COLONNADE_WORK={specification['mark']}")
        if specification["uid"] is not None:
            processes.kill_user(specification["uid"])


def _told_address(path: Path) -> str:
    """A port of this machine that the work wrote down; nothing for anything else, whose writer is not to be trusted."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a descriptor
            told = file.read(64).decode("ascii", "replace")
    except OSError:
        return ""
    match = re.fullmatch(r"tcp:127\.0\.0\.1:(\d{1,5})", told)
    return told if match and 1024 <= int(match[1]) <= 65535 else ""


def _tail(path: Path, position: int) -> bytes:
    """Whole lines from `position` on."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            data = file.read(_MOST)
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _make_removable(_function: object, path: str, _error: object) -> None:
    """A work may take the rights to its own folders away; give them back and remove."""
    if not os.path.lexists(path):
        return
    Path(path).parent.chmod(0o700)
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(path).chmod(0o700)
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _server_packages() -> list[str]:
    """Where the packages lie that the server was installed with, pip included, in the order of import."""
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    shown = [ROOT, *(path for path in paths if path != ROOT)]
    if importlib.util.find_spec("pip") is None and (bundled := importlib.util.find_spec("ensurepip")):
        shown += [str(path) for path in Path(bundled.origin or "").parent.glob("_bundled/pip-*.whl")]
    return shown


def _socket_folder() -> Path:
    """A folder of this user's with a short path: a socket's whole path has room for 107 bytes."""
    base = (
        Path("/run")
        if os.geteuid() == 0
        else Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    )
    folder = base / f"colonnade-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder} must be a folder of mode 0700 that belongs to user {os.geteuid()}")
    return folder


EXECUTOR = ProcessExecutor

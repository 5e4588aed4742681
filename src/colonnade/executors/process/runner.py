"""The detached process beside each work: stages, starts the command, watches it, writes down how it ended.

Started by the executor with the work's folder and the lock it has to keep; needs nothing from its starter afterwards and
survives it. Standard library only, so that it is there within milliseconds. Asked to stop by a file in the folder (which
also works after the server was killed and started again) or by SIGTERM.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from colonnade.executors.process import environment, namespace, pipes, plain, processes
from colonnade.executors.process.enter import words
from colonnade.executors.process.folder import WorkFolder, below, take_lock, write_json
from colonnade.executors.process.lifeline import Lifeline
from colonnade.executors.process.metrics import MetricSearch
from colonnade.executors.process.outputs import failure_text
from colonnade.executors.process.staging import (
    Piece,
    StagingFailed,
    can_be_shown,
    place,
    place_holder,
    unpack,
)
from colonnade.executors.process.watch import TICK, Ending, Printer, watch

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main(arguments: Sequence[str]) -> None:
    """`arguments`: the work's folder, and the descriptor that holds its lock (kept open by never closing it)."""
    import json

    folder = WorkFolder(Path(arguments[0]))
    os.set_inheritable(int(arguments[1]), False)
    os.setsid()
    processes.adopt_orphans()
    runner = Runner(folder, json.loads(folder.specification.read_bytes()))
    signal.signal(signal.SIGTERM, lambda *_: folder.stop.touch())
    try:
        runner.run()
    except Exception:
        processes.kill_descendants()
        failure = f"The runner failed: {traceback.format_exc(limit=-1)}"
        runner.end(failure=failure, staged="started" in runner.state, lost=True)
        raise


class Runner:
    def __init__(self, folder: WorkFolder, specification: Mapping[str, Any]) -> None:
        self.folder = folder
        self.specification = specification
        self.isolated = specification["isolation"] != "plain"
        self.uid: int | None = specification["uid"]
        self.state: dict[str, Any] = {"phase": "staging", "runner": os.getpid()}
        self.state["runner_started"] = processes.started_at(os.getpid())
        self.log = folder.log.open("ab", buffering=0)
        self.lifeline = Lifeline(specification["lifeline"], specification["patience"])
        self.overlay: Path | None = None
        self.shown: list[list[str]] = []
        """Files of the inputs that are not copied: (where each lies, its path below the contract's folder)."""

    def run(self) -> None:
        write_json(self.folder.state, self.state)
        try:
            self._stage()
        except StagingFailed as reason:
            return self.end(failure=str(reason), staged=False, stopped=self._stop_wanted())
        if self._stop_wanted():
            return self.end(failure="Stopped before the command began.", staged=False, stopped=True)
        return self._command()

    # Staging

    def _stage(self) -> None:
        ml, given = self.folder.ml, self.specification
        for name in (".", *given["folders"]):
            below(ml, name).mkdir(parents=True, exist_ok=True) if name != "." else ml.mkdir(exist_ok=True)
        for path, piece in given["inputs"]:
            if self._stop_wanted():
                return
            self._bring(piece, path)
        for path, piece in given["archives"]:
            unpack(piece, below(ml, path), self._stop_wanted)
        self.folder.temporary.mkdir(exist_ok=True)
        self._lay_environment()
        if self.uid is not None:
            for owned in (ml, self.folder.temporary, self.folder.environment, Path(given["run"] or ml)):
                environment.give(owned, self.uid)
        if not given["pipes"]:
            self.folder.spool.unlink(missing_ok=True)
        for pipe in given["pipes"]:
            pipes.serve(pipe, below(ml, pipe["path"]), self.uid)

    def _bring(self, piece: Piece, path: str) -> None:
        """A big file is shown where it lies, read-only; a small one is copied, and the work may do with it what it likes."""
        if self.isolated and can_be_shown(piece, stranger=self.uid is not None):
            place_holder(below(self.folder.ml, path))
            self.shown.append([piece["path"], path])
        else:
            place(piece, below(self.folder.ml, path))

    def _lay_environment(self) -> None:
        shown: list[str] = list(self.specification["shown"])
        if self.specification["requirements"].strip():
            self.overlay = self._overlay(shown)
            shown.insert(0, str(environment.packages(self.overlay)))
        environment.lay(self.folder.environment, self.specification["python"], shown)

    def _overlay(self, shown: Sequence[str]) -> Path:
        """The folder with the packages of the requirements, built now unless it was built before."""
        requirements = self.specification["requirements"]
        overlays = Path(self.specification["overlays"])
        overlays.mkdir(parents=True, exist_ok=True)
        overlay = overlays / environment.overlay_name(self.specification["runtime"], requirements, shown)
        complete = overlay / ".complete"
        while (lock := take_lock(overlays / f"{overlay.name}.lock")) is None:
            if self._stop_wanted():
                raise StagingFailed("Stopped while its requirements were being installed.")
            time.sleep(TICK)
        try:
            if not complete.exists():
                shutil.rmtree(overlay, ignore_errors=True)
                environment.lay(overlay, self.specification["python"], shown)
                (overlay / "requirements.txt").write_text(requirements)
                self._install(overlay)
                complete.touch()
        finally:
            os.close(lock)
        return overlay

    def _install(self, overlay: Path) -> None:
        """pip as the work itself would run it: same user, same view, nothing of the server's in reach."""
        seen = namespace.ENVIRONMENT if self.isolated else str(overlay)
        command = ["python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r"]
        command.append(f"{seen}/requirements.txt")
        if self.uid is not None:
            environment.give(overlay, self.uid)
            environment.give(self.folder.temporary, self.uid)
        process = self._launch(command, overlay, self._base_variables(overlay))
        status, _ = self._watch(process, lambda: self._kill_when_unwanted(process.pid))
        if status != 0:
            raise StagingFailed(
                f'InstallRequirementsError:\nExitCode {status}\nErrorMessage "{self._last_line()}"\n'
                f'Command "{" ".join(command)}"'
            )
        if self.uid is not None:
            environment.give(overlay, os.geteuid())

    def _kill_when_unwanted(self, leader: int) -> None:
        if self._stop_wanted():
            processes.signal_group(leader, signal.SIGKILL)

    def _last_line(self) -> str:
        """What pip said last that looks like a reason."""
        texts = [
            line.partition(" ")[2] for line in self.folder.log.read_text(errors="replace").splitlines()[-20:]
        ]
        return next(
            (text for text in reversed(texts) if text.startswith("ERROR")), texts[-1] if texts else ""
        )

    # The command

    def _command(self) -> None:
        given = self.specification
        command, variables = list(given["command"]), dict(given["variables"])
        if not self.isolated:
            command = plain.command(command, self.folder.ml)
            variables = plain.variables(variables, self.folder.ml)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = self._launch(
            command, self.folder.environment, self._base_variables(self.folder.environment) | variables
        )
        begun = time.monotonic()
        self.state |= {"phase": "running", "started": time.time(), "leader": process.pid}
        self.state["leader_started"] = processes.started_at(process.pid)
        write_json(self.folder.state, self.state)
        ending = Ending(given["limits"], begun, process.pid, self._stop_wanted)
        status, used = self._watch(process, ending.step)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        usage = {"wall_seconds": wall, "cpu_seconds": cpu, "peak_memory_bytes": used.ru_maxrss * 1024}
        self.end(
            exit_code=status,
            stopped=ending.stopped,
            timed_out=ending.timed_out,
            usage=usage,
            failure=failure_text(self.folder.ml),
        )

    def _base_variables(self, place: Path) -> dict[str, str]:
        seen = namespace.ENVIRONMENT if self.isolated else str(place)
        scripts = [f"{seen}/bin", *([f"{self.overlay}/bin"] if self.overlay else [])]
        home = "/tmp" if self.isolated else str(self.folder.temporary)
        variables = dict(self.specification["passed"]) | {
            "COLONNADE_WORK": self.specification["mark"],
            "PATH": ":".join([*scripts, _SYSTEM_PATH]),
            "HOME": home, "TMPDIR": home, "USER": "colonnade", "LOGNAME": "colonnade",
            "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "VIRTUAL_ENV": seen,
        }  # fmt: skip
        if self.specification["run"]:
            variables["COLONNADE_SOCKET"] = (
                f"{namespace.RUN if self.isolated else self.specification['run']}/s"
            )
        if self.overlay:
            text = self.specification["requirements"].encode()
            variables["COLONNADE_REQUIREMENTS"] = hashlib.sha256(text).hexdigest()
        return variables

    def _launch(
        self, command: list[str], place: Path, variables: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        given = self.specification
        if command[0] in ("python", "python3"):
            command = [f"{namespace.ENVIRONMENT if self.isolated else place}/bin/python", *command[1:]]
        entry = {
            "isolation": given["isolation"], "uid": self.uid, "runner": os.getpid(), "command": command,
            "variables": dict(variables), "ml": str(self.folder.ml), "environment": str(place), "run": given["run"],
            "temporary": str(self.folder.temporary), "hide": given["hide"], "shown": self.shown,
            "keep": [*given["keep"], *([str(self.overlay)] if self.overlay else [])],
            "directory": namespace.CONTRACT if self.isolated else str(self.folder.ml),
            "memory": given["limits"].get("memory_bytes"),
        }  # fmt: skip
        write_json(self.folder.path / "entry.json", entry)
        return subprocess.Popen(
            words("enter", str(self.folder.path / "entry.json")),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _watch(
        self, process: subprocess.Popen[bytes], step: Callable[[], None]
    ) -> tuple[int, resource.struct_rusage]:
        search = MetricSearch(self.specification["metrics"])
        return watch(process, Printer(self.log, self.folder.metrics, search), self.uid, step)

    def _stop_wanted(self) -> bool:
        return self.folder.stop.exists() or self.lifeline.is_lost()

    def end(self, **how: Any) -> None:
        self.state |= {"phase": "ended", "ended": time.time()} | how
        os.fsync(self.log.fileno())
        if self.specification["run"]:
            shutil.rmtree(self.specification["run"], ignore_errors=True)
        write_json(self.folder.state, self.state, durable=True)

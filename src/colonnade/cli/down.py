"""`colonnade down`: tell the supervisor, wait until the last process has let go of the folder."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from colonnade.cli import server
from colonnade.cli.terminal import NOT_RUNNING, CommandError, print_json
from colonnade.supervisor import LEADER_STOP_SECONDS, WORKER_STOP_SECONDS, folder


def add(parser: argparse.ArgumentParser) -> None:
    server.add_folder(parser)
    parser.add_argument(
        "--keep-jobs", action="store_true", help="jobs run on; the next `colonnade up` takes them up"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    data = server.chosen(arguments).data
    pid = folder.holder(data)
    if pid is None:
        raise CommandError(
            f"no server is running in {data}: nothing to stop (--data names another folder)", NOT_RUNNING
        )
    record = folder.running(data)
    if arguments.keep_jobs and record and record.ephemeral:
        raise CommandError(
            "an ephemeral server keeps nothing, so its jobs end with it: leave --keep-jobs out"
        )
    if not arguments.json and sys.stdout.isatty():
        print(f"stopping process {pid}, which lets jobs end (120 s at most) ...", flush=True)
    _stop(pid, keep_jobs=arguments.keep_jobs)
    _wait_until_free(data, pid)
    if arguments.json:
        print_json({"stopped": pid, "data": str(data), "jobs": "kept" if arguments.keep_jobs else "stopped"})
    else:
        print(f"stopped process {pid}" + ("; its jobs live on" if arguments.keep_jobs else ""))
    return 0


def _stop(pid: int, *, keep_jobs: bool) -> None:
    # Gone already: only its children are left, and they are dying.
    with suppress(ProcessLookupError):
        try:
            if keep_jobs:
                os.kill(pid, signal.SIGUSR1)
            os.kill(pid, signal.SIGTERM)
        except PermissionError:
            raise CommandError(
                f"process {pid} is another user's: stop it as the user who started it"
            ) from None


def _wait_until_free(data: Path, pid: int) -> None:
    """The lock is free when the last of its processes has ended."""
    patience = WORKER_STOP_SECONDS + LEADER_STOP_SECONDS + 10
    deadline = time.monotonic() + patience
    while folder.holder(data) is not None:
        if time.monotonic() > deadline:
            raise CommandError(
                f"process {pid} has not ended within {patience:.0f} s: `kill -9 {pid}` ends it at once"
            )
        time.sleep(0.05)

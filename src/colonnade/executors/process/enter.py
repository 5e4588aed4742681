"""The process that becomes the command: takes on its view and user, ties its life to the runner's, and executes.

Started by the runner with the name of a JSON file; everything here happens in a single-threaded process of its own, so
that nothing but async-signal-safe work is left to the runner's fork.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from colonnade.executors.process import namespace, processes

ROOT = str(Path(__file__).parents[3])
"""Where this package lies; interpreters that run its parts see nothing else."""


def words(module: str, *arguments: str, detached: bool = False) -> list[str]:
    """A command line that runs `main` of a module of this package, in the barest interpreter there is; `detached` in a
    child that nobody waits for."""
    program = (
        f"import os, sys; {'os.fork() and os._exit(0); ' if detached else ''}sys.path.insert(0, {ROOT!r}); "
        f"from colonnade.executors.process.{module} import main; main(sys.argv[1:])"
    )
    return [sys.executable, "-I", "-S", "-c", program, *arguments]


def main(arguments: Sequence[str]) -> None:
    entry: dict[str, Any] = json.loads(Path(arguments[0]).read_bytes())
    os.umask(0o022)
    if entry["isolation"] != "plain":
        namespace.enter(entry)
    processes.gain_no_privileges()
    processes.die_with(entry["runner"])
    processes.take_no_more_than(entry.get("memory"))
    command: list[str] = entry["command"]
    try:
        os.chdir(entry["directory"])
        os.execvpe(command[0], command, entry["variables"])
    except OSError as error:
        print(f"cannot run {command[0]!r}: {error.strerror}", file=sys.stderr, flush=True)
        # As a shell answers: 127 for what is not there, 126 for what cannot be executed.
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)

"""From a `Work` to what its runner reads: plain JSON beside the bytes that only the caller can bring.

Contents that lie on this machine are named by path; others are read here, into one spool file in the work's folder, so
that the runner needs no keys, no store and no server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from colonnade.executors import Input, Pipe, Work
from colonnade.executors.process.folder import WorkFolder, below
from colonnade.executors.process.staging import Piece
from colonnade.kernel.ports import ObjectContent

_PASSED = frozenset({"TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"})
_PASSED_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})


def specify(work: Work, folder: WorkFolder) -> dict[str, Any]:
    """The parts that follow from the work alone; writes its files and spools its contents."""
    for path, content in work.files.items():
        target = below(folder.ml, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    named: list[Input | Pipe] = [*work.inputs, *work.archives, *work.pipes]
    for path in (*work.folders, *(each.path for each in named)):
        below(folder.ml, path)
    with folder.spool.open("wb") as spool:
        inputs = [[each.path, _piece(each.content, spool)] for each in work.inputs]
        archives = [[each.path, _piece(each.content, spool)] for each in work.archives]
        pipes = [_pipe(pipe, spool) for pipe in work.pipes]
    return {
        "id": work.id,
        "command": list(work.command),
        "variables": dict(work.variables),
        "runtime": work.environment.runtime,
        "requirements": work.environment.requirements,
        "folders": list(work.folders),
        "inputs": inputs,
        "archives": archives,
        "pipes": pipes,
        "metrics": [list(metric) for metric in work.metrics],
        "limits": {
            "max_runtime_seconds": work.limits.max_runtime_seconds,
            "stop_grace_seconds": work.limits.stop_grace_seconds,
            "memory_bytes": work.limits.memory_bytes,
        },
        "passed": passed_variables(os.environ),
    }


def _pipe(pipe: Pipe, spool: BinaryIO) -> dict[str, Any]:
    return {
        "path": pipe.path,
        "contents": [_piece(content, spool) for content in pipe.contents],
        "gunzip": pipe.gunzip,
        "record_io": pipe.record_io,
        "shuffle_seed": pipe.shuffle_seed,
        "group": pipe.group,
    }


def _piece(content: ObjectContent, spool: BinaryIO) -> Piece:
    if content.local_path is not None:
        return {"path": str(content.local_path)}
    offset = spool.tell()
    with content.open() as source:
        shutil.copyfileobj(source, spool, 1 << 20)
    return {"path": str(spool.name), "offset": offset, "size": spool.tell() - offset}


def passed_variables(variables: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Of the server's own variables only what reaching a package index takes. The rest may hold its secrets."""
    return {
        name: value
        for name, value in variables.items()
        if name in _PASSED or name.upper() in _PASSED_PROXIES or name.startswith("PIP_")
    }


def visible_folders(paths: Sequence[str]) -> list[str]:
    """The folders among `paths`, each once, without those inside another."""
    folders = sorted({str(Path(path).resolve()) for path in paths} | set(paths), key=len)
    chosen: list[str] = []
    for folder in folders:
        if Path(folder).is_dir() and not any(Path(folder).is_relative_to(outer) for outer in chosen):
            chosen.append(folder)
    return chosen

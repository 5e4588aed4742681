"""`colonnade status`: the server's processes from its record, endpoints and jobs from the public API."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from colonnade.cli import server
from colonnade.cli.client import ApiError, Client
from colonnade.cli.terminal import duration, print_json, styled, table
from colonnade.supervisor.folder import ServerRecord

_RUNNING = {"StatusEquals": "InProgress", "MaxResults": 100}
_JOBS = (
    ("training", "ListTrainingJobs", "TrainingJob"),
    ("tuning", "ListHyperParameterTuningJobs", "HyperParameterTuningJob"),
    ("processing", "ListProcessingJobs", "ProcessingJob"),
    ("transform", "ListTransformJobs", "TransformJob"),
)


def add(parser: argparse.ArgumentParser) -> None:
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    record = server.find(server.chosen(arguments))
    client = server.client(record)
    endpoints = _listed(client, "ListEndpoints", "Endpoint", {"MaxResults": 100}, "Endpoints")
    jobs = {
        kind: _listed(client, operation, noun, _RUNNING, f"{noun}Summaries")
        for kind, operation, noun in _JOBS
    }
    served = _served(record)
    if arguments.json:
        memory = {name: _memory(pid) for name, pid in _processes(record)}
        print_json(
            {
                "server": {"url": record.url, **asdict(record), "memory": memory},
                "endpoints": endpoints,
                "served": served,
                "jobs": jobs,
            }
        )
    else:
        _show(record, endpoints, served, jobs)
    return 0


def _listed(
    client: Client, operation: str, noun: str, parameters: dict[str, Any], result: str
) -> list[dict[str, Any]] | None:
    """Name, status and age of each; None when the server does not implement the listing."""
    try:
        found = list(client.pages("sagemaker", operation, parameters, result))
    except ApiError as error:
        if error.status == 501:
            return None
        raise
    return [
        {"name": each[f"{noun}Name"], "status": each[f"{noun}Status"], "created": each["CreationTime"]}
        for each in found
    ]


def _served(record: ServerRecord) -> list[dict[str, Any]]:
    """How the containers behind endpoints are served; nothing where the server does not tell."""
    from urllib.request import urlopen

    try:
        with urlopen(f"{record.url}/_colonnade/endpoints", timeout=10) as answer:
            return list(json.load(answer)["containers"])
    except OSError:
        return []


def _show(
    record: ServerRecord,
    endpoints: list[dict[str, Any]] | None,
    served: list[dict[str, Any]],
    jobs: dict[str, list[dict[str, Any]] | None],
) -> None:
    now = time.time()
    print(
        f"{styled('Colonnade', '1', sys.stdout)} {record.version} at {record.url}, up {duration(now - record.started)}, "
        f"data in {record.data}"
    )
    _section("processes", (_process_row(name, pid) for name, pid in _processes(record)))
    _section("endpoints", (_row(each, "", now) for each in endpoints or ()))
    if served:
        _section("models behind them", map(_served_row, served))
    _section("running jobs", (_row(each, kind, now) for kind, found in jobs.items() for each in found or ()))


def _section(title: str, rows: Iterable[list[str]]) -> None:
    lines = table(list(rows))
    print(f"\n{title}" if lines else f"\n{title}: none")
    print("".join(f"  {line}\n" for line in lines), end="")


def _row(each: dict[str, Any], kind: str, now: float) -> list[str]:
    colour = {"InService": "32", "Failed": "31"}.get(each["status"], "33")
    cells = [
        each["name"],
        f"since {duration(now - each['created'])}",
        styled(each["status"], colour, sys.stdout),
    ]
    return [kind, *cells] if kind else cells


_HOW = {
    "compiled": ("inside the server", "32"),
    "native": ("by its own library", "33"),
    "script": ("by your code", ""),
    "many": ("many models", ""),
}


def _served_row(each: dict[str, Any]) -> list[str]:
    name = f"{each['endpoint']} / {each['variant']}"
    if each["container"] != "primary":
        name += f" / {each['container']}"
    how, colour = _HOW.get(each["served"], (each["served"], ""))
    reason = " ".join(each["reason"].removeprefix("served natively: ").split())
    return [name, styled(how, colour, sys.stdout) if colour else how, reason]


def _processes(record: ServerRecord) -> list[tuple[str, int | None]]:
    own = [] if record.ephemeral else [("supervisor", record.pid)]
    return [*own, *record.processes.items()]


def _process_row(name: str, pid: int | None) -> list[str]:
    memory = _memory(pid)
    return [name, f"pid {pid}" if pid else "to start again", f"{memory / 2**20:.0f} MiB" if memory else ""]


def _memory(pid: int | None) -> int | None:
    """Resident bytes, where /proc tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 if "VmRSS:" in status else None

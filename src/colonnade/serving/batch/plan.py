"""What one instance of a transform job is to do: written by the job's reconciler, read by the instance."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

PATH = "input/config/transform.json"
"""Relative to the contract's folder, as are the paths below."""
OUTPUTS, DATA_LOG, FAILURE = "output/data", "output/data-log", "output/failure"


class File(msgspec.Struct, frozen=True):
    path: str
    """Where it was brought."""
    name: str
    """`<bucket>/<key>`: what the logs call it."""
    output: str
    """The file that holds the whole answer once there is one, and is not there before."""


class Container(msgspec.Struct, frozen=True):
    """One container of the model. A payload goes through all of them, in order."""

    name: str
    handlers: str
    """`native`, `http-server`, or the framework's handlers for a script."""
    folder: str
    """Of the model's files."""
    environment: dict[str, str] = {}
    """Laid over the process's own; empty for the only container."""


class Plan(msgspec.Struct, frozen=True):
    files: list[File]
    containers: list[Container]
    content_type: str = ""
    accept: str = ""
    gzip: bool = False
    split: Literal["None", "Line", "RecordIO", "TFRecord"] = "None"
    assemble: Literal["None", "Line"] = "None"
    single_record: bool = False
    max_payload_mb: int = 6
    concurrency: int = 0
    """0: as many as the model's containers want."""
    instances: int = 1
    """How many share the machine."""
    timeout_seconds: float = 600.0
    retries: int = 3
    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False

    @property
    def max_payload(self) -> int:
        return self.max_payload_mb << 20

    @property
    def lanes(self) -> int:
        """Built-in algorithms want every core, as their container says at /execution-parameters; scripts one request at a time."""
        if self.concurrency:
            return self.concurrency
        if any(container.handlers != "native" for container in self.containers):
            return 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(cores // self.instances, 100 // self.max_payload_mb))


def encode(plan: Plan) -> bytes:
    return msgspec.json.encode(plan)


def decode(data: bytes) -> Plan:
    return msgspec.json.decode(data, type=Plan)

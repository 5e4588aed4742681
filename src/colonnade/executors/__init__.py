"""Where work runs: one Protocol, a file or folder per implementation (`process/` here and now; Ray, Docker later).

Work is a folder with a contract (`/opt/ml` as it sees it), a command, and limits. Jobs end by themselves; replicas are
work that serves until stopped. Callers (reconcilers) see only this Protocol and may be killed at any moment; the work goes
on, and the next caller finds it by its id. Nothing here assumes that work runs on the caller's machine: inputs are
contents to read, outputs are listed and opened, an address is told, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import BinaryIO, Protocol, cast

from colonnade.kernel.ports import LogEvent, ObjectContent


@dataclass(frozen=True, slots=True)
class Input:
    """One file to be there before the command starts."""

    path: str
    """Relative to the work's folder: `input/data/train/part-0.csv`."""
    content: ObjectContent


@dataclass(frozen=True, slots=True)
class Pipe:
    """A channel read through FIFOs, `<path>_0`, `<path>_1`, ... one an epoch (semantics 1.12, Pipe mode)."""

    path: str
    """`input/data/train`: the FIFOs are `input/data/train_0` and so on."""
    contents: Sequence[ObjectContent]
    gunzip: bool = False
    record_io: bool = False
    shuffle_seed: int | None = None
    """Shuffle the contents, anew at each epoch."""
    group: int = 1
    """Contents that stay together when shuffled: the attributes of an augmented manifest's line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the command runs in: a runtime's interpreter and packages, by name; never the server's own environment."""

    runtime: str
    requirements: str = ""
    """Text of a requirements.txt laid over the runtime before start; empty for none."""


@dataclass(frozen=True, slots=True)
class Limits:
    max_runtime_seconds: float | None = None
    """Wall clock from the command's start; then the stop sequence runs."""
    stop_grace_seconds: float = 120.0
    """Between SIGTERM and SIGKILL: 120 for training, 30 for serving."""
    memory_bytes: int | None = None
    """Private memory that each of its processes may ask for; what is beyond is refused to it."""


@dataclass(frozen=True, slots=True)
class Work:
    id: str
    """Unique for ever, `[a-z0-9-]{1,100}`: starting the same id again is a no-op."""
    command: Sequence[str]
    """`python` as first word means the runtime's interpreter."""
    environment: Environment
    variables: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small files written before start, by path relative to the folder: `input/config/hyperparameters.json`."""
    folders: Sequence[str] = ()
    """Made empty and writable before start: `model`, `output/data`."""
    inputs: Sequence[Input] = ()
    pipes: Sequence[Pipe] = ()
    archives: Sequence[Input] = ()
    """Tar archives, plain or gzipped, unpacked into `path` (a folder) before start."""
    limits: Limits = Limits()
    metrics: Sequence[tuple[str, str]] = ()
    """(name, regex): searched in each line the command prints; group 1 is the value."""
    serves: bool = False
    """Whether it is a replica: it gets an address to listen on, and ends when the server has gone. COLONNADE_SOCKET tells it the
    path of a unix socket; one that cannot have such writes `tcp:127.0.0.1:<port>` into the file `address` beside that."""


class Phase(Enum):
    ABSENT = "absent"
    """Never started, or forgotten."""
    STAGING = "staging"
    """Inputs are being brought, the environment is being laid."""
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Usage:
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    phase: Phase
    started: float | None = None
    """Epoch seconds when the command began to run; None before that or when it never did."""
    ended: float | None = None
    exit_code: int | None = None
    """128 + signal for a killed command, None when it never ran."""
    stopped: bool = False
    """It ended after `stop`, whatever its exit code."""
    timed_out: bool = False
    """It ended because of `max_runtime_seconds`."""
    failure: str = ""
    """First 1,024 characters of `output/failure` when it was written; or, when the command never ran, why."""
    staged: bool = True
    """False: it ended before the command began, because of inputs, archives or requirements (`failure` says which)."""
    lost: bool = False
    """It ended because what supervised it was killed or failed: no doing of the command's."""
    usage: Usage = Usage()
    address: str = ""
    """`unix:<path>` or `tcp:<host>:<port>` where a replica listens; empty for jobs."""


@dataclass(frozen=True, slots=True)
class Lines:
    events: Sequence[LogEvent]
    position: int
    """Where the next call continues."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    value: float
    timestamp: float


@dataclass(frozen=True, slots=True)
class OutputFile:
    path: str
    """Relative to the folder that was asked for."""
    size: int
    modified: float
    mode: int


class Executor(Protocol):
    def start(self, work: Work) -> None:
        """Begin, and return soon; idempotent by `work.id`, also across crashes of the caller. When it raises, nothing runs."""
        ...

    def observe(self, work_id: str) -> Observation:
        """How it stands. A command whose supervisor was killed is reported ENDED with what is known, never RUNNING."""
        ...

    def stop(self, work_id: str) -> None:
        """SIGTERM, then SIGKILL after the grace; returns at once. Silent for work that has ended or never was."""
        ...

    def logs(self, work_id: str, position: int = 0) -> Lines:
        """What it printed since `position` (0: from the start), whole lines only, until it has ended."""
        ...

    def metrics(self, work_id: str, position: int = 0) -> tuple[Sequence[Metric], int]:
        """Values found in the log since `position`, and where to continue."""
        ...

    def outputs(self, work_id: str, folder: str) -> Sequence[OutputFile]:
        """Regular files below a folder of the work's, in path order; links that leave the folder are not followed."""
        ...

    def open(self, work_id: str, path: str) -> BinaryIO:
        """A file of the work's, by path relative to its folder. Raises FileNotFoundError."""
        ...

    def forget(self, work_id: str) -> None:
        """Kill what still runs and remove every trace; silent when there is none."""
        ...

    def known(self) -> Iterator[str]:
        """Ids of all work not forgotten, so that what belongs to no resource can be found."""
        ...


def load(name: str) -> type[Executor]:
    """The executor class of that name: attribute `EXECUTOR` of the module or package beside this file."""
    return cast(type[Executor], import_module(f"{__name__}.{name}").EXECUTOR)

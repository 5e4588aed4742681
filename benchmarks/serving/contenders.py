"""Who is compared: how each is installed (locked, in an environment of its own), started, asked, and what it uses.

A contender that cannot be installed or does not answer is reported with the reason, never left out.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
HOME = TOP / ".peers" / "serving"
SERVERS = HERE / "servers"
_MARK = "BENCHMARK_MARK"
_START_SECONDS = 120.0


class Absent(Exception):  # noqa: N818 - a fact that the report states
    """It cannot be installed or does not start; the text says why."""


@dataclass(frozen=True)
class Contender:
    name: str
    environment: str
    """Of requirements/<environment>.lock."""
    what: str
    """How it is asked, for the report."""
    command: Callable[[Start], Sequence[str]]
    request: Callable[[str], tuple[str, str, bytes]]
    """From a CSV row to path, content type and body."""
    variables: Callable[[Start], Mapping[str, str]] = field(default=lambda start: {})


@dataclass(frozen=True)
class Start:
    """What a contender is started with."""

    folder: Path
    bin: Path
    port: int
    workers: int


@dataclass(frozen=True)
class Running:
    port: int
    mark: str
    requests: Callable[[], Sequence[bytes]]
    """As bytes on the wire; signed anew at each call, where they are signed."""

    def pids(self) -> list[int]:
        return marked(self.mark)

    def cpu_seconds(self) -> float:
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(_ticks(pid) for pid in self.pids()) / ticks

    def pss_mib(self) -> float:
        return sum(_pss(pid) for pid in self.pids()) / 1024


def _csv(row: str) -> tuple[str, str, bytes]:
    return "/predict", "text/csv", row.encode()


def _v2(row: str) -> tuple[str, str, bytes]:
    values = [float(cell) for cell in row.split(",")]
    tensor = {"name": "input", "shape": [1, len(values)], "datatype": "FP32", "data": values}
    return "/v2/models/scores/infer", "application/json", json.dumps({"inputs": [tensor]}).encode()


def _row(row: str) -> tuple[str, str, bytes]:
    return "/predict", "application/json", json.dumps({"row": row}).encode()


def _mlflow(row: str) -> tuple[str, str, bytes]:
    values = [float(cell) for cell in row.split(",")]
    return "/invocations", "application/json", json.dumps({"inputs": [values]}).encode()


def _mlserver(start: Start) -> Sequence[str]:
    # Without the pool of processes it predicts in the process that answers, which is faster.
    settings = {
        "host": "127.0.0.1",
        "http_port": start.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0 if start.workers == 1 else start.workers,
        "debug": False,
        "use_structured_logging": False,
        "logging_settings": None,
    }
    (start.folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "scores", "implementation": "mlserver_runtime.Scores"}
    (start.folder / "model-settings.json").write_text(json.dumps(model))
    return [str(start.bin / "mlserver"), "start", str(start.folder)]


def _bentoml(start: Start) -> Sequence[str]:
    return [
        str(start.bin / "bentoml"), "serve", "bentoml_service:Scores", "--working-dir", str(SERVERS),
        "--port", str(start.port), "--host", "127.0.0.1", *(["--api-workers", str(start.workers)]),
    ]  # fmt: skip


def _mlflow_serve(start: Start) -> Sequence[str]:
    saved = start.folder / "model"
    if not saved.exists():
        made = [str(start.bin / "python"), str(SERVERS / "mlflow_model.py"), str(saved)]
        _run(made, {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{start.folder}/mlflow.db"})
    return [
        str(start.bin / "mlflow"), "models", "serve", "-m", str(saved), "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(start.port), "--workers", str(start.workers),
    ]  # fmt: skip


def _program(name: str) -> Callable[[Start], Sequence[str]]:
    return lambda start: [str(start.bin / "python"), str(SERVERS / name)]


FLOOR = Contender(
    "floor", "floor", "raw ASGI on uvicorn, uvloop, httptools; CSV in, text out", _program("floor.py"), _csv
)
PEERS = (
    Contender("MLServer", "mlserver", "V2 protocol, one FP32 tensor; custom runtime", _mlserver, _v2),
    Contender(
        "LitServe", "litserve", "JSON of one string in, JSON out", _program("litserve_server.py"), _row
    ),
    Contender("BentoML", "bentoml", "JSON of one string in, text out", _bentoml, _row),
    Contender("MLflow", "mlflow", "JSON `inputs`, pyfunc model", _mlflow_serve, _mlflow),
    Contender("Ray Serve", "ray-serve", "CSV in, text out", _program("ray_serve.py"), _csv),
)


def install(contender: Contender) -> Path:
    """The folder of its programs, with exactly what its lock says."""
    home, lock = HOME / contender.environment, HERE / "requirements" / f"{contender.environment}.lock"
    done = home / ".locked"
    if done.exists() and done.read_text() == lock.read_text():
        return home / "bin"
    uv = [sys.executable, "-m", "uv"]
    made = {**os.environ, "UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "1")}
    _run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], made)
    python = str(home / "bin" / "python")
    _run(
        [
            *uv,
            "pip",
            "sync",
            "--quiet",
            "--compile-bytecode",
            "--require-hashes",
            "--python",
            python,
            str(lock),
        ],
        made,
    )
    done.write_text(lock.read_text())
    return home / "bin"


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900, env=dict(environment))
    if ran.returncode:
        raise Absent(f"{' '.join(command[:4])} ... ended with {ran.returncode}: {ran.stderr.strip()[-400:]}")


@contextmanager
def started(
    contender: Contender, folder: Path, model: Path, rows: Sequence[str], *, cores: set[int], workers: int = 1
) -> Iterator[Running]:
    """Answering, on those cores. Raises Absent."""
    folder.mkdir(parents=True, exist_ok=True)
    start = Start(folder, install(contender), free_port(), workers)
    mark = f"{os.getpid()}-{contender.environment}-{start.port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COLONNADE"))},
        **contender.variables(start),
        "PATH": f"{start.bin}:{os.environ['PATH']}",
        "PYTHONPATH": str(SERVERS),
        "MODEL": str(model),
        "PORT": str(start.port),
        "WORKERS": str(workers),
        "OMP_NUM_THREADS": "1",
        # None of them is to tell anybody anything.
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        _MARK: mark,
    }
    command = contender.command(start)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    try:
        requests = [_http(start.port, *contender.request(row)) for row in rows]
        _wait(start.port, requests[0], process, folder / "server.log")
        yield Running(start.port, mark, lambda: requests)
    finally:
        end(mark)
        process.wait(20)


def _http(port: int, path: str, content_type: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _wait(port: int, request: bytes, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline, said = time.monotonic() + _START_SECONDS, b""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Absent(f"ended with exit code {process.returncode}: {log.read_text()[-600:]}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                probe.sendall(request)
                said = probe.recv(65536)
                if said.startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise Absent(
        f"no good answer within {_START_SECONDS:.0f} s; last {said[:200]!r}; {log.read_text()[-400:]}"
    )


# Processes: found by a mark in their environment, since some of them leave their parents


def marked(mark: str) -> list[int]:
    wanted, found = f"{_MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def end(mark: str) -> None:
    """All processes of the mark, politely and then not."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + patience
        for pid in marked(mark):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.1)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

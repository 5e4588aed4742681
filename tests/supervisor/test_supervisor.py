"""The supervisor with real processes: what it starts, restarts, refuses and leaves behind. Nothing here sleeps for luck."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from colonnade.supervisor import folder

STUB = Path(__file__).with_name("stub_server.py")
DEADLINE = 60.0
T = TypeVar("T")


def until(what: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.01)
    raise AssertionError(f"not within {DEADLINE} s: {what}")


def is_gone(pid: int) -> bool:
    """Ended, or a zombie that only waits for whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Server:
    def __init__(self, data: Path, port: int = 0, workers: int = 2) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [
                sys.executable,
                STUB,
                "up",
                "--settings",
                json.dumps({"data": str(data), "port": port, "workers": workers}),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        told: dict[str, Any] = json.loads(line)
        return told

    def record(self) -> folder.ServerRecord:
        return until("the record", lambda: folder.running(self.data))

    def end(self, *signals: signal.Signals) -> tuple[int, str]:
        for each in signals:
            self.process.send_signal(each)
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(data: Path = tmp_path / "data", **options: Any) -> Server:
        servers.append(Server(data, **options))
        return servers[-1]

    yield make
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def ask(port: int) -> int:
    """The pid of the worker that answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return int(connection.recv(4096).rpartition(b"\r\n")[2])


def test_readiness_is_told_when_a_worker_answers_and_stopping_leaves_nothing(
    start: Callable[..., Server],
) -> None:
    server = start()

    told = server.ready()
    pids = [told["pid"], *told["processes"].values()]
    assert ask(told["port"]) in pids
    assert set(told["processes"]) == {"leader", "worker-1", "worker-2"}
    assert folder.holder(server.data) == told["pid"] == server.process.pid

    code, _ = server.end(signal.SIGTERM)

    assert code == 0
    assert all(is_gone(pid) for pid in pids)
    assert folder.running(server.data) is None
    assert folder.holder(server.data) is None
    assert (server.data / "leader-was-told").read_text() == "SIGTERM"


def test_keeping_jobs_is_told_to_the_leader_before_it_is_to_stop(start: Callable[..., Server]) -> None:
    server = start()
    server.ready()

    code, errors = server.end(signal.SIGUSR1, signal.SIGTERM)

    assert code == 0
    assert "jobs live on" in errors
    assert (server.data / "leader-was-told").read_text() == "SIGUSR1 SIGTERM"


@pytest.mark.parametrize("name", ["leader", "worker-1"])
def test_a_child_that_is_killed_comes_back_and_no_connection_is_refused(
    start: Callable[..., Server], name: str
) -> None:
    server = start(workers=1)
    told = server.ready()
    killed = told["processes"][name]

    os.kill(killed, signal.SIGKILL)
    until("its end", lambda: is_gone(killed))
    ask(told["port"])

    def came_back() -> bool:
        record = folder.running(server.data)
        return record is not None and record.processes[name] not in (None, killed)

    until(f"another {name}", came_back)
    _, errors = server.end(signal.SIGTERM)
    assert f"{name} was ended by SIGKILL; it starts again in 0.1 s" in errors


def test_kill_9_of_the_supervisor_leaves_no_child_and_the_folder_can_be_served_again(
    start: Callable[..., Server],
) -> None:
    server = start()
    pids = list(server.ready()["processes"].values())

    server.end(signal.SIGKILL)
    again = start(server.data).ready()

    assert all(is_gone(pid) for pid in pids)
    assert again["pid"] != server.process.pid
    assert not (server.data / "leader-was-told").exists()


def test_a_second_server_on_the_folder_is_refused_and_told_who_has_it(start: Callable[..., Server]) -> None:
    first = start()
    first.ready()

    code, errors = start(first.data).end()

    assert code == 1
    assert f"process {first.process.pid} already serves the data folder {first.data}" in errors
    assert "colonnade down" in errors
    assert folder.running(first.data) is not None


def test_a_taken_port_is_refused_naming_who_has_it(start: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code, errors = start(port=port).end()

    assert code == 1
    assert f"port {port} of 127.0.0.1 is taken by process {os.getpid()}" in errors
    assert "--port" in errors


def test_a_child_that_cannot_start_fails_the_start_and_is_not_tried_again(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "leader-fails").touch()

    code, errors = start().end()

    assert code == 1
    assert errors.count("the stub was told to fail") == 1
    assert "leader ended with exit code 1 before the server was ready" in errors


def test_a_second_interrupt_ends_everything_at_once(start: Callable[..., Server]) -> None:
    server = start()
    told = server.ready()
    (server.data / "leader-hangs").touch()
    server.process.send_signal(signal.SIGINT)
    until(
        "workers gone",
        lambda: is_gone(told["processes"]["worker-1"]) and is_gone(told["processes"]["worker-2"]),
    )

    code, errors = server.end(signal.SIGINT)

    assert code == 0
    assert "killing leader: told to stop a second time" in errors
    assert is_gone(told["processes"]["leader"])


def test_the_supervisor_stays_lean(start: Callable[..., Server]) -> None:
    server = start()
    server.ready()

    status = Path(f"/proc/{server.process.pid}/status").read_text()

    resident_kib = int(status.split("VmRSS:")[1].split()[0])
    assert resident_kib < 40_000, f"{resident_kib} KiB: something heavy is imported"

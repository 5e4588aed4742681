"""A server whose children do nothing but what supervision sees of them. Run by test_supervisor.py, as a process."""

import argparse
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from colonnade import settings, supervisor
from colonnade.credentials import CredentialsError
from colonnade.supervisor.child import say_leading, tie_to_parent
from colonnade.supervisor.folder import FolderError, ServerRecord
from colonnade.supervisor.listening import PortError


def up(data: Path, port: int, workers: int) -> int:
    logging.basicConfig(level="INFO", format="%(message)s")
    stub = (sys.executable, __file__)
    try:
        return supervisor.run(settings.Settings(data=data, port=port, workers=workers), announce, stub)
    except (FolderError, PortError, CredentialsError, supervisor.StartError) as error:
        print(error, file=sys.stderr)
        return 1


def announce(record: ServerRecord) -> None:
    print(json.dumps(asdict(record)), flush=True)


def worker(fd: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = socket.socket(fileno=fd)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n%9d" % os.getpid())


def leader(data: Path, ready: int) -> None:
    if (data / "leader-fails").exists():
        sys.exit("the stub was told to fail")
    signals = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    say_leading(ready)
    received = [signal.sigwait(signals).name]
    while received[-1] != "SIGTERM":
        received.append(signal.sigwait(signals).name)
    if (data / "leader-hangs").exists():
        signal.sigwait({signal.SIGINT})
    (data / "leader-was-told").write_text(" ".join(received))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    parser.add_argument("--name")
    parser.add_argument("--settings")
    parser.add_argument("--parent", type=int)
    parser.add_argument("--lock", type=int)
    parser.add_argument("--fd", type=int)
    parser.add_argument("--ready", type=int)
    arguments = parser.parse_args()
    if arguments.role == "up":
        told = json.loads(arguments.settings)
        return up(Path(told["data"]), told["port"], told["workers"])
    inherited = (arguments.lock, arguments.fd, arguments.ready)
    tie_to_parent(arguments.parent, [each for each in inherited if each is not None])
    if arguments.role == "_worker":
        worker(arguments.fd)
    else:
        leader(settings.from_parent(arguments.settings).data, arguments.ready)
    return 0


if __name__ == "__main__":
    sys.exit(main())

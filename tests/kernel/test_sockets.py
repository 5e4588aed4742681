"""Signals between processes: everyone alive has taken the change in before the publisher goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.kernel.sockets import SocketSignals

OTHER_PROCESS = """
import sys
from pathlib import Path
from colonnade.kernel.sockets import SocketSignals
signals = SocketSignals(Path(sys.argv[1]), "other")
seen = []
def take(subject):
    if subject == "bad":
        raise ValueError("cannot take bad")
    if subject == "die":
        import os; os._exit(9)
    seen.append(subject)
signals.subscribe("routes", take)
signals.subscribe("tell", lambda _: (print(",".join(seen), flush=True)))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def signals(tmp_path: Path) -> Iterator[SocketSignals]:
    signals = SocketSignals(tmp_path / "run", "me")
    yield signals
    signals.close()


@pytest.fixture
def other(tmp_path: Path, signals: SocketSignals) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_published_change_has_been_taken_in_by_the_other_process(
    signals: SocketSignals, other: subprocess.Popen[str]
) -> None:
    assert signals.publish("routes", "endpoint-1") == []
    assert signals.publish("routes", "endpoint-2") == []
    signals.publish("tell")
    assert other.stdout is not None
    assert other.stdout.readline() == "endpoint-1,endpoint-2\n"


def test_a_handler_that_fails_is_told_to_the_publisher(
    signals: SocketSignals, other: subprocess.Popen[str]
) -> None:
    (refusal,) = signals.publish("routes", "bad")
    assert refusal.process == "other"
    assert refusal.reason == "ValueError: cannot take bad"


def test_nobody_waits_for_a_process_that_dies_while_asked(
    signals: SocketSignals, other: subprocess.Popen[str]
) -> None:
    assert signals.publish("routes", "die", timeout=60) == []
    assert other.wait(timeout=30) == 9


def test_the_socket_of_a_killed_process_is_removed(
    signals: SocketSignals, other: subprocess.Popen[str], tmp_path: Path
) -> None:
    other.kill()
    other.wait(timeout=30)
    assert (tmp_path / "run" / "other.sock").exists()
    assert signals.publish("routes", "x") == []
    assert not (tmp_path / "run" / "other.sock").exists()


def test_own_handlers_run_before_publish_returns_and_their_failure_is_a_refusal(
    signals: SocketSignals,
) -> None:
    seen: list[str] = []
    signals.subscribe("identity", seen.append)
    assert signals.publish("identity", "ann") == []
    assert seen == ["ann"]

    def refuse(_: str) -> None:
        raise RuntimeError("no")

    signals.subscribe("identity", refuse)
    assert [refusal.reason for refusal in signals.publish("identity", "ann")] == ["RuntimeError: no"]


def test_a_notification_arrives_without_being_waited_for(signals: SocketSignals) -> None:
    arrived = threading.Event()
    signals.subscribe("reconcile", lambda _: arrived.set())
    signals.notify("reconcile", "key")
    assert arrived.wait(timeout=30)


def test_a_folder_deeper_than_a_socket_path_may_be_long_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    first, second = SocketSignals(deep, "first"), SocketSignals(deep, "second")
    seen: list[str] = []
    second.subscribe("routes", seen.append)
    assert first.publish("routes", "far") == []
    assert seen == ["far"]
    first.close()
    second.close()

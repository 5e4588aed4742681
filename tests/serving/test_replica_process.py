"""A replica as a process: what it answers over its socket, and that nothing asked is lost when it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from colonnade.serving import probe
from colonnade.serving.connection import ReplicaLost, connect
from colonnade.serving.frames import INVOKE, Answer, Request

SOURCE = str(Path(__file__).parents[2] / "src")
CODE = """
import os, time
def model_fn(model_dir): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model):
    if data == b"die": os._exit(3)
    if data == b"fault": raise ValueError("no")
    if data == b"slow": time.sleep(0.3)
    return data
def output_fn(prediction, accept): return prediction, "application/octet-stream"
"""
Start = Callable[[str], "tuple[subprocess.Popen[bytes], str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(code: str) -> tuple[subprocess.Popen[bytes], str]:
        folder = tmp_path / "model" / "code"
        folder.mkdir(parents=True)
        (folder / "inference.py").write_text(code)
        socket = tmp_path / "s"
        variables = {
            "PYTHONPATH": SOURCE,
            "SAGEMAKER_BASE_DIR": str(tmp_path),
            "COLONNADE_SOCKET": str(socket),
            "PATH": os.defpath,
        }
        command = [sys.executable, "-m", "colonnade.serving.replica"]
        processes.append(subprocess.Popen(command, env=variables, stderr=subprocess.PIPE))
        return processes[-1], f"unix:{socket}"

    yield begin
    for process in processes:
        process.kill()
        process.wait(60)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture
def echo(start: Start) -> tuple[subprocess.Popen[bytes], str]:
    process, address = start(CODE)
    until_ready(process, address)
    return process, address


def until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 60
    while not probe.answers(address):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def invocation(body: bytes) -> Request:
    return Request(INVOKE, body, "application/octet-stream", "application/octet-stream")


def answered(address: str, *bodies: bytes) -> list[Answer | BaseException]:
    """What a worker gets that asks all at once."""

    async def ask() -> list[Answer | BaseException]:
        connection = await connect(address, lambda: None)
        calls = [connection.ask(invocation(body)) for body in bodies]
        found = await asyncio.gather(*calls, return_exceptions=True)
        connection.drain()
        return found

    return asyncio.run(ask())


def test_answers_come_in_the_order_of_requests_also_large_ones(
    echo: tuple[subprocess.Popen[bytes], str],
) -> None:
    large = os.urandom(6 * 1024 * 1024)

    found = answered(echo[1], b"slow", large, b"", b"small")

    assert [answer.body for answer in found if isinstance(answer, Answer)] == [b"slow", large, b"", b"small"]


def test_an_error_of_user_code_is_an_answer_and_the_replica_goes_on(
    echo: tuple[subprocess.Popen[bytes], str],
) -> None:
    fault, after = answered(echo[1], b"fault", b"x")

    assert fault == Answer(500, b"ValueError: no", "text/plain")
    assert after == Answer(200, b"x", "application/octet-stream")


def test_only_the_call_that_was_worked_on_is_suspected_of_a_death(
    echo: tuple[subprocess.Popen[bytes], str],
) -> None:
    found = answered(echo[1], b"x", b"die", b"y", b"z")

    assert isinstance(found[0], Answer)
    assert [lost.suspect for lost in found[1:] if isinstance(lost, ReplicaLost)] == [True, False, False]


async def refused(address: str) -> None:
    """Returns when nobody takes connections any more: soon after the signal, not at that instant."""
    async with asyncio.timeout(10):
        while True:
            try:
                (await connect(address, lambda: None)).close()
            except OSError:
                return
            await asyncio.sleep(0.01)


def test_told_to_stop_it_answers_what_was_asked_and_takes_no_new_connection(
    echo: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, address = echo

    async def stop_under_load() -> list[Answer]:
        connection = await connect(address, lambda: None)
        calls = [asyncio.ensure_future(connection.ask(invocation(b"slow"))) for _ in range(3)]
        await calls[0]
        process.send_signal(signal.SIGTERM)
        late = asyncio.ensure_future(connection.ask(invocation(b"late")))
        found = list(await asyncio.gather(*calls, late))
        await refused(address)
        connection.drain()
        return found

    found = asyncio.run(stop_under_load())

    assert [answer.body for answer in found] == [b"slow", b"slow", b"slow", b"late"]
    assert process.wait(60) == 0


def test_a_script_that_does_not_load_ends_the_process_with_its_trace(start: Start) -> None:
    process, address = start("raise RuntimeError('no wheels')")

    _, errors = process.communicate(timeout=240)

    assert process.returncode != 0
    assert b"no wheels" in errors
    assert not probe.answers(address)

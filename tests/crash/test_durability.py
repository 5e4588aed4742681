"""What a worker does before it says 200, seen from outside: the system calls, in their order, traced by strace."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from colonnade.testing.server import Server, running
from journeys.team import TRUST, wait_for

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace (Debian: apt install strace)"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "data", "--workers", "1") as server:
        yield server


@contextmanager
def traced(server: Server, into: Path) -> Iterator[None]:
    """The worker's syncs and answers. Their files are told by path (-y)."""
    calls = "trace=fsync,fdatasync,openat,write,writev,pwrite64,sendto,sendmsg"
    command = [
        "strace",
        "-f",
        "-y",
        "-s",
        "48",
        "-e",
        calls,
        "-o",
        str(into),
        "-p",
        str(server.pids()["worker-1"]),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        if "Operation not permitted" in first:
            pytest.skip(f"this machine forbids tracing: {first.strip()}")
        wait_for(lambda: _tracer(server.pids()["worker-1"]), bool)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _tracer(pid: int | None) -> bool:
    return all(
        "TracerPid:\t0" not in status.read_text() for status in Path(f"/proc/{pid}/task").glob("*/status")
    )


def before_the_answer(trace: Path) -> Sequence[str]:
    """The calls up to the first 200."""
    lines = trace.read_text().splitlines()
    answer = next(number for number, line in enumerate(lines) if "HTTP/1.1 200" in line)
    return lines[:answer]


def places(lines: Sequence[str], pattern: str) -> list[int]:
    """Where such calls completed (a call that another thread interrupts in the trace ends in a line of its own)."""
    found = []
    for number, line in enumerate(lines):
        if not re.search(pattern, line):
            continue
        if "<unfinished" not in line:
            assert line.endswith("= 0"), line
            found.append(number)
            continue
        thread, call = line.split()[0], re.search(r"(\w+)\(", line)
        assert call is not None
        ends = (
            place
            for place, later in enumerate(lines[number:], start=number)
            if later.startswith(thread)
            and f"<... {call.group(1)} resumed>" in later
            and later.endswith("= 0")
        )
        found.append(next(ends))
    return found


def test_an_object_its_folder_and_its_index_entry_are_on_the_disk_before_put_object_answers(
    server: Server, tmp_path: Path
) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="kept")
    with traced(server, tmp_path / "trace"):
        s3.put_object(Bucket="kept", Key="k", Body=b"x" * 100_000)

    calls = before_the_answer(tmp_path / "trace")
    file = places(calls, r"fsync\(\d+<.*/objects/\w\w/\w{32}>")
    folder = places(calls, r"fsync\(\d+<.*/objects/\w\w>")
    index = places(calls, r"(fsync|fdatasync)\(\d+<.*/store\.db-wal>")
    assert file, calls
    assert folder, calls
    assert index, calls
    assert file[0] < folder[0] < index[-1], "the bytes first, then what names them"


def test_a_small_object_is_on_the_disk_with_its_index_entry_before_put_object_answers(
    server: Server, tmp_path: Path
) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="first", Body=b"")
    with traced(server, tmp_path / "trace"):
        s3.put_object(Bucket="kept", Key="k", Body=b"x" * 1000)

    calls = before_the_answer(tmp_path / "trace")
    log = r"\d+<.*/store\.db-wal>"
    written = [number for number, line in enumerate(calls) if re.search(rf"pwrite64\({log}", line)]
    synced = places(calls, rf"(fsync|fdatasync)\({log}")
    assert written, calls
    assert synced, calls
    assert written[-1] < synced[-1], "nothing is written after the last sync"
    assert not places(calls, r"fsync\(\d+<.*/objects/"), "one commit is all that it takes"


def test_a_model_is_on_the_disk_before_create_model_answers(server: Server, tmp_path: Path) -> None:
    iam = server.client("iam")
    role = iam.create_role(RoleName="ml", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName="ml", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="model.tar.gz", Body=b"")
    with traced(server, tmp_path / "trace"):
        sagemaker.create_model(
            ModelName="m",
            ExecutionRoleArn=role["Role"]["Arn"],
            PrimaryContainer={
                "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                "ModelDataUrl": "s3://kept/model.tar.gz",
            },
        )

    calls = before_the_answer(tmp_path / "trace")
    assert places(calls, r"(fsync|fdatasync)\(\d+<.*/store\.db-wal>"), calls


def test_the_logs_name_is_on_the_disk_before_a_new_workers_first_change_answers(
    server: Server, tmp_path: Path
) -> None:
    s3 = server.client("s3")
    with traced(server, tmp_path / "trace"):
        s3.create_bucket(Bucket="kept")

    calls = before_the_answer(tmp_path / "trace")
    folder = places(calls, rf"fsync\(\d+<{re.escape(str(server.data))}>")
    index = places(calls, r"(fsync|fdatasync)\(\d+<.*/store\.db-wal>")
    assert folder, calls
    assert index, calls

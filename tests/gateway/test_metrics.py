"""`/_colonnade/metrics` as Prometheus reads it, added up over the server's processes; and the log of failed requests."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from colonnade.app import load_operations
from colonnade.gateway.metrics import _escaped, _histogram, _jobs
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.measures import BOUNDS, Histogram
from colonnade.kernel.platform import Platform
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Scope
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.server import Server, running

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("up") / "data", "--workers", "2", "--log-format", "json") as server:
        yield server


def scraped(server: Server) -> dict[tuple[str, str], float]:
    with urlopen(f"{server.url}/_colonnade/metrics", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            match = LINE.fullmatch(line)
            assert match, line
            found[match[1], match[2] or ""] = float(match[3])
    return found


def test_what_both_workers_answered_is_added_up(server: Server) -> None:
    before = scraped(server)
    labels = 'service="sts",operation="GetCallerIdentity",status="200"'

    for _ in range(20):
        server.client("sts").get_caller_identity()
    after = scraped(server)

    name = "colonnade_request_seconds"
    assert after[f"{name}_count", labels] - before.get((f"{name}_count", labels), 0) == 20
    assert after[f"{name}_bucket", f'{labels},le="+Inf"'] == after[f"{name}_count", labels]
    assert after[f"{name}_sum", labels] > 0
    assert scraped(server)[f"{name}_count", labels] == after[f"{name}_count", labels]


def test_what_is_no_request_at_all_is_counted_as_a_refusal(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    labels = 'service="",operation="",status="400"'
    before = scraped(server).get(("colonnade_request_seconds_count", labels), 0)

    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")

    deadline = time.monotonic() + 60
    while scraped(server).get(("colonnade_request_seconds_count", labels), 0) != before + 1:
        assert time.monotonic() < deadline, "it was not counted"
        time.sleep(0.02)


def test_each_process_tells_its_memory_and_processor_time(server: Server) -> None:
    found = scraped(server)

    processes = {labels for name, labels in found if name == "colonnade_process_resident_memory_bytes"}
    assert len(processes) == 3
    for labels in processes:
        assert found["colonnade_process_resident_memory_bytes", labels] > 1e6
        assert found["colonnade_process_cpu_seconds_total", labels] > 0


def test_writes_of_the_store_are_timed(server: Server) -> None:
    before = scraped(server)["colonnade_store_write_seconds_count", ""]

    server.client("s3").create_bucket(Bucket="one-write")

    assert scraped(server)["colonnade_store_write_seconds_count", ""] > before


def test_a_failed_request_is_in_the_log_under_the_id_that_its_client_was_told(server: Server) -> None:
    with pytest.raises(ClientError) as told:
        server.client("sagemaker").describe_model(ModelName="no-such-model")

    answer = told.value.response
    lines = [json.loads(line) for line in log_of(server).read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == answer["ResponseMetadata"]["RequestId"]]
    assert line["operation"] == "DescribeModel"
    assert line["status"] == answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert line["code"] == answer["Error"]["Code"]
    assert line["error"] == answer["Error"]["Message"]
    assert line["principal"] == "arn:aws:iam::123456789012:root"
    assert line["source"] == "127.0.0.1"
    assert line["level"] == "info"
    assert line["process"].startswith("worker-")


def test_a_request_that_succeeds_is_not_logged(server: Server) -> None:
    answer = server.client("sts").get_caller_identity()

    assert answer["ResponseMetadata"]["RequestId"] not in log_of(server).read_text()


def log_of(server: Server) -> Path:
    return server.data.parent / f"{server.data.name}.log"


def test_a_client_cannot_write_lines_of_its_own_into_the_log(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--ephemeral") as server:
        with pytest.raises(ClientError):
            server.client("s3").get_object(Bucket="some-bucket", Key="a\n2026-01-01 forged")

        text = (tmp_path / "data.log").read_text()
    assert "s3:GetObject" in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01 forged")]


def test_a_workers_counters_outlive_it(tmp_path: Path) -> None:
    labels = 'service="sts",operation="GetCallerIdentity",status="200"'
    with running(tmp_path / "data", "--workers", "1") as server:
        server.client("sts").get_caller_identity()
        assert scraped(server)["colonnade_request_seconds_count", labels] == 1
        pid = server.pids()["worker-1"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while server.pids()["worker-1"] in (pid, None):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.client("sts").get_caller_identity()

        assert scraped(server)["colonnade_request_seconds_count", labels] == 2


def test_jobs_are_counted_by_status_when_they_have_ended_too() -> None:
    platform = Platform(store=MemoryStore(), clock=ManualClock(), ids=SeededIds(1), signals=LocalSignals())
    load_operations()
    scope = Scope("aws", "123456789012", "us-east-1", "sagemaker", "TrainingJob")
    with platform.store.write() as transaction:
        for name, status, active in (
            ("a", "Failed", False),
            ("b", "Failed", False),
            ("c", "InProgress", True),
        ):
            transaction.put(scope.key(name), {}, at=1.0, status=status, active=active)

    lines = list(_jobs(platform))

    assert 'colonnade_jobs{type="TrainingJob",status="Failed"} 2' in lines
    assert 'colonnade_jobs{type="TrainingJob",status="InProgress"} 1' in lines
    assert [line for line in lines if line.startswith("colonnade_active_jobs")] == [
        'colonnade_active_jobs{type="TrainingJob",status="InProgress"} 1'
    ]


def test_a_histogram_counts_what_is_at_most_its_bound() -> None:
    seen = Histogram()
    for seconds in (BOUNDS[0], BOUNDS[0] * 1.01, 1000.0):
        seen.add(seconds)

    lines = list(_histogram("n", (), seen.counts, seen.sum))

    assert lines[0] == f'n_bucket{{le="{BOUNDS[0]:g}"}} 1'
    assert lines[1] == f'n_bucket{{le="{BOUNDS[1]:g}"}} 2'
    assert lines[-3:] == ['n_bucket{le="+Inf"} 3', f"n_sum {seen.sum}", "n_count 3"]


def test_names_cannot_break_out_of_their_labels() -> None:
    assert _escaped('a"b\\c\nd') == r"a\"b\\c\nd"

"""The machine's clock jumps back while a server runs: order, tokens, the lease and logs go on.

Our own server's processes alone see the other time: Python imports `sitecustomize` in each, which moves `time.time` by what a file
says. Not by libfaketime, whose sleeps fail at random (EINVAL) in a process that polls a child, as the leader does at its start.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from colonnade.testing.server import running
from journeys.team import Team, wait_for
from journeys.test_crash import QUICK, script

JUMPY = """
import time
_real = time.time
def _jumping():
    with open({told!r}) as told:
        return _real() + float(told.read() or 0)
time.time = _jumping
"""


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that tells the server's processes how many seconds off their clock is; they look at it each time."""
    told, folder = tmp_path / "clock", tmp_path / "site"
    told.write_text("0")
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPY.format(told=str(told)))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(":")
    )
    return told


def test_a_server_whose_clock_jumps_back_goes_on(tmp_path: Path, clock: Path) -> None:
    with running(tmp_path / "data", "--workers", "1") as server:
        team = Team(server).prepare()
        sagemaker, s3 = server.client("sagemaker"), server.client("s3")
        before = [script(team, QUICK) for _ in range(2)]
        for job in before:
            assert team.ended(job)["TrainingJobStatus"] == "Completed"
        first = sagemaker.list_training_jobs(MaxResults=1, SortBy="CreationTime", SortOrder="Descending")
        page = s3.list_objects_v2(Bucket="journeys", MaxKeys=1)

        clock.write_text("-600")

        after = script(team, QUICK)
        assert team.ended(after)["TrainingJobStatus"] == "Completed", "the leader leads on"
        created = {
            name: sagemaker.describe_training_job(TrainingJobName=name)["CreationTime"]
            for name in (*before, after)
        }
        assert created[after] < created[before[0]], "the clock did jump"
        rest = sagemaker.list_training_jobs(
            MaxResults=10, SortBy="CreationTime", SortOrder="Descending", NextToken=first["NextToken"]
        )
        listed = [
            job["TrainingJobName"] for job in (*first["TrainingJobSummaries"], *rest["TrainingJobSummaries"])
        ]
        assert listed == [*reversed(before), after], "each once, by the time that each was given"
        pages = s3.list_objects_v2(Bucket="journeys", ContinuationToken=page["NextContinuationToken"])
        assert page["Contents"][0]["Key"] < pages["Contents"][0]["Key"]
        put_lines_across_the_jump(server.client("logs"), clock)

        leader = server.pids()["leader"]
        subprocess.run(["kill", "-9", str(leader)], check=True)
        wait_for(lambda: server.pids()["leader"], lambda now: now not in (None, leader))
        again = script(team, QUICK)
        assert team.ended(again)["TrainingJobStatus"] == "Completed", "a new leader takes the lease over"


def put_lines_across_the_jump(logs: Any, clock: Path) -> None:
    """A stream is read in the order in which it was written, all of it, also from a token of before."""
    client: Any = logs
    name = {"logGroupName": "jump", "logStreamName": "s"}
    client.create_log_group(logGroupName="jump")
    client.create_log_stream(**name)
    for offset, messages in (("0", ("a", "b")), ("-600", ("c", "d"))):
        clock.write_text(offset)
        at = _server_time(client)
        client.put_log_events(logEvents=[{"timestamp": at, "message": each} for each in messages], **name)
    seen: list[str] = []
    token: str | None = None
    while True:
        given = {"nextToken": token} if token else {}
        answer = client.get_log_events(startFromHead=True, limit=1, **name, **given)
        if answer["nextForwardToken"] == token:
            break
        seen += [event["message"] for event in answer["events"]]
        token = answer["nextForwardToken"]
    assert sorted(seen) == ["a", "b", "c", "d"]
    assert len(seen) == 4


def _server_time(client: Any) -> int:
    from datetime import datetime
    from email.utils import parsedate_to_datetime

    answer = client.describe_log_groups()
    date: datetime = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return int(date.timestamp() * 1000)

"""One replica's way, with an executor that does as told: ready, broken, hung, replaced, let go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colonnade.cloud.sts.work_credentials import StoredWorkCredentials
from colonnade.executors import Executor, Lines, Observation, Phase, Work
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import LogEvent, LogStreams, WorkCredentials
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.lifecycle.deploy.endpoint import replicas as subject
from colonnade.lifecycle.deploy.endpoint.replicas import Ready, Replicas
from colonnade.lifecycle.deploy.model.preparation import Broken
from colonnade.serving import probe
from colonnade.serving.artifacts import Artifacts

from .conftest import Logs

KEY = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "demo")
DOCUMENT: dict[str, Any] = {"EndpointName": "Demo", "_id": "abc"}
VARIANT = {
    "VariantName": "a",
    "generation": 1,
    "count": 1,
    "startup_seconds": 60,
    "instance_type": "ml.m5.large",
    "role": "",
    "containers": [
        {
            "hostname": "primary",
            "definition": {"Image": "x", "Environment": {"MINE": "1"}},
            "processes": 1,
            "prepared": {
                "kind": "script",
                "runtime": "scikit-learn",
                "model": "",
                "code": "",
                "script": True,
            },
        }
    ],
}
ENDED = Observation(Phase.ENDED, started=1.0, ended=2.0, exit_code=1)


class Told:
    """An executor whose observations the test sets."""

    def __init__(self) -> None:
        self.seen: dict[str, Observation] = {}
        self.started: list[Work] = []
        self.stopped: list[str] = []

    def start(self, work: Work) -> None:
        self.started.append(work)
        self.seen[work.id] = Observation(Phase.RUNNING, started=time.time(), address="unix:/here")

    def observe(self, work_id: str) -> Observation:
        return self.seen.get(work_id, Observation(Phase.ABSENT))

    def stop(self, work_id: str) -> None:
        self.stopped.append(work_id)

    def logs(self, work_id: str, position: int = 0) -> Lines:
        events = [LogEvent(1.0, f"line of {work_id}")] if position == 0 else []
        return Lines(events, 10)

    def forget(self, work_id: str) -> None:
        self.seen.pop(work_id, None)


class Stage:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.executor, self.logs, self.answering = Told(), Logs(), True
        self.platform = Platform(
            store=MemoryStore(), clock=SystemClock(), ids=SeededIds(), signals=LocalSignals()
        )
        self.platform.provide(Executor, self.executor)  # type: ignore[arg-type]
        self.platform.provide(LogStreams, self.logs)
        self.platform.provide(Artifacts, Artifacts(folder))
        nowhere = StoredWorkCredentials(self.platform, "secret", "http://127.0.0.1:1")
        self.platform.provide(WorkCredentials, nowhere)
        self.replicas = Replicas(self.platform, KEY, DOCUMENT)
        monkeypatch.setattr(probe, "answers", lambda address, timeout=2.0: self.answering)

    def step(self, *, serving: bool = False) -> Ready | None:
        return self.replicas.step("1-0-0", VARIANT, 0, serving=serving)

    def ready(self) -> None:
        assert self.step() is None
        assert self.step() == Ready("unix:/here")

    def ends(self, seen: Observation = ENDED) -> None:
        (work,) = self.executor.seen
        self.executor.seen[work] = seen


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield Stage(tmp_path, monkeypatch)
    subject._last_answer.clear()
    subject._last_probe.clear()
    subject._first_seen.clear()
    subject._refusals.clear()


def test_a_replica_is_ready_when_it_answers_and_not_before(stage: Stage) -> None:
    stage.answering = False
    assert [stage.step(), stage.step(), stage.step()] == [None, None, None]
    stage.answering = True

    assert stage.step() == Ready("unix:/here")
    (work,) = stage.executor.started
    assert work.serves
    assert work.environment.runtime == work.variables["COLONNADE_HANDLERS"] == "scikit-learn"
    assert work.variables["MINE"] == "1"


def test_one_that_does_not_answer_within_the_variants_time_is_broken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.answering = False
    stage.step()
    assert stage.step() is None
    began = time.monotonic()
    monkeypatch.setattr(subject.time, "monotonic", lambda: began + 61)

    with pytest.raises(Broken, match="production variant a did not pass the ping health check"):
        stage.step()


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_jump_of_the_clock_takes_no_time_from_one_that_is_coming_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    stage.answering = False
    stage.step()
    now = time.time()
    monkeypatch.setattr(subject.time, "time", lambda: now + seconds)
    assert stage.step() is None
    stage.answering = True

    assert stage.step() == Ready("unix:/here")


def test_a_jump_of_the_clock_keeps_no_replacement_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.ready()
    for _ in range(8):
        stage.ends()
        stage.step(serving=True)
        stage.step(serving=True)
    now = time.time()
    stage.ends(Observation(Phase.ENDED, started=now, ended=now, exit_code=1))
    before = len(stage.executor.started)
    monkeypatch.setattr(subject.time, "time", lambda: now - 86_400)

    stage.step(serving=True)
    stage.step(serving=True)

    assert len(stage.executor.started) == before + 1


def test_one_that_keeps_ending_is_broken_at_the_third_time(stage: Stage) -> None:
    for _ in range(2):
        stage.step()
        stage.ends()
        assert stage.step() is None
    stage.step()
    stage.ends()

    with pytest.raises(Broken):
        stage.step()
    assert [work.id for work in stage.executor.started] == [
        f"endpoint-abc-1-0-0-{attempt}" for attempt in range(3)
    ]


def test_one_that_could_not_be_staged_is_broken_at_once_and_the_log_says_why(stage: Stage) -> None:
    stage.step()
    stage.ends(Observation(Phase.ENDED, failure="no such package: nosuch", staged=False))

    with pytest.raises(Broken):
        stage.step()
    assert "no such package: nosuch" in stage.logs.text("/aws/sagemaker/Endpoints/Demo")


def test_in_service_one_that_keeps_ending_is_tried_for_ever_ever_more_slowly(stage: Stage) -> None:
    stage.ready()
    for _ in range(5):
        stage.ends(Observation(Phase.ENDED, started=1.0, ended=time.time(), exit_code=1))
        before = len(stage.executor.started)
        stage.step(serving=True)
        stage.step(serving=True)

    waiting = len(stage.executor.started)
    assert waiting == before
    stage.ends()
    stage.step(serving=True)
    stage.step(serving=True)
    assert len(stage.executor.started) == waiting + 1


def test_one_that_hangs_longer_than_any_call_may_take_is_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    stage.ready()
    stage.answering = False
    for passed, stopped in ((11, False), (70, False), (100, True)):
        monkeypatch.setattr(subject.time, "monotonic", lambda passed=passed: now + passed)
        assert stage.step(serving=True) == Ready("unix:/here")
        assert bool(stage.executor.stopped) is stopped


def test_a_server_that_says_three_times_that_it_is_not_well_is_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    stage.ready()
    stage.answering = False
    monkeypatch.setattr(probe, "refuses", lambda address: True)
    for passed, stopped in ((11, False), (12, False), (22, False), (33, True)):
        monkeypatch.setattr(subject.time, "monotonic", lambda passed=passed: now + passed)
        stage.step(serving=True)
        assert bool(stage.executor.stopped) is stopped


def test_what_is_not_wanted_is_stopped_its_log_kept_and_forgotten(stage: Stage) -> None:
    stage.ready()

    assert not stage.replicas.release(set())
    assert stage.executor.stopped == ["endpoint-abc-1-0-0-0"]
    stage.ends()
    assert stage.replicas.release(set())

    assert stage.replicas.slots == {}
    assert stage.executor.seen == {}
    assert "line of endpoint-abc-1-0-0-0" in stage.logs.text("/aws/sagemaker/Endpoints/Demo")


def test_a_replacement_is_another_instance_in_the_log(stage: Stage) -> None:
    stage.ready()
    stage.ends()
    stage.step(serving=True)
    stage.step(serving=True)
    stage.step(serving=True)

    assert len(stage.logs.streams) == 2
    assert all(stream.startswith("a/i-") for _, stream in stage.logs.streams)

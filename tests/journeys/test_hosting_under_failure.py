"""What calls of an endpoint notice when something around them breaks: each story counts the calls that failed."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from journeys.team import Team, wait_for

_CLIENTS = 6


@pytest.fixture(scope="module")
def endpoint(team: Team) -> str:
    """A compiled model: its slots are in the workers themselves."""
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    return team.deploy(team.model(job))


class Load:
    """Clients that each ask again and again, one call after the other, without any retries."""

    def __init__(self, team: Team, endpoint: str) -> None:
        self.answered, self.failed = Counter[int](), Counter[int]()
        self.errors: list[str] = []
        self._ask: Callable[[Any], None] = lambda client: client.invoke_endpoint(
            EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.1"
        )["Body"].read()
        self._end = threading.Event()
        config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
        clients = [team.server.client("sagemaker-runtime", config=config) for _ in range(_CLIENTS)]
        self._threads = [threading.Thread(target=self._run, args=each) for each in enumerate(clients)]

    def _run(self, number: int, client: Any) -> None:
        while not self._end.is_set():
            try:
                self._ask(client)
                self.answered[number] += 1
            except Exception as error:  # noqa: BLE001 - counted, and told by the test
                self.failed[number] += 1
                self.errors.append(repr(error))

    def answers_more(self, calls: int) -> None:
        """Wait until every client has been answered so many times more."""
        goals = [self.answered[number] + calls for number in range(_CLIENTS)]
        wait_for(
            lambda: all(self.answered[number] >= goal for number, goal in enumerate(goals)),
            bool,
        )

    @contextmanager
    def on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join(180)

    def told(self, what: str) -> str:
        return (
            f"{sum(self.failed.values())} of {sum(self.answered.values()) + sum(self.failed.values())} calls failed "
            f"while {what}: {Counter(self.errors).most_common(5)}"
        )


def test_a_killed_gateway_worker_cuts_at_most_the_calls_in_it(team: Team, endpoint: str) -> None:
    load = Load(team, endpoint)
    with load.on():
        load.answers_more(20)
        victim = team.server.pids()["worker-1"]
        assert victim is not None

        os.kill(victim, signal.SIGKILL)

        load.answers_more(20)
        wait_for(lambda: team.server.pids()["worker-1"] not in (None, victim), bool)
        load.answers_more(20)

    told = load.told("a gateway worker was killed")
    print(told)
    # A client has one call under way at a time: at most that one was cut.
    assert all(count <= 1 for count in load.failed.values()), told
    assert all("onnection" in error for error in load.errors), told


def test_clients_that_hang_up_in_the_middle_of_their_body_harm_nobody(team: Team, endpoint: str) -> None:
    place = urlsplit(team.server.url)
    head = f"POST /endpoints/{endpoint}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
    load = Load(team, endpoint)
    with load.on():
        for number in range(200):
            with socket.create_connection((place.hostname, place.port), 60) as client:
                client.sendall(head + b"1" * (number * 500))
        load.answers_more(20)

    told = load.told("200 clients hung up in the middle of their bodies")
    print(told)
    assert not load.failed, told

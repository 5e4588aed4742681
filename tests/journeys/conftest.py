"""Stories told against a real server with real boto3: what a user would do, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from colonnade.testing.server import Server, running
from journeys.team import Team


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("journey") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def team(server: Server) -> Team:
    return Team(server).prepare()

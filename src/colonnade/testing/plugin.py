"""Fixtures for other people's test suites, found by pytest through the entry point `pytest11`: see docs/testing.md.

Each pytest process (each worker of pytest-xdist too) that asks for one starts an ephemeral server of its own. Nothing is
imported before, so that projects that do not use the fixtures pay nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from colonnade.testing.server import Server


@pytest.fixture(scope="session")
def colonnade_flags() -> Sequence[str]:
    """Flags of `colonnade up` beside `--ephemeral`. Override it in a conftest: `return ("--clock", "manual")`."""
    return ()


@pytest.fixture(scope="session")
def colonnade_server(
    tmp_path_factory: pytest.TempPathFactory, colonnade_flags: Sequence[str]
) -> Iterator[Server]:
    """An ephemeral server for all tests. It is not emptied between them unless they use `colonnade_session`."""
    from colonnade.testing.server import running

    with running(tmp_path_factory.mktemp("colonnade") / "server", "--ephemeral", *colonnade_flags) as server:
        yield server


@pytest.fixture
def colonnade_session(colonnade_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 Session as root of the server, which is emptied after the test.

    The environment points there too while the test runs: for clients that the tested code makes itself, and for processes
    that it starts.
    """
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in colonnade_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    try:
        yield boto3.session.Session()
    finally:
        colonnade_server.reset()

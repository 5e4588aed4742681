"""What every test may rely on: that the one before it left the process as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time, however long one of them takes on a busy machine: what fails, fails for everybody.
settings.register_profile(
    "colonnade", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("colonnade")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """The command line configures logging for its whole process, on streams that pytest closes after the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]
    root.setLevel(level)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.stage import DictionaryStorage, Stage, running


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running(tmp_path, MemoryStore(), DictionaryStorage()) as made:
        yield made

from __future__ import annotations

import pytest

from colonnade.objects import ObjectStore, load
from colonnade.objects.memory import MemoryObjects
from colonnade.testing.objects import ObjectsContract


@pytest.fixture
def objects() -> ObjectStore:
    return MemoryObjects()


class TestMemoryObjects(ObjectsContract):
    pass


def test_it_is_found_by_name() -> None:
    assert load("memory") is MemoryObjects

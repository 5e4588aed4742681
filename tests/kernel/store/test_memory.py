from __future__ import annotations

import pytest

from colonnade.kernel.store import Store
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.store import JOBS, StoreContract, put


@pytest.fixture
def store() -> Store:
    return MemoryStore()


class TestMemoryStore(StoreContract):
    pass


def test_versions_that_no_snapshot_needs_are_forgotten() -> None:
    store = MemoryStore()
    with store.read():
        for number in range(100):
            put(store, "a", {"n": number})
        with store.write() as transaction:
            transaction.delete(JOBS.key("a"))
    put(store, "b")

    shelf = store._shelves[JOBS]
    assert (shelf.names, {name: len(rows) for name, rows in shelf.versions.items()}) == (["b"], {"b": 1})

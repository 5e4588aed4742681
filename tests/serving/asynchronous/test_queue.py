"""The queue of asynchronous requests: bounded, in order, and nothing is lost when a process goes."""

from __future__ import annotations

import pytest

from colonnade.kernel.reconcile import lease
from colonnade.kernel.store import Key, Store
from colonnade.kernel.store.memory import MemoryStore
from colonnade.serving.asynchronous import queue

ENDPOINT = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "e")
ME = lease.holder()
GONE = "no-such-host/1/1".replace("no-such-host", ME.split("/")[0])


@pytest.fixture
def store() -> Store:
    return MemoryStore()


def add(
    store: Store, *ids: str, accepted: float = 100.0, seconds: float = 60.0, body: bytes | None = None
) -> None:
    for number, id in enumerate(ids):
        at = accepted + number
        with store.write() as transaction:
            request = {"id": id, "accepted": at, "expires": at + seconds}
            queue.add(transaction, ENDPOINT, request, body, token=id)


def ids(rows: object) -> list[str]:
    return [row.document["id"] for row in rows]  # type: ignore[attr-defined]


def left(store: Store) -> list[str]:
    with store.read() as reader:
        return ids(queue.waiting(reader, ENDPOINT))


def test_the_oldest_are_taken_as_far_as_all_claims_together_leave_room(store: Store) -> None:
    add(store, "a", "b", "c")
    assert ids(queue.claim(store, ENDPOINT, 2, ME, 110.0)) == ["a", "b"]
    assert ids(queue.claim(store, ENDPOINT, 2, ME, 110.0)) == []
    assert ids(queue.claim(store, ENDPOINT, 3, "another", 110.0)) == ["c"]


def test_without_capacity_nothing_is_taken(store: Store) -> None:
    add(store, "a")
    assert queue.claim(store, ENDPOINT, 0, ME, 110.0) == []


def test_what_a_process_held_that_is_gone_is_given_back_at_its_old_place(store: Store) -> None:
    add(store, "a", "b")
    queue.claim(store, ENDPOINT, 1, GONE, 110.0)
    assert queue.recover(store) == {ENDPOINT}
    taken = queue.claim(store, ENDPOINT, 2, ME, 111.0)
    assert [(row.document["id"], row.document["deaths"]) for row in taken] == [("a", 1), ("b", 0)]


def test_what_a_living_process_holds_stays_its_own(store: Store) -> None:
    add(store, "a")
    queue.claim(store, ENDPOINT, 1, ME, 110.0)
    assert queue.recover(store) == set()


def test_only_the_holder_ends_a_request(store: Store) -> None:
    add(store, "a", body=b"inline")
    (old,) = queue.claim(store, ENDPOINT, 1, GONE, 110.0)
    queue.recover(store)
    (new,) = queue.claim(store, ENDPOINT, 1, ME, 111.0)
    with pytest.raises(LookupError), store.write() as transaction:
        queue.remove(transaction, old)
    assert left(store) == ["a"]
    with store.write() as transaction:
        queue.remove(transaction, new)
    assert left(store) == []
    with store.read() as reader:
        assert reader.content(new.document["content"]) is None


def test_what_is_noted_outlives_the_process(store: Store) -> None:
    add(store, "a")
    (request,) = queue.claim(store, ENDPOINT, 1, GONE, 110.0)
    queue.note(store, request, writing={"size": 3})
    queue.recover(store)
    (again,) = queue.claim(store, ENDPOINT, 1, ME, 111.0)
    assert again.document["writing"] == {"size": 3}


def test_those_that_waited_too_long_are_taken_apart(store: Store) -> None:
    add(store, "short", seconds=5.0)
    add(store, "long", seconds=500.0)
    assert ids(queue.claim_expired(store, ENDPOINT, ME, 110.0)) == ["short"]
    assert ids(queue.claim(store, ENDPOINT, 5, ME, 110.0)) == ["long"]

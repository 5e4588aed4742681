"""The compiled models of many in a worker's memory: bounded by container and as a whole, least recently used first."""

from __future__ import annotations

from colonnade.serving.hosted.shelf import Shelf
from colonnade.serving.instances import Slot

ONE, OTHER = 1, 2


class Model:
    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        return body, content_type


def put(shelf: Shelf, container: int, target: str, size: int = 10, bound: int = 1000) -> list[int]:
    return shelf.put(container, target, Slot(target, Model()), size, bound)


def test_a_container_keeps_to_its_bound_and_its_neighbour_what_it_has() -> None:
    shelf = Shelf(1000)
    put(shelf, OTHER, "z")
    for target in "abc":
        put(shelf, ONE, target, bound=30)
    shelf.get(ONE, "a")

    gone = put(shelf, ONE, "d", bound=30)

    assert gone == [ONE]
    assert [shelf.get(ONE, target) is not None for target in "abcd"] == [True, False, True, True]
    assert shelf.get(OTHER, "z") is not None
    assert (shelf.count(ONE), shelf.count(OTHER)) == (3, 1)


def test_the_whole_shelf_has_a_bound_too() -> None:
    shelf = Shelf(30)
    put(shelf, OTHER, "z")
    put(shelf, ONE, "a")
    put(shelf, ONE, "b")

    assert put(shelf, ONE, "c") == [OTHER]
    assert shelf.get(OTHER, "z") is None


def test_a_container_that_goes_takes_its_models_along() -> None:
    shelf = Shelf(30)
    put(shelf, ONE, "a")
    put(shelf, OTHER, "z")

    shelf.clear(ONE)

    assert (shelf.count(ONE), shelf.count(OTHER)) == (0, 1)
    assert put(shelf, OTHER, "y", size=20) == []

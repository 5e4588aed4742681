"""A multi-model container in a worker: who loads a model, how often, and what happens when it does not load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from colonnade.kernel.store import Document, Key
from colonnade.serving.frames import INVOKE, Answer, Request
from colonnade.serving.hosted.container import ManyModels
from colonnade.serving.hosted.library import Library
from colonnade.serving.hosted.shelf import Shelf
from colonnade.serving.instances import Predicts

ENDPOINT = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "many")


class Known:
    """A library whose models are prepared already."""

    def __init__(self, *prepared: Mapping[str, Any]) -> None:
        self.prepared = list(prepared)
        self.found = 0
        self.discarded: list[str] = []

    async def find(self, key: Key, wanted: Callable[[], Document]) -> Document:
        self.found += 1
        await asyncio.sleep(0)
        return {"prepared": {"model": "d", **self.prepared[0]}, "archive": "a", "downloading_seconds": 0.5}

    async def discard(self, key: Key) -> None:
        self.discarded.append(key.name)
        self.prepared.pop(0)


class Notes:
    def __init__(self) -> None:
        self.noted: list[tuple[str, float]] = []

    def note(self, metric: str, value: float) -> None:
        self.noted.append((metric, value))

    def times(self, metric: str) -> int:
        return len([name for name, _ in self.noted if name == metric])


class Echo:
    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        return body, content_type


def container(library: Known, make: Callable[[Mapping[str, Any]], Predicts]) -> ManyModels:
    described = {
        "group": "1-0",
        "definition": {"ModelDataUrl": "s3://models/many/"},
        "role": "r",
        "name": "primary",
        "shared": {},
        "environment": {},
        "cached": True,
        "memory_bytes": 1 << 30,
    }
    return ManyModels(ENDPOINT, described, cast(Library, library), Shelf(1 << 30), make)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "model.onnx").write_bytes(b"x" * 100)
    return str(tmp_path)


def ask(many: ManyModels, counts: Notes, times: int = 1) -> list[Answer | None]:
    async def all_at_once() -> list[Answer | None]:
        calls: list[Awaitable[Answer | None]] = [
            many.here(Request(INVOKE, b"1", "text/csv", model="a"), counts) for _ in range(times)
        ]
        return list(await asyncio.gather(*calls))

    return asyncio.run(all_at_once())


def test_many_calls_at_once_load_a_model_once(folder: str) -> None:
    library, counts, made = Known({"folder": folder}), Notes(), list[object]()

    def make(described: Mapping[str, Any]) -> Predicts:
        made.append(described)
        return Echo()

    many = container(library, make)

    assert ask(many, counts, times=5) == [Answer(200, b"1", "text/csv")] * 5
    assert ask(many, counts) == [Answer(200, b"1", "text/csv")]
    assert (library.found, len(made), many.loaded) == (1, 1, 1)
    assert counts.times("ModelLoadingWaitTime") == 5
    assert [value for name, value in counts.noted if name == "ModelCacheHit"] == [0.0] * 5 + [1.0]


def test_a_model_that_does_not_load_as_compiled_is_prepared_anew_and_held_by_a_replica(folder: str) -> None:
    library = Known({"folder": folder}, {})

    def make(described: Mapping[str, Any]) -> Predicts:
        raise RuntimeError("it took a worker down")

    assert ask(container(library, make), Notes()) == [None]
    assert library.discarded == ["many/1-0/a"]


def test_a_model_that_does_not_load_twice_is_an_error_of_the_model(folder: str) -> None:
    library = Known({"folder": folder}, {"folder": folder})

    def make(described: Mapping[str, Any]) -> Predicts:
        raise RuntimeError("it answers otherwise")

    assert ask(container(library, make), Notes()) == [Answer(500, b"it answers otherwise", "text/plain")]


def test_a_container_that_is_gone_keeps_nothing_that_still_loads(folder: str) -> None:
    shelf_is_empty = container(Known({"folder": folder}), lambda described: Echo())
    shelf_is_empty.close()

    assert ask(shelf_is_empty, Notes()) == [Answer(200, b"1", "text/csv")]
    assert shelf_is_empty.loaded == 0

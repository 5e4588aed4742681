"""One process's many models: loaded when told to, let go by memory and by the disk, the least recently used first."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from colonnade.serving.frames import INVOKE, LOAD, NO_MEMORY, NOT_LOADED, STORE, UNLOAD, Answer, Request
from colonnade.serving.replica import many
from colonnade.serving.replica.many import Bounds, Invoke, Many

PLENTY = 1 << 40


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the process takes: 100 bytes, and what is loaded."""
    held: dict[str, int] = {}
    monkeypatch.setattr(many, "resident", lambda: 100 + sum(held.values()))
    return held


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as opened:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            opened.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


Sizes = Callable[[Path], Invoke]


def loading(memory: dict[str, int]) -> Sizes:
    """A model takes as much as its file `size` says, as long as somebody holds it."""

    class Model:
        def __init__(self, folder: Path) -> None:
            self.name = str(folder)
            memory[self.name] = int((folder / "size").read_text())

        def __call__(self, request: Request) -> Answer:
            return Answer(200, request.body + b" by " + self.name.encode())

        def __del__(self) -> None:
            memory.pop(self.name, None)

    return Model


def bring(held: Many, name: str, size: int) -> Answer:
    for piece in _pieces(archive({"size": str(size).encode()})):
        assert held.handle(Request(STORE, piece, "upload", model=name)).status == 200
    return held.handle(Request(LOAD, content_type="upload", model=name))


def _pieces(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]


def ask(held: Many, name: str) -> Answer:
    return held.handle(Request(INVOKE, b"x", model=name))


def load(held: Many, name: str) -> Answer:
    return held.handle(Request(LOAD, model=name))


def test_a_model_is_asked_for_its_archive_once(tmp_path: Path, memory: dict[str, int]) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(PLENTY, PLENTY))

    assert ask(held, "a").status == NOT_LOADED
    assert load(held, "a").status == NOT_LOADED
    told = bring(held, "a", 10)
    assert (told.status, json.loads(told.body)["loaded"]) == (200, 1)
    assert ask(held, "a").body.startswith(b"x by ")
    assert load(held, "a").status == 409
    assert held.handle(Request(UNLOAD, model="a")).status == 200
    assert held.handle(Request(UNLOAD, model="a")).status == 404
    assert ask(held, "a").status == NOT_LOADED
    assert load(held, "a").status == 200


def test_the_least_recently_used_go_when_memory_is_short(tmp_path: Path, memory: dict[str, int]) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(100 + 250, PLENTY))
    bring(held, "a", 100)
    bring(held, "b", 100)
    ask(held, "a")

    told = json.loads(bring(held, "c", 100).body)

    assert (told["loaded"], told["unloaded"]) == (2, 1)
    assert [ask(held, name).status for name in "abc"] == [200, NOT_LOADED, 200]


def test_a_model_too_large_for_the_instance_is_refused(tmp_path: Path, memory: dict[str, int]) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(100 + 250, PLENTY))
    bring(held, "a", 100)

    refused = bring(held, "giant", 300)

    assert refused.status == NO_MEMORY
    assert b"needs more memory than the instance has" in refused.body
    assert list(memory) == []
    assert load(held, "a").status == 200


def test_unloaded_models_leave_the_disk_when_it_is_full(tmp_path: Path, memory: dict[str, int]) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(PLENTY, 4))
    for name in "ab":
        bring(held, name, 10)
        held.handle(Request(UNLOAD, model=name))

    bring(held, "c", 10)

    assert load(held, "a").status == NOT_LOADED
    assert load(held, "b").status == 200
    assert not (tmp_path / "models" / "a").exists()


def test_without_a_cache_a_model_goes_after_its_call(tmp_path: Path, memory: dict[str, int]) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(PLENTY, PLENTY, cached=False))
    bring(held, "a", 10)

    assert ask(held, "a").status == 200
    assert ask(held, "a").status == NOT_LOADED


@pytest.mark.parametrize("content", [b"no archive", archive({"../outside": b"x"})])
def test_an_archive_that_cannot_be_unpacked_is_an_answer(
    tmp_path: Path, memory: dict[str, int], content: bytes
) -> None:
    held = Many(tmp_path / "models", loading(memory), Bounds(PLENTY, PLENTY))
    held.handle(Request(STORE, content, "upload", model="a"))

    answer = held.handle(Request(LOAD, content_type="upload", model="a"))

    assert answer.status == 500
    assert b"Error" in answer.body
    assert list((tmp_path / "models").iterdir()) == []
    assert not (tmp_path / "outside").exists()

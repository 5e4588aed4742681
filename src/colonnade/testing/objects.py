"""The promises of `objects.ObjectStore`, as tests: subclass `ObjectsContract` and provide the fixture `objects`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from colonnade.objects import PIECE, ObjectStore


def content(objects: ObjectStore, id: str, offset: int = 0, length: int | None = None) -> bytes:
    reading = objects.open(id, offset, length)
    try:
        data = b"".join(reading)
    finally:
        reading.close()
    assert len(data) == reading.length
    return data


class ObjectsContract:
    @pytest.mark.parametrize("size", [0, 1, 1000, PIECE, 2 * PIECE + 7])
    def test_what_was_written_is_read(self, objects: ObjectStore, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        data = data[:size]
        blob = objects.write([data[:100], b"", data[100:]])

        assert blob.size == size
        assert content(objects, blob.id) == data

    def test_each_write_has_an_id_of_its_own(self, objects: ObjectStore) -> None:
        first, second = objects.write([b"same"]), objects.write([b"same"])
        objects.delete(first.id)

        assert content(objects, second.id) == b"same"

    @pytest.mark.parametrize(
        ("offset", "length", "wanted"), [(2, 3, b"234"), (7, None, b"789"), (8, 99, b"89"), (10, 1, b"")]
    )
    def test_a_part_can_be_read(
        self, objects: ObjectStore, offset: int, length: int | None, wanted: bytes
    ) -> None:
        blob = objects.write([b"0123456789"])
        assert content(objects, blob.id, offset, length) == wanted

    def test_a_source_that_fails_leaves_nothing(self, objects: ObjectStore) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"begun"
            raise ConnectionError

        with pytest.raises(ConnectionError):
            objects.write(pieces())
        assert objects.sweep(set(), older_than=time.time() + 60) == []

    def test_joining_makes_a_new_blob_and_keeps_the_parts(self, objects: ObjectStore) -> None:
        parts = [objects.write([piece]) for piece in (b"a" * 100_000, b"", b"b" * 3)]
        whole = objects.join([part.id for part in parts])

        assert whole.size == 100_003
        assert content(objects, whole.id) == b"a" * 100_000 + b"bbb"
        assert content(objects, parts[2].id) == b"bbb"

    def test_joining_what_is_missing_leaves_nothing(self, objects: ObjectStore) -> None:
        with pytest.raises(FileNotFoundError):
            objects.join(["0" * 32])
        assert objects.sweep(set(), older_than=time.time() + 60) == []

    def test_what_is_deleted_is_gone_and_deleting_again_is_silent(self, objects: ObjectStore) -> None:
        blob = objects.write([b"x"])
        objects.delete(blob.id)
        objects.delete(blob.id)
        with pytest.raises(FileNotFoundError):
            objects.open(blob.id)

    def test_a_reader_finishes_what_was_deleted_under_it(self, objects: ObjectStore) -> None:
        blob = objects.write([b"x" * (3 * PIECE)])
        reading = objects.open(blob.id)
        pieces = iter(reading)
        first = next(pieces)
        objects.delete(blob.id)

        assert len(first) + sum(len(piece) for piece in pieces) == 3 * PIECE
        reading.close()

    def test_the_sweep_takes_only_what_is_old_and_unreferenced(self, objects: ObjectStore) -> None:
        kept, orphan = objects.write([b"kept"]), objects.write([b"orphan"])

        assert objects.sweep({kept.id}, older_than=0.0) == []
        assert objects.sweep({kept.id}, older_than=time.time() + 60) == [orphan.id]
        assert content(objects, kept.id) == b"kept"

    def test_a_path_shows_the_bytes_where_there_is_one(self, objects: ObjectStore) -> None:
        blob = objects.write([b"here"])
        path = objects.path(blob.id)
        assert path is None or path.read_bytes() == b"here"

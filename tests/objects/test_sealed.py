from __future__ import annotations

import random

import pytest

from colonnade.objects.memory import MemoryObjects
from colonnade.objects.sealed import CHUNK, Changed, Unsealed, sealed, stored_size

KEY = b"k" * 32
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def read(
    objects: MemoryObjects, id: str, segments: list[int], first: int = 0, length: int | None = None
) -> bytes:
    reading = Unsealed(lambda offset, size: objects.open(id, offset, size), KEY, segments, first, length)
    data = b"".join(reading)
    assert len(data) == reading.length
    reading.close()
    return data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cut", [1000, CHUNK, 5 * CHUNK])
def test_what_was_sealed_comes_back(size: int, cut: int) -> None:
    objects, data = MemoryObjects(), random.Random(size).randbytes(size)

    blob = objects.write(sealed(pieces(data, cut), KEY))

    assert blob.size == stored_size(size)
    assert read(objects, blob.id, [size]) == data
    assert size < 16 or data[:16] not in b"".join(objects.open(blob.id))


@pytest.mark.parametrize(
    "sizes", [[3 * CHUNK + 5], [CHUNK, CHUNK], [2 * CHUNK + 1, 7, 3 * CHUNK], [0, 5, 0, CHUNK + 1]]
)
def test_any_range_of_joined_segments_is_what_it_was(sizes: list[int]) -> None:
    chance = random.Random(7)
    objects = MemoryObjects()
    plain = [chance.randbytes(size) for size in sizes]
    whole = b"".join(plain)
    blob = objects.join([objects.write(sealed([each], KEY)).id for each in plain])

    edges = {
        0,
        1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        len(whole) - 1,
        *(chance.randrange(len(whole)) for _ in range(20)),
    }
    for first in sorted(edge for edge in edges if 0 <= edge < len(whole)):
        for length in (1, 2, 17, CHUNK, CHUNK + 1, len(whole)):
            assert read(objects, blob.id, sizes, first, length) == whole[first : first + length], (
                first,
                length,
            )


def test_a_range_reads_its_chunks_only() -> None:
    objects, size = MemoryObjects(), 100 * CHUNK
    blob = objects.write(sealed([bytes(size)], KEY))
    asked: list[int] = []

    def part(offset: int, length: int) -> object:
        asked.append(length)
        return objects.open(blob.id, offset, length)

    assert b"".join(Unsealed(part, KEY, [size], 50 * CHUNK + 5, 10)) == bytes(10)  # type: ignore[arg-type]
    assert sum(asked) < 2 * CHUNK


@pytest.mark.parametrize("change", ["flip", "cut", "swap", "leave out the last", "another key"])
def test_what_was_changed_is_not_handed_out(change: str) -> None:
    objects, size = MemoryObjects(), 3 * CHUNK
    stored = bytearray(b"".join(sealed([bytes(size)], KEY)))
    step, key = CHUNK + 16, KEY
    if change == "flip":
        stored[40] ^= 1
    elif change == "cut":
        del stored[-5:]
    elif change == "swap":
        stored[16 : 16 + step], stored[16 + step : 16 + 2 * step] = (
            stored[16 + step : 16 + 2 * step],
            stored[16 : 16 + step],
        )
    elif change == "leave out the last":
        del stored[16 + 2 * step :]
        size = 2 * CHUNK
    else:
        key = b"l" * 32
    blob = objects.write([bytes(stored)])

    with pytest.raises(Changed):
        b"".join(Unsealed(lambda offset, length: objects.open(blob.id, offset, length), key, [size]))


def test_equal_contents_under_one_key_differ_when_sealed() -> None:
    first, second = (b"".join(sealed([b"same"], KEY)) for _ in range(2))

    assert first != second

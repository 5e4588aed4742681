from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.cloud.s3.crc import CRC32, CRC32C, CRC64NVME, Crc


@pytest.mark.parametrize(
    ("crc", "wanted"), [(CRC32, 0xCBF43926), (CRC32C, 0xE3069283), (CRC64NVME, 0xAE8B14860A799888)]
)
def test_the_published_check_values_come_out(crc: Crc, wanted: int) -> None:
    assert crc.update(0, b"123456789") == wanted


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_crc32_agrees_with_zlib_in_one_go_and_in_pieces_and_joined(first: bytes, second: bytes) -> None:
    whole = zlib.crc32(first + second)
    assert CRC32.update(0, first + second) == whole
    assert CRC32.update(CRC32.update(0, first), second) == whole
    assert CRC32.combine(zlib.crc32(first), zlib.crc32(second), len(second)) == whole


@pytest.mark.parametrize("crc", [CRC32C, CRC64NVME])
@settings(deadline=None, derandomize=True)
@given(data=st.binary(min_size=600, max_size=3000), cut=st.integers(0, 600))
def test_the_rows_agree_with_byte_by_byte(crc: Crc, data: bytes, cut: int) -> None:
    slowly = 0
    for start in range(0, len(data), 100):  # Too short for rows.
        slowly = crc.update(slowly, data[start : start + 100])
    assert crc.update(0, data) == slowly
    assert crc.combine(crc.update(0, data[:cut]), crc.update(0, data[cut:]), len(data) - cut) == slowly

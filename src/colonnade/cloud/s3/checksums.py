"""S3's checksums: computed while bytes come in, verified against what the client says, kept, told again.

A client names an algorithm by a header that carries the value, by `x-amz-sdk-checksum-algorithm`, or by a trailer after the
body. CRC32 is computed in any case: reading a whole object checks it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from colonnade.cloud.s3 import crc
from colonnade.cloud.s3.refusals import not_built, refusal

BUILT = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5")
_COMBINES: Mapping[str, crc.Crc] = {"CRC32": crc.CRC32, "CRC32C": crc.CRC32C, "CRC64NVME": crc.CRC64NVME}
_KNOWN = (*BUILT, "XXHASH64", "XXHASH3", "XXHASH128")


class Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes, /) -> None:
        self.value = zlib.crc32(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


class _TableCrc:
    def __init__(self, crc: crc.Crc) -> None:
        self._crc = crc
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._crc.update(self._value, data)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._crc.width // 8, "big")


def begin(algorithm: str) -> Sum:
    if algorithm not in _KNOWN:
        raise refusal(
            "InvalidRequest",
            f"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{', '.join(BUILT)}]",
        )
    if algorithm not in BUILT:
        raise not_built(f"the checksum algorithm {algorithm} (it does {', '.join(BUILT)})")
    if algorithm == "CRC32":
        return _Crc32()
    if algorithm in _COMBINES:
        return _TableCrc(_COMBINES[algorithm])
    return hashlib.new(algorithm.lower(), usedforsecurity=False)


def member(algorithm: str) -> str:
    """Its name in parameters and results."""
    return f"Checksum{algorithm}"


def given(parameters: Mapping[str, Any]) -> tuple[str, str] | None:
    """(algorithm, value) of the checksum that the parameters carry. Raises InvalidRequest when there are two."""
    found = [(name, parameters[member(name)]) for name in _KNOWN if member(name) in parameters]
    if len(found) > 1:
        raise refusal(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    return found[0] if found else None


def wanted(parameters: Mapping[str, Any]) -> str:
    """The algorithm that the parameters name; empty when none."""
    value = given(parameters)
    return value[0] if value else str(parameters.get("ChecksumAlgorithm", "")).upper()


def in_trailers(trailers: Mapping[str, str]) -> tuple[str, str] | None:
    for name, value in trailers.items():
        if name.startswith("x-amz-checksum-"):
            return name.removeprefix("x-amz-checksum-").upper(), value
    return None


def verify(algorithm: str, said: str, digest: bytes) -> None:
    """Raises BadDigest, or InvalidRequest when what the client said cannot be a value of that algorithm."""
    try:
        expected = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        expected = b""
    if len(expected) != len(digest):
        raise refusal("InvalidRequest", f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    if expected != digest:
        raise refusal("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def verify_md5(said: str, digest: bytes) -> None:
    try:
        expected = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        expected = b""
    if len(expected) != 16:
        raise refusal("InvalidDigest")
    if expected != digest:
        raise refusal("BadDigest", ExpectedDigest=said, CalculatedDigest=text(digest))


def text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """The checksum of the parts' checksums."""
    total = begin(algorithm)
    for part in parts:
        total.update(base64.b64decode(part))
    return f"{text(total.digest())}-{len(parts)}"


def joined(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The checksum of all bytes from those of the (checksum, size) parts. Only CRCs can do that."""
    kind = _COMBINES[algorithm]
    total = 0
    for value, size in parts:
        total = kind.combine(total, int.from_bytes(base64.b64decode(value), "big"), size)
    return text(total.to_bytes(kind.width // 8, "big"))


def can_join(algorithm: str) -> bool:
    return algorithm in _COMBINES

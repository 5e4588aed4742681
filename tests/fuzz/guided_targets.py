"""What atheris steers: bytes into each parser that stands before authentication, or right behind it. Only refusals may come out."""

from __future__ import annotations

from colonnade.gateway import sigv4
from colonnade.gateway.aws_chunked import AwsChunked, ChunkSigner
from colonnade.gateway.protocols import cbor_items, json_values, timestamps, xml_values
from colonnade.kernel.errors import ServiceError


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    try:
        _TARGETS[kind[0] % len(_TARGETS) if kind else 0](rest)
    except (ServiceError, sigv4.Malformed):
        return


def _chunked(data: bytes) -> None:
    signer = ChunkSigner(b"key", "20260101T000000Z", "scope", "0" * 64) if data[:1] == b"\1" else None
    framing = AwsChunked(signer, 10, {})
    for at in range(1, len(data), 7):
        framing.feed(data[at : at + 7])
    framing.finish()


def _authorization(data: bytes) -> None:
    sigv4.read_header(data.decode("latin-1"), "20260101T000000Z", None)


def _query(data: bytes) -> None:
    text = data.decode("latin-1")
    sigv4.read_query(dict(part.partition("=")[::2] for part in text.split("&")))
    sigv4.canonical_query(sigv4.reencoded_query(text))
    sigv4.canonical_path(text, s3=False)


def _timestamp(data: bytes) -> None:
    try:
        timestamps.iso8601(timestamps.read(data.decode("latin-1")))
    except (ValueError, TypeError, OverflowError):
        return


_TARGETS = (
    _chunked,
    _authorization,
    _query,
    _timestamp,
    xml_values.parse,
    json_values.decode,
    cbor_items.decode,
)

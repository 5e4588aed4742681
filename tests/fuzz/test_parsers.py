"""Bytes straight into the parsers that stand before authentication, or right behind it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.gateway.aws_chunked import AwsChunked, ChunkSigner
from colonnade.gateway.numerals import whole

from .guided_targets import one

calm = settings(deadline=None, derandomize=True, max_examples=150)
KEY, TIME, SCOPE, SEED = b"key", "20260101T000000Z", "20260101/us-east-1/s3/aws4_request", "0" * 64
LINES = st.sampled_from(
    [
        b"\r\n",
        b"0\r\n",
        b"5\r\nhello",
        b";chunk-signature=",
        b"x-amz-trailer:a\r\n",
        b"<a>",
        b"{",
        b'"',
        b"&",
        b"=",
    ]
)


@calm
@given(st.integers(0, 6), st.lists(st.binary(max_size=20) | LINES, max_size=12))
def test_parsers_refuse_and_do_nothing_worse(target: int, pieces: list[bytes]) -> None:
    one(bytes([target]) + b"".join(pieces))


def framed(chunks: list[bytes], signer: ChunkSigner | None) -> bytes:
    """As a client would frame them: the signer's own chain makes the signatures."""
    written = b""
    for chunk in [*(chunk for chunk in chunks if chunk), b""]:
        extension = b""
        if signer is not None:
            signer.accepts(chunk, "")
            extension = b";chunk-signature=" + signer.previous.encode()
        written += f"{len(chunk):x}".encode() + extension + b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    return written + b"\r\n"


@calm
@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 400), st.booleans())
def test_aws_chunked_gives_the_payload_however_the_network_cuts_it(
    chunks: list[bytes], step: int, signed: bool
) -> None:
    def signer() -> ChunkSigner | None:
        return ChunkSigner(KEY, TIME, SCOPE, SEED) if signed else None

    data = framed(chunks, signer())
    framing = AwsChunked(signer(), sum(map(len, chunks)), {})

    found = b"".join(framing.feed(data[at : at + step]) for at in range(0, len(data), step))
    framing.finish()

    assert found == b"".join(chunks)


@calm
@given(st.text(max_size=30))
def test_whole_numbers_are_digits_and_nothing_else(text: str) -> None:
    found = whole(text)

    assert (found is None) == (not text or len(text) > 19 or not set(text) <= set("0123456789"))

"""aws-chunked, taken apart as it arrives: chunks with a length line each, signed or not, and trailing headers.

`<hex>[;chunk-signature=<sig>]\\r\\n<bytes>\\r\\n ... 0[;chunk-signature=<sig>]\\r\\n[<name>:<value>\\r\\n ...]\\r\\n`

Signed chunks are handed out only after their signature was verified; each signature covers the one before it, so that
chunks cannot be dropped or reordered.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass

from colonnade.gateway import sigv4
from colonnade.kernel.errors import ServiceError

_States = Generator[int, bytes, None]
_LONGEST_LINE = 16 * 1024
_LARGEST_SIGNED_CHUNK = 16 * 1024 * 1024
_SMALL_CHUNK = 8192
_MOST_SMALL_CHUNKS = 1000
"""S3 lets only the last chunk be so small. We are not that strict, but taking a million apart is all that a core can do."""
_LONGEST_TRAILERS = 16 * 1024
_SIZE = re.compile(r"[0-9a-fA-F]{1,16}")


@dataclass(slots=True)
class ChunkSigner:
    """What verifies chunks: the request's own key and scope, and the signature that the next one continues."""

    key: bytes
    timestamp: str
    scope: str
    previous: str

    def accepts(self, chunk: bytes, claimed: str) -> bool:
        return self._continue(sigv4.chunk_signature, chunk, claimed)

    def accepts_trailers(self, trailers: bytes, claimed: str) -> bool:
        return self._continue(sigv4.trailer_signature, trailers, claimed)

    def _continue(
        self, sign: Callable[[bytes, str, str, str, bytes], str], data: bytes, claimed: str
    ) -> bool:
        self.previous = sign(self.key, self.timestamp, self.scope, self.previous, data)
        return hmac.compare_digest(self.previous.encode(), claimed.encode())


class AwsChunked:
    """Feed it what arrives, get payload; `complete` after the last trailer."""

    def __init__(self, signer: ChunkSigner | None, length: int | None, trailers: dict[str, str]) -> None:
        self._signer = signer
        self._length = length
        self._trailers = trailers
        self._waiting = bytearray()
        self._out: list[bytes] = []
        self._taken = 0
        self._small = 0
        self._machine = self._states()
        self._wanted = next(self._machine)
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        self._waiting += data
        while not self.complete and self._advance():
            pass
        payload = b"".join(self._out)
        self._out.clear()
        self._taken += len(payload)
        return payload

    def finish(self) -> None:
        if not self.complete:
            raise ServiceError("IncompleteBody", "The request body terminated unexpectedly", status=400)
        if self._length is not None and self._taken != self._length:
            raise ServiceError(
                "IncompleteBody",
                f"x-amz-decoded-content-length says {self._length} bytes, the chunks hold {self._taken}",
                status=400,
            )

    def _advance(self) -> bool:
        """Give the machine the piece that it wants, when that has arrived. A negative wish is a line, else up to that many
        bytes, whole when signed."""
        piece = self._line() if self._wanted < 0 else self._bytes(self._wanted)
        if piece is None:
            return False
        try:
            self._wanted = self._machine.send(piece)
        except StopIteration:
            self.complete = True
        return True

    def _line(self) -> bytes | None:
        end = self._waiting.find(b"\r\n")
        if end < 0:
            if len(self._waiting) > _LONGEST_LINE:
                raise _broken("a line without an end")
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 2]
        return line

    def _bytes(self, wanted: int) -> bytes | None:
        if not self._waiting or (self._signer is not None and len(self._waiting) < wanted):
            return None
        piece = bytes(self._waiting[:wanted])
        del self._waiting[:wanted]
        return piece

    def _states(self) -> _States:
        while True:
            size, claimed = _header((yield -1))
            self._small += 0 < size < _SMALL_CHUNK
            if self._small > _MOST_SMALL_CHUNKS:
                raise _broken(f"more than {_MOST_SMALL_CHUNKS} chunks of less than {_SMALL_CHUNK} bytes")
            if self._signer is not None and size > _LARGEST_SIGNED_CHUNK:
                raise _broken(f"a signed chunk of {size} bytes (at most {_LARGEST_SIGNED_CHUNK})")
            rest = size
            while rest:
                piece = yield rest
                rest -= len(piece)
                self._verify(piece, claimed)
                self._out.append(piece)
            if size == 0:
                self._verify(b"", claimed)
                break
            if (yield -1) != b"":
                raise _broken("a chunk that is longer than its length line says")
        yield from self._trailer_states()

    def _verify(self, chunk: bytes, claimed: str) -> None:
        if self._signer is not None and not self._signer.accepts(chunk, claimed):
            raise _mismatch("a chunk")

    def _trailer_states(self) -> _States:
        signed = bytearray()
        claimed = ""
        length = 0
        while line := (yield -1):
            length += len(line)
            if length > _LONGEST_TRAILERS:
                raise _broken(f"more than {_LONGEST_TRAILERS} bytes of trailing headers")
            name, _, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "x-amz-trailer-signature":
                claimed = value
            else:
                self._trailers[name] = value
                signed += f"{name}:{value}\n".encode("latin-1")
        if self._signer is not None and signed and not self._signer.accepts_trailers(bytes(signed), claimed):
            raise _mismatch("the trailing headers")


def _header(line: bytes) -> tuple[int, str]:
    size, _, extension = line.decode("latin-1").partition(";")
    if not _SIZE.fullmatch(size):
        raise _broken(f"the length line {size[:40]!r}")
    name, _, claimed = extension.strip().partition("=")
    return int(size, 16), claimed if name == "chunk-signature" else ""


def _broken(what: str) -> ServiceError:
    return ServiceError("InvalidChunkSizeError", f"The aws-chunked body holds {what}", status=400)


def _mismatch(what: str) -> ServiceError:
    return ServiceError(
        "SignatureDoesNotMatch",
        f"The signature we calculated for {what} of the streamed body does not match the one you provided.",
        status=403,
    )

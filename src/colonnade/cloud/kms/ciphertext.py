"""Ciphertext blobs of symmetric keys: they say which key and which of its materials made them.

    "CKM" 01 | length of ARN (2) | ARN | number of the material (4) | what `kernel/sealing.py` makes

All before the sealed part, and the encryption context, is authenticated with it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.sealing import open_sealed, seal

_MAGIC = b"CKM\x01"


@dataclass(frozen=True, slots=True)
class Ciphertext:
    arn: str
    number: int
    head: bytes
    sealed: bytes


def encrypt(material: bytes, number: int, arn: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    name = arn.encode()
    head = _MAGIC + struct.pack(f">H{len(name)}sI", len(name), name, number)
    return head + seal(material, plaintext, head + bound(context))


def parse(blob: bytes) -> Ciphertext:
    """Raises InvalidCiphertextException for what no key of KMS made."""
    try:
        (size,) = struct.unpack_from(">H", blob, len(_MAGIC))
        name, number = struct.unpack_from(f">{size}sI", blob, len(_MAGIC) + 2)
        end = len(_MAGIC) + 2 + size + 4
        arn = name.decode("ascii")
    except (struct.error, UnicodeDecodeError):
        raise _invalid() from None
    if not blob.startswith(_MAGIC) or not arn.startswith("arn:"):
        raise _invalid()
    return Ciphertext(arn, number, blob[:end], blob[end:])


def decrypt(material: bytes, ciphertext: Ciphertext, context: Mapping[str, str]) -> bytes:
    """Raises InvalidCiphertextException when it was changed, or made with another context."""
    try:
        return open_sealed(material, ciphertext.sealed, ciphertext.head + bound(context))
    except ValueError:
        raise _invalid() from None


def bound(context: Mapping[str, str]) -> bytes:
    """One spelling for each context: pairs in order, each text behind its length."""
    texts = [text.encode() for pair in sorted(context.items()) for text in pair]
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


def _invalid() -> ServiceError:
    # AWS says no more either: who tries ciphertexts shall not learn why one fails.
    return ServiceError(
        "InvalidCiphertextException", "The ciphertext is invalid, or its encryption context differs."
    )

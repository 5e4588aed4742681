"""AES-256-GCM, each message under a key of its own: `salt (16) | nonce (12) | ciphertext | tag (16)`.

The message's key is HMAC-SHA256(key, salt), so that however many messages one key seals, no nonce repeats under one AES key.
"""

from __future__ import annotations

import hashlib
import hmac
import os

_SALT, _NONCE, _TAG = 16, 12, 16


def seal(key: bytes, message: bytes, bound: bytes) -> bytes:
    """`bound` is authenticated and not kept: opening needs the same."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return salt + nonce + AESGCM(_derived(key, salt)).encrypt(nonce, message, bound)


def open_sealed(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Raises ValueError when it was sealed otherwise, or changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce, rest = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    if len(rest) < _TAG:
        raise ValueError("too short to have been sealed")
    try:
        return AESGCM(_derived(key, salt)).decrypt(nonce, rest, bound)
    except InvalidTag:
        raise ValueError("sealed under another key or context, or changed since") from None


def _derived(key: bytes, salt: bytes) -> bytes:
    return hmac.new(key, b"colonnade sealing" + salt, hashlib.sha256).digest()

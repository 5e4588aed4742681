"""The key that signs what SNS sends, made at the first use and kept in the store, and its certificate for whoever checks."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Keys
from colonnade.kernel.store import Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

_KEY = Key("", "", "", "sns", "signing", "key")
_YEARS = 10


def sign(platform: Platform, text: str, version: str) -> str:
    """SHA-1 in version 1, which is what subscribers check unless the topic says 2: SHA-256."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = hashes.SHA256() if version == "2" else hashes.SHA1()
    kept = _kept(platform)
    signature = _loaded(kept["private"], _secret(platform, kept)).sign(
        text.encode(), padding.PKCS1v15(), digest
    )
    return base64.b64encode(signature).decode()


def certificate(platform: Platform) -> bytes:
    """As PEM."""
    return _kept(platform)["certificate"].encode()


def _kept(platform: Platform) -> dict[str, str]:
    with platform.store.read() as reader:
        stored = reader.get(_KEY)
    if stored is None:
        made = _make(platform.clock.now(), _own(platform))
        with platform.store.write() as transaction:
            stored = transaction.get(_KEY) or transaction.put(_KEY, made, expect=0, at=platform.clock.now())
    return stored.document


def _own(platform: Platform) -> bytes:
    """What encrypts the private key, where this server has a master key to derive it from."""
    return platform.the(Keys).own("sns/signing") if platform.has(Keys) else b""


def _secret(platform: Platform, kept: dict[str, str]) -> bytes:
    return _own(platform) if "ENCRYPTED" in kept["private"] else b""


def _make(now: float, secret: bytes) -> dict[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begins = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return {
        "private": private.decode(),
        "certificate": made.public_bytes(serialization.Encoding.PEM).decode(),
    }


@lru_cache(1)
def _loaded(private: str, secret: bytes) -> rsa.RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private.encode(), secret or None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key

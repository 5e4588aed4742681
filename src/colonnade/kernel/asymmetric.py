"""RSA and elliptic curves, for KMS. Imported only where a call needs them, and not below `cloud`, whose modules are all imported at the
start: the library is large, and most servers never need it.

Private keys come and go as PKCS #8, public ones as X.509 SubjectPublicKeyInfo, both DER, as KMS tells them.
"""

from __future__ import annotations

from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from colonnade.kernel.errors import ServiceError

_CURVES: dict[str, ec.EllipticCurve] = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def make_pair(spec: str) -> bytes:
    """The private key. Raises for specs that are not built."""
    private: Private
    if spec.startswith("RSA_"):
        private = rsa.generate_private_key(public_exponent=65537, key_size=int(spec.removeprefix("RSA_")))
    elif spec in _CURVES:
        private = ec.generate_private_key(_CURVES[spec])
    else:
        raise ServiceError(
            "NotImplementedException",
            f"Colonnade's KMS does not implement the key spec {spec} yet.",
            status=501,
        )
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _loaded(der: bytes) -> Private:
    return cast(Private, serialization.load_der_private_key(der, None))


def public_key(der: bytes) -> bytes:
    return (
        _loaded(der)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def sign(der: bytes, algorithm: str, message: bytes, *, digested: bool) -> bytes:
    private, chosen = _loaded(der), _hash(algorithm, message, digested=digested)
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(message, _padding(algorithm), chosen)
    return private.sign(message, ec.ECDSA(chosen))


def verify(der: bytes, algorithm: str, message: bytes, signature: bytes, *, digested: bool) -> bool:
    private, chosen = _loaded(der), _hash(algorithm, message, digested=digested)
    try:
        if isinstance(private, rsa.RSAPrivateKey):
            private.public_key().verify(signature, message, _padding(algorithm), chosen)
        else:
            private.public_key().verify(signature, message, ec.ECDSA(chosen))
    except InvalidSignature:
        return False
    return True


def _hash(algorithm: str, message: bytes, *, digested: bool) -> hashes.HashAlgorithm | Prehashed:
    chosen = _HASHES[algorithm[-3:]]
    if not digested:
        return chosen
    if len(message) != chosen.digest_size:
        raise ServiceError(
            "ValidationException",
            f"Digest is invalid length for algorithm {algorithm}: {len(message)} bytes, not {chosen.digest_size}.",
        )
    return Prehashed(chosen)


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if "PKCS1" in algorithm:
        return padding.PKCS1v15()
    chosen = _HASHES[algorithm[-3:]]
    return padding.PSS(mgf=padding.MGF1(chosen), salt_length=chosen.digest_size)


def _oaep(algorithm: str) -> padding.OAEP:
    chosen = hashes.SHA256() if algorithm.endswith("_256") else hashes.SHA1()
    return padding.OAEP(mgf=padding.MGF1(chosen), algorithm=chosen, label=None)


def rsa_encrypt(der: bytes, algorithm: str, plaintext: bytes) -> bytes:
    try:
        return cast(rsa.RSAPrivateKey, _loaded(der)).public_key().encrypt(plaintext, _oaep(algorithm))
    except ValueError:
        raise ServiceError(
            "ValidationException",
            f"{len(plaintext)} bytes are too many for this key with {algorithm}: encrypt a data key instead.",
        ) from None


def rsa_decrypt(der: bytes, algorithm: str, blob: bytes) -> bytes:
    try:
        return cast(rsa.RSAPrivateKey, _loaded(der)).decrypt(blob, _oaep(algorithm))
    except ValueError:
        raise ServiceError(
            "InvalidCiphertextException", "The ciphertext is invalid, or was made with another key."
        ) from None

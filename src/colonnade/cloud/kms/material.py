"""Key material: made at random, kept encrypted under the master key, and bound to its key's ARN and number.

Rotation adds material and keeps the old: a ciphertext names the one that it was made with. Private keys are PKCS #8.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Keys
from colonnade.kernel.sealing import open_sealed, seal
from colonnade.kernel.store import Document

_SIZES = {"SYMMETRIC_DEFAULT": 32, "HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}


def make(spec: str) -> bytes:
    if spec in _SIZES:
        return os.urandom(_SIZES[spec])
    from colonnade.kernel.asymmetric import make_pair

    return make_pair(spec)


def add(platform: Platform, document: Document, material: bytes, *, at: float, kind: str = "") -> None:
    """As the key's current one. `kind` says why: ON_DEMAND or AUTOMATIC; empty for the first."""
    earlier = document.setdefault("_Material", [])
    number = len(earlier) + 1
    sealed = seal(platform.the(Keys).own("kms"), material, _bound(document, number))
    kept: dict[str, Any] = {
        "Id": os.urandom(32).hex(),
        "Sealed": base64.b64encode(sealed).decode(),
        "Since": at,
        "Kind": kind,
    }
    earlier.append(kept)
    if document["KeySpec"] == "SYMMETRIC_DEFAULT":
        document["CurrentKeyMaterialId"] = kept["Id"]


def current(document: Document) -> int:
    return len(document["_Material"])


def read(platform: Platform, document: Document, number: int = 0) -> bytes:
    """That material, or the current one."""
    number = number or current(document)
    sealed = base64.b64decode(document["_Material"][number - 1]["Sealed"])
    try:
        return open_sealed(platform.the(Keys).own("kms"), sealed, _bound(document, number))
    except ValueError:
        raise ServiceError(
            "KMSInternalException",
            f"The material of {document['Arn']} cannot be read under this server's master key: restore the master key that "
            "belongs to the data folder.",
            status=500,
        ) from None


def _bound(document: Document, number: int) -> bytes:
    return f"key material {document['Arn']} {number}".encode()

"""How KMS remembers its keys, and finds one by id, ARN or alias.

A key's document holds the members of KeyMetadata as they are told, and beside them its policy, tags, rotation and material.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Document, Key, Query, Reader, Scope, Stored, Transaction, each

_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ALGORITHMS: Mapping[str, tuple[str, Sequence[str]]] = {
    "SYMMETRIC_DEFAULT": ("EncryptionAlgorithms", ["SYMMETRIC_DEFAULT"]),
    "RSA/ENCRYPT_DECRYPT": ("EncryptionAlgorithms", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]),
    "RSA/SIGN_VERIFY": (
        "SigningAlgorithms",
        [f"RSASSA_{kind}_SHA_{size}" for kind in ("PKCS1_V1_5", "PSS") for size in (256, 384, 512)],
    ),
    "ECC_NIST_P256": ("SigningAlgorithms", ["ECDSA_SHA_256"]),
    "ECC_NIST_P384": ("SigningAlgorithms", ["ECDSA_SHA_384"]),
    "ECC_NIST_P521": ("SigningAlgorithms", ["ECDSA_SHA_512"]),
    "ECC_SECG_P256K1": ("SigningAlgorithms", ["ECDSA_SHA_256"]),
    **{f"HMAC_{size}": ("MacAlgorithms", [f"HMAC_SHA_{size}"]) for size in (224, 256, 384, 512)},
}
"""By key spec (for RSA with its usage): what can be done with it, and the member that tells it."""


def algorithms(spec: str, usage: str) -> tuple[str, Sequence[str]]:
    return ALGORITHMS[f"RSA/{usage}" if spec.startswith("RSA_") else spec]


def keys(partition: str, account: str, region: str) -> Scope:
    return Scope(partition, account, region, "kms", "key")


def aliases(partition: str, account: str, region: str) -> Scope:
    """Named as they are: `alias/mine`."""
    return Scope(partition, account, region, "kms", "alias")


def grants(partition: str, account: str, region: str) -> Scope:
    """Named `<key id>/<grant id>`."""
    return Scope(partition, account, region, "kms", "grant")


def arn_of(key: Key) -> str:
    return f"arn:{key.partition}:kms:{key.region}:{key.account}:key/{key.name}"


def alias_arn(call: Call, name: str) -> str:
    return f"arn:{call.partition}:kms:{call.region}:{call.account}:{name}"


def find(reader: Reader, call: Call, key_id: str) -> Stored:
    """Raises NotFoundException. A key whose waiting time is over is gone, whether or not anybody has looked since."""
    key = _key(reader, call, key_id)
    stored = reader.get(key)
    if stored is None or stored.document.get("DeletionDate", call.now + 1) <= call.now:
        raise ServiceError("NotFoundException", f"Key '{arn_of(key)}' does not exist")
    return stored


def by_arn(reader: Reader, arn: str) -> Stored | None:
    parts = Arn.parse(arn)
    return reader.get(keys(parts.partition, parts.account, parts.region).key(parts.name))


def _key(reader: Reader, call: Call, key_id: str) -> Key:
    name, partition, account, region = key_id, call.partition, call.account, call.region
    if key_id.startswith("arn:"):
        try:
            arn = Arn.parse(key_id)
        except ValueError as error:
            raise ServiceError("InvalidArnException", f"Invalid keyId: {error}") from None
        if arn.service != "kms" or arn.region != region or arn.kind not in ("key", "alias"):
            raise ServiceError(
                "NotFoundException", f"Invalid arn {arn.region}: {key_id} names no key of {region}"
            )
        name, partition, account = arn.resource, arn.partition, arn.account
    if name.startswith("alias/"):
        found = reader.get(aliases(partition, account, region).key(name))
        if found is None:
            shown = f"arn:{partition}:kms:{region}:{account}:{name}"
            raise ServiceError("NotFoundException", f"Alias {shown} is not found.")
        name = found.document["TargetKeyId"]
    name = name.removeprefix("key/").lower()
    if not _KEY_ID.fullmatch(name):
        raise ServiceError("NotFoundException", f"Invalid keyId '{key_id}'")
    return keys(partition, account, region).key(name)


def usable(stored: Stored, usage: str = "") -> Document:
    """The document of a key that may be used, for that usage. Raises what KMS says of one in another state."""
    document = stored.document
    if document["KeyState"] == "Disabled":
        raise ServiceError("DisabledException", f"{document['Arn']} is disabled.")
    alive(stored)
    if usage and document["KeyUsage"] != usage:
        raise ServiceError(
            "InvalidKeyUsageException",
            f"{document['Arn']} key usage is {document['KeyUsage']} which is not valid for this operation: it needs {usage}.",
        )
    return document


def alive(stored: Stored) -> Document:
    """Raises KMSInvalidStateException for one that waits for its deletion."""
    if stored.document["KeyState"] == "PendingDeletion":
        raise ServiceError("KMSInvalidStateException", f"{stored.document['Arn']} is pending deletion.")
    return stored.document


def own(stored: Stored) -> Document:
    """Raises for keys that AWS manages: nobody can change those."""
    if stored.document["KeyManager"] == "AWS":
        raise ServiceError(
            "AccessDeniedException",
            f"{stored.document['Arn']} is managed by AWS: it cannot be changed. Create a key of your own for that.",
        )
    return alive(stored)


def change(transaction: Transaction, stored: Stored, document: Document, *, at: float) -> None:
    """Write it back. The reconciler looks after those that are to be deleted or rotated."""
    active = "DeletionDate" in document or "_Rotation" in document
    status = document["KeyState"]
    transaction.put(stored.key, document, expect=stored.version, at=at, status=status, active=active)


def rehearsed(call: Call) -> None:
    """Raises DryRunOperationException where the caller only wants to know whether it would work."""
    if call.parameters.get("DryRun"):
        raise ServiceError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."
        )


def page(
    call: Call, reader: Reader, scope: Scope, prefix: str = "", *, usual: int = 100
) -> tuple[list[Stored], dict[str, Any]]:
    """The rows of one page, and the members that say whether there are more."""
    limit, after = int(call.parameters.get("Limit", usual)), _marker(call)
    rows: list[Stored] = []
    for row in each(reader, scope, Query(name_prefix=prefix, after=after)):
        if len(rows) == limit:
            return rows, {"Truncated": True, "NextMarker": encode_token([rows[-1].key.name])}
        rows.append(row)
    return rows, {"Truncated": False}


def _marker(call: Call) -> tuple[str, str] | None:
    marker = call.parameters.get("Marker")
    if marker is None:
        return None
    match decode_token(marker):
        case [str(name)]:
            return name, name
    raise ServiceError("InvalidMarkerException", f"The marker {marker} is not one that this list gave out.")

"""Server-side encryption: AES256 under a key of S3's own, aws:kms under a key of KMS, customer keys that are never kept.

Each object has a data key of its own, which seals its bytes (`objects/sealed.py`) and lies beside them, itself encrypted: under S3's
key, by KMS in the name of whoever puts and gets, or under the customer's key. docs/decisions/encryption.md has the formats.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colonnade.cloud.s3.access import bucket_arn, object_arn
from colonnade.cloud.s3.index import Bucket, Encryption
from colonnade.cloud.s3.refusals import invalid_argument, not_built, refusal
from colonnade.kernel import json_text
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.ports import Keys
from colonnade.kernel.sealing import open_sealed, seal

AES256, KMS, CUSTOMER = "AES256", "aws:kms", "SSE-C"
_UNKNOWN = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."


@dataclass(frozen=True, slots=True)
class Lock:
    """How an object is encrypted, and the data key to do it with."""

    encryption: Encryption
    key: bytes

    def etag(self, md5: bytes) -> str:
        """As S3 has it: the MD5 under AES256; under a key that is not S3's, nothing that tells of the content."""
        if self.encryption.kind == AES256:
            return md5.hex()
        return hmac.new(self.key, b"etag" + md5, hashlib.sha256).hexdigest()[:32]


def lock(call: Call, bucket: Bucket, key: str) -> Lock | None:
    """For a new object: what the call asks for, or the bucket's default; None for neither. Asks KMS for the data key."""
    customer = _customer_key(call.parameters)
    kind, key_id, with_bucket_key = _wanted(call.parameters, bucket)
    if customer is not None:
        if call.parameters.get("ServerSideEncryption"):
            raise invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                "x-amz-server-side-encryption",
                call.parameters["ServerSideEncryption"],
            )
        return _with(CUSTOMER, customer, call, bucket.name, key)
    if not kind:
        return None
    if kind == AES256:
        return _with(AES256, call.platform.the(Keys).own("s3"), call, bucket.name, key)
    return _by_kms(call, bucket, key, key_id, with_bucket_key)


def _wanted(parameters: Mapping[str, Any], bucket: Bucket) -> tuple[str, str, bool]:
    """(kind, key, bucket key)."""
    kind = parameters.get("ServerSideEncryption", "")
    default = bucket.encryption or {}
    key_id = parameters.get("SSEKMSKeyId", "")
    if kind:
        check_kind(kind)
    if (key_id or parameters.get("SSEKMSEncryptionContext")) and kind != KMS:
        raise invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            kind,
        )
    if not kind:
        kind, key_id = default.get("SSEAlgorithm", ""), default.get("KMSMasterKeyID", "")
    elif kind == KMS and not key_id and default.get("SSEAlgorithm") == KMS:
        key_id = default.get("KMSMasterKeyID", "")
    return kind, key_id, bool(parameters.get("BucketKeyEnabled", default.get("BucketKeyEnabled", False)))


def check_kind(kind: str) -> None:
    if kind in ("aws:kms:dsse", "aws:fsx", "aws:backup"):
        raise not_built(f"the encryption {kind} (it does AES256, aws:kms and customer keys)")
    if kind not in (AES256, KMS):
        raise invalid_argument(
            "The encryption method specified is not supported", "x-amz-server-side-encryption", kind
        )


def _with(kind: str, wrapping: bytes, call: Call, bucket: str, key: str) -> Lock:
    data_key = os.urandom(32)
    wrapped = seal(wrapping, data_key, _bound(call, bucket, key))
    return Lock(Encryption(kind, base64.b64encode(wrapped).decode()), data_key)


def _bound(call: Call, bucket: str, key: str) -> bytes:
    return object_arn(call, bucket, key).encode()


def _by_kms(call: Call, bucket: Bucket, key: str, key_id: str, with_bucket_key: bool) -> Lock:
    context = {**_given_context(call.parameters), "aws:s3:arn": object_arn(call, bucket.name, key)}
    if with_bucket_key:
        context["aws:s3:arn"] = bucket_arn(call, bucket.name)
    keys = call.platform.the(Keys)
    try:
        made = keys.data_key(call.principal, bucket.region, key_id or "alias/aws/s3", context, service="s3")
    except ServiceError as error:
        raise _said_by_kms(error) from None
    wrapped = base64.b64encode(made.wrapped).decode()
    return Lock(Encryption(KMS, wrapped, made.key_arn, context, with_bucket_key), made.plaintext)


def _given_context(parameters: Mapping[str, Any]) -> dict[str, str]:
    text = parameters.get("SSEKMSEncryptionContext")
    if not text:
        return {}
    try:
        context = json_text.read(base64.b64decode(text, validate=True))
    except ValueError:
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise invalid_argument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON with "
            "string-string key-value pairs",
            "x-amz-server-side-encryption-context",
            text,
        )
    return context


def _said_by_kms(error: ServiceError) -> ServiceError:
    if error.code == "AccessDeniedException":
        return refusal("AccessDenied", error.message)
    return ServiceError(f"KMS.{error.code}", error.message, status=error.status or 400)


def unlock(
    call: Call, region: str, bucket: str, key: str, encryption: Encryption, *, prefix: str = ""
) -> Lock:
    """For what is there, as the caller: KMS must allow Decrypt, or the customer's key be given. `prefix` of the parameters that
    hold that key: CopySource."""
    check_customer_key(call, encryption, prefix=prefix)
    wrapped = base64.b64decode(encryption.wrapped)
    keys = call.platform.the(Keys)
    if encryption.kind == KMS:
        try:
            context = encryption.context
            return Lock(encryption, keys.unwrap(call.principal, region, wrapped, context, service="s3"))
        except ServiceError as error:
            raise _said_by_kms(error) from None
    wrapping = _customer_key(call.parameters, prefix) or keys.own("s3")
    try:
        return Lock(encryption, open_sealed(wrapping, wrapped, _bound(call, bucket, key)))
    except ValueError:
        if encryption.kind == CUSTOMER:
            raise refusal(
                "AccessDenied", "The customer key is not the one that the object was encrypted with."
            ) from None
        raise ServiceError(
            "InternalError",
            "The object's key cannot be read under this server's master key: restore the master key that belongs to the data folder.",
            status=500,
        ) from None


def check_customer_key(call: Call, encryption: Encryption | None, *, prefix: str = "") -> None:
    """A key must be given where the object has one, and not where it has none."""
    given = _customer_key(call.parameters, prefix) is not None
    if encryption is not None and encryption.kind == CUSTOMER and not given:
        raise refusal("InvalidRequest", _UNKNOWN)
    if given and (encryption is None or encryption.kind != CUSTOMER):
        raise refusal("InvalidRequest", "The encryption parameters are not applicable to this object.")


def _customer_key(parameters: Mapping[str, Any], prefix: str = "") -> bytes | None:
    name = f"{prefix}SSECustomer"
    algorithm, text = parameters.get(f"{name}Algorithm"), parameters.get(f"{name}Key")
    said = parameters.get(f"{name}KeyMD5")
    if algorithm is None and text is None and said is None:
        return None
    header = "x-amz-server-side-encryption-customer-"
    if algorithm != AES256:
        raise invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
            f"{header}algorithm",
            algorithm,
        )
    try:
        key = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise invalid_argument(
            "The secret key was invalid for the specified algorithm.", f"{header}key", "null"
        )
    if said != base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode():
        raise invalid_argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            f"{header}key-MD5",
            said,
        )
    return key


def members(call: Call, encryption: Encryption | None, *, with_context: bool = False) -> dict[str, Any]:
    """What answers tell of it."""
    if encryption is None:
        return {}
    if encryption.kind == CUSTOMER:
        told = {"SSECustomerAlgorithm": AES256}
        digest = call.parameters.get("SSECustomerKeyMD5")
        return {**told, "SSECustomerKeyMD5": digest} if digest else told
    if encryption.kind == AES256:
        return {"ServerSideEncryption": AES256}
    told_by_kms: dict[str, Any] = {"ServerSideEncryption": KMS, "SSEKMSKeyId": encryption.key_arn}
    if encryption.bucket_key:
        told_by_kms["BucketKeyEnabled"] = True
    if with_context and "SSEKMSEncryptionContext" in call.parameters:
        told_by_kms["SSEKMSEncryptionContext"] = call.parameters["SSEKMSEncryptionContext"]
    return told_by_kms

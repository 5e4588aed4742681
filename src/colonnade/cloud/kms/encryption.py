"""Encrypt, Decrypt, ReEncrypt, GenerateDataKey and its kin, GenerateRandom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.cloud.kms import ciphertext, material
from colonnade.cloud.kms.access import anywhere
from colonnade.cloud.kms.key import look_up
from colonnade.cloud.kms.keys import arn_of, find, rehearsed, usable
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Document

_SYMMETRIC = "SYMMETRIC_DEFAULT"


@operation("kms", "Encrypt")
def encrypt(call: Call) -> Result:
    parameters = call.parameters
    document = usable(look_up(call), "ENCRYPT_DECRYPT")
    algorithm = _algorithm(document, parameters.get("EncryptionAlgorithm", _SYMMETRIC))
    rehearsed(call)
    blob = _encrypted(
        call, document, parameters["Plaintext"], parameters.get("EncryptionContext") or {}, algorithm
    )
    return {"CiphertextBlob": blob, "KeyId": document["Arn"], "EncryptionAlgorithm": algorithm}


def _algorithm(document: Document, algorithm: str) -> str:
    if algorithm not in document["EncryptionAlgorithms"]:
        raise ServiceError(
            "InvalidKeyUsageException",
            f"{document['Arn']} is of spec {document['KeySpec']} and does not support {algorithm}: give one of "
            f"{', '.join(document['EncryptionAlgorithms'])}.",
        )
    return algorithm


def _encrypted(
    call: Call, document: Document, plaintext: bytes, context: Mapping[str, str], algorithm: str
) -> bytes:
    secret = material.read(call.platform, document)
    if algorithm == _SYMMETRIC:
        return ciphertext.encrypt(secret, material.current(document), document["Arn"], plaintext, context)
    _check_no_context(context)
    from colonnade.kernel.asymmetric import rsa_encrypt

    return rsa_encrypt(secret, algorithm, plaintext)


def _check_no_context(context: Mapping[str, str]) -> None:
    if context:
        raise ServiceError(
            "ValidationException", "An encryption context is for symmetric keys only: leave it out."
        )


@operation("kms", "Decrypt")
def decrypt(call: Call) -> Result:
    parameters = call.parameters
    _check_recipient(call)
    if "CiphertextBlob" not in parameters:
        raise ServiceError("ValidationException", "CiphertextBlob is required.")
    algorithm = parameters.get("EncryptionAlgorithm", _SYMMETRIC)
    context = parameters.get("EncryptionContext") or {}
    document, plaintext, number = _decrypted(
        call, parameters["CiphertextBlob"], parameters.get("KeyId"), algorithm, context
    )
    told = {"KeyId": document["Arn"], "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}
    return {**told, **_material_id(document, number)}


def _decrypted(
    call: Call, blob: bytes, key_id: str | None, algorithm: str, context: Mapping[str, str]
) -> tuple[Document, bytes, int]:
    """The key, what was encrypted, and the number of the material; after the refusals and before a dry run ends."""
    if algorithm != _SYMMETRIC:
        return _rsa_decrypted(call, blob, key_id, algorithm, context)
    sealed = ciphertext.parse(blob)
    with call.platform.store.read() as reader:
        if key_id is not None and arn_of(find(reader, call, key_id).key) != sealed.arn:
            raise ServiceError(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )
        document = usable(find(reader, call, sealed.arn), "ENCRYPT_DECRYPT")
    if not 1 <= sealed.number <= material.current(document):
        raise ServiceError(
            "InvalidCiphertextException", "The ciphertext is invalid, or its encryption context differs."
        )
    plaintext = ciphertext.decrypt(material.read(call.platform, document, sealed.number), sealed, context)
    rehearsed(call)
    return document, plaintext, sealed.number


def _rsa_decrypted(
    call: Call, blob: bytes, key_id: str | None, algorithm: str, context: Mapping[str, str]
) -> tuple[Document, bytes, int]:
    from colonnade.kernel.asymmetric import rsa_decrypt

    _check_no_context(context)
    if key_id is None:
        raise ServiceError("ValidationException", f"KeyId is required to decrypt with {algorithm}.")
    with call.platform.store.read() as reader:
        document = usable(find(reader, call, key_id), "ENCRYPT_DECRYPT")
    _algorithm(document, algorithm)
    plaintext = rsa_decrypt(material.read(call.platform, document), algorithm, blob)
    rehearsed(call)
    return document, plaintext, 0


def _material_id(document: Document, number: int, prefix: str = "") -> dict[str, str]:
    if document["KeySpec"] != _SYMMETRIC:
        return {}
    return {f"{prefix}KeyMaterialId": document["_Material"][number - 1]["Id"]}


def _from_and_to(call: Call) -> Sequence[tuple[str, str]]:
    source = (
        call.parameters.get("SourceKeyId") or ciphertext.parse(call.parameters.get("CiphertextBlob", b"")).arn
    )
    with call.platform.store.read() as reader:
        first, second = (
            arn_of(find(reader, call, each).key) for each in (source, call.parameters["DestinationKeyId"])
        )
    return [("kms:ReEncryptFrom", first), ("kms:ReEncryptTo", second)]


@operation("kms", "ReEncrypt", demand=_from_and_to)
def re_encrypt(call: Call) -> Result:
    parameters = call.parameters
    before = parameters.get("SourceEncryptionAlgorithm", _SYMMETRIC)
    after = parameters.get("DestinationEncryptionAlgorithm", _SYMMETRIC)
    with call.platform.store.read() as reader:
        target = usable(find(reader, call, parameters["DestinationKeyId"]), "ENCRYPT_DECRYPT")
    _algorithm(target, after)
    context = parameters.get("SourceEncryptionContext") or {}
    source, plaintext, number = _decrypted(
        call, parameters["CiphertextBlob"], parameters.get("SourceKeyId"), before, context
    )
    blob = _encrypted(call, target, plaintext, parameters.get("DestinationEncryptionContext") or {}, after)
    return {
        "CiphertextBlob": blob,
        "SourceKeyId": source["Arn"],
        "KeyId": target["Arn"],
        "SourceEncryptionAlgorithm": before,
        "DestinationEncryptionAlgorithm": after,
        **_material_id(source, number, "Source"),
        **_material_id(target, material.current(target), "Destination"),
    }


@operation("kms", "GenerateDataKey")
def generate_data_key(call: Call) -> Result:
    _check_recipient(call)
    return _data_key(call)


@operation("kms", "GenerateDataKeyWithoutPlaintext")
def generate_data_key_without_plaintext(call: Call) -> Result:
    return {name: value for name, value in _data_key(call).items() if name != "Plaintext"}


def _data_key(call: Call) -> dict[str, Any]:
    document = _symmetric(call)
    plaintext = os.urandom(_size(call))
    rehearsed(call)
    context = call.parameters.get("EncryptionContext") or {}
    blob = _encrypted(call, document, plaintext, context, _SYMMETRIC)
    told = {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": document["Arn"]}
    return {**told, **_material_id(document, material.current(document))}


def _symmetric(call: Call) -> Document:
    document = usable(look_up(call), "ENCRYPT_DECRYPT")
    if document["KeySpec"] != _SYMMETRIC:
        raise ServiceError(
            "InvalidKeyUsageException",
            f"{document['Arn']} is of spec {document['KeySpec']}: data keys need a symmetric key.",
        )
    return document


def _size(call: Call) -> int:
    spec, size = call.parameters.get("KeySpec"), call.parameters.get("NumberOfBytes")
    if (spec is None) == (size is None):
        raise ServiceError("ValidationException", "Please specify either number of bytes or key spec.")
    return int(size) if size is not None else {"AES_256": 32, "AES_128": 16}[str(spec)]


@operation("kms", "GenerateDataKeyPair")
def generate_data_key_pair(call: Call) -> Result:
    _check_recipient(call)
    return _data_key_pair(call)


@operation("kms", "GenerateDataKeyPairWithoutPlaintext")
def generate_data_key_pair_without_plaintext(call: Call) -> Result:
    return {name: value for name, value in _data_key_pair(call).items() if name != "PrivateKeyPlaintext"}


def _data_key_pair(call: Call) -> dict[str, Any]:
    from colonnade.kernel.asymmetric import make_pair, public_key

    document = _symmetric(call)
    rehearsed(call)
    spec = call.parameters["KeyPairSpec"]
    private = make_pair(spec)
    context = call.parameters.get("EncryptionContext") or {}
    return {
        "PrivateKeyCiphertextBlob": _encrypted(call, document, private, context, _SYMMETRIC),
        "PrivateKeyPlaintext": private,
        "PublicKey": public_key(private),
        "KeyId": document["Arn"],
        "KeyPairSpec": spec,
        **_material_id(document, material.current(document)),
    }


@operation("kms", "GenerateRandom", demand=anywhere("GenerateRandom"))
def generate_random(call: Call) -> Result:
    _check_recipient(call)
    if call.parameters.get("CustomKeyStoreId"):
        raise ServiceError("NotImplementedException", "Colonnade's KMS has no custom key stores.", status=501)
    if "NumberOfBytes" not in call.parameters:
        raise ServiceError("ValidationException", "NumberOfBytes is required.")
    return {"Plaintext": os.urandom(int(call.parameters["NumberOfBytes"]))}


def _check_recipient(call: Call) -> None:
    if call.parameters.get("Recipient"):
        raise ServiceError(
            "NotImplementedException",
            "Colonnade's KMS does not implement Nitro enclaves (Recipient). Leave it out.",
            status=501,
        )

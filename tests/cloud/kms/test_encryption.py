"""Encrypting and decrypting with real boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.conftest import Cloud


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["KeyId"])


def code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    return str(refusal.value.response["Error"]["Code"])


def test_what_was_encrypted_is_decrypted_without_naming_the_key(kms: Any, key: str) -> None:
    made = kms.encrypt(KeyId=key, Plaintext=b"secret")

    read = kms.decrypt(CiphertextBlob=made["CiphertextBlob"])

    assert read["Plaintext"] == b"secret"
    assert read["KeyId"] == made["KeyId"] == kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    assert b"secret" not in made["CiphertextBlob"]
    assert kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"] != made["CiphertextBlob"]


def test_a_ciphertext_is_bound_to_its_context(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1", "b": "2"})["CiphertextBlob"]

    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"b": "2", "a": "1"})["Plaintext"] == b"x"
    for other in ({}, {"a": "1"}, {"a": "12", "b": ""}, {"a": "1", "b": "2", "c": "3"}):
        assert code(kms.decrypt, CiphertextBlob=blob, EncryptionContext=other) == "InvalidCiphertextException"


def test_a_changed_ciphertext_is_refused_wherever_it_was_changed(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    for place in range(0, len(blob), 7):
        bent = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        refused = code(kms.decrypt, CiphertextBlob=bent)
        assert refused in ("InvalidCiphertextException", "NotFoundException", "AccessDeniedException")
    assert code(kms.decrypt, CiphertextBlob=blob[:-1]) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=b"whatever") == "InvalidCiphertextException"


def test_decrypting_with_another_key_than_named_is_refused(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    assert code(kms.decrypt, CiphertextBlob=blob, KeyId=other) == "IncorrectKeyException"


def test_a_data_key_comes_plain_and_wrapped(kms: Any, key: str) -> None:
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "1"})
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=24)

    assert len(made["Plaintext"]) == 32
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "1"})
    assert opened["Plaintext"] == made["Plaintext"]
    assert "Plaintext" not in hidden
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 24
    assert code(kms.generate_data_key, KeyId=key) == "ValidationException"


def test_re_encrypting_changes_key_and_context(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]

    made = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "1"},
        DestinationKeyId=other["KeyId"],
        DestinationEncryptionContext={"b": "2"},
    )

    assert made["KeyId"] == other["Arn"]
    read = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"b": "2"})
    assert (read["Plaintext"], read["KeyId"]) == (b"x", other["Arn"])


def test_rotated_keys_still_decrypt_what_they_encrypted(kms: Any, key: str) -> None:
    before = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key)
    after = kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]

    first, second = kms.decrypt(CiphertextBlob=before), kms.decrypt(CiphertextBlob=after)

    assert (first["Plaintext"], second["Plaintext"]) == (b"old", b"new")
    assert first["KeyMaterialId"] != second["KeyMaterialId"]
    assert second["KeyMaterialId"] == kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    (rotation,) = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert (rotation["RotationType"], rotation["KeyMaterialId"]) == ("ON_DEMAND", second["KeyMaterialId"])


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)

    assert code(kms.decrypt, CiphertextBlob=blob) == "DisabledException"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"] is False
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_dry_run_says_that_it_would_work_and_does_nothing(kms: Any, key: str) -> None:
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True) == "DryRunOperationException"
    assert code(kms.encrypt, KeyId="0" * 36, Plaintext=b"x", DryRun=True) == "NotFoundException"


def test_random_bytes_differ(kms: Any) -> None:
    first, second = (kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(2))

    assert len(first) == 32
    assert first != second


def test_macs_hold_for_their_message_only(kms: Any) -> None:
    key = kms.create_key(KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "MacAlgorithm": "HMAC_SHA_384"}

    mac = kms.generate_mac(Message=b"hello", **asked)["Mac"]

    assert len(mac) == 48
    assert kms.verify_mac(Message=b"hello", Mac=mac, **asked)["MacValid"] is True
    assert code(kms.verify_mac, Message=b"hallo", Mac=mac, **asked) == "KMSInvalidMacException"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "InvalidKeyUsageException"


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
        ("ECC_NIST_P384", "ECDSA_SHA_384"),
    ],
)
def test_signatures_hold_for_their_message_only(kms: Any, spec: str, algorithm: str) -> None:
    key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "SigningAlgorithm": algorithm}

    signature = kms.sign(Message=b"hello", **asked)["Signature"]

    assert kms.verify(Message=b"hello", Signature=signature, **asked)["SignatureValid"] is True
    assert code(kms.verify, Message=b"hallo", Signature=signature, **asked) == "KMSInvalidSignatureException"


def test_a_public_key_checks_signatures_outside(kms: Any) -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    told = kms.get_public_key(KeyId=key)
    signature = kms.sign(KeyId=key, Message=b"hello", SigningAlgorithm="ECDSA_SHA_256")["Signature"]

    public = serialization.load_der_public_key(told["PublicKey"])

    assert told["SigningAlgorithms"] == ["ECDSA_SHA_256"]
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"hello", ec.ECDSA(hashes.SHA256()))


def test_an_rsa_key_encrypts(kms: Any) -> None:
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}

    blob = kms.encrypt(Plaintext=b"x", **asked)["CiphertextBlob"]

    assert kms.decrypt(CiphertextBlob=blob, **asked)["Plaintext"] == b"x"


def test_a_data_key_pair_signs(kms: Any, key: str) -> None:
    from cryptography.hazmat.primitives import serialization

    made = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")

    private = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])["Plaintext"]
    public = serialization.load_der_private_key(private, None).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert private == made["PrivateKeyPlaintext"]
    assert der == made["PublicKey"]


def test_key_material_lies_encrypted_in_the_store(cloud: Cloud, kms: Any, key: str) -> None:
    from colonnade.cloud.kms import material
    from colonnade.cloud.kms.keys import keys

    with cloud.platform.store.read() as reader:
        stored = reader.get(keys("aws", "123456789012", "us-east-1").key(key))
    assert stored is not None

    secret = material.read(cloud.platform, stored.document)

    import base64

    assert len(secret) == 32
    assert base64.b64encode(secret).decode()[:-2] not in str(stored.document)
    assert secret not in base64.b64decode(stored.document["_Material"][0]["Sealed"])

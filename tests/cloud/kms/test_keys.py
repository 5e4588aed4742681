"""Keys, their aliases, tags, rotation and deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.conftest import Cloud
from colonnade.cloud.kms.key_states import reconcile
from colonnade.cloud.kms.keys import keys
from colonnade.kernel.reconcile import Again, Done

DAY = 86_400.0


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key(Description="mine")["KeyMetadata"]["KeyId"])


def code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    return str(refusal.value.response["Error"]["Code"])


def test_a_key_is_described(kms: Any, key: str) -> None:
    told = kms.describe_key(KeyId=key)["KeyMetadata"]

    assert told["Arn"] == f"arn:aws:kms:us-east-1:123456789012:key/{key}"
    assert (told["KeyState"], told["Enabled"], told["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert (told["KeySpec"], told["KeyUsage"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert told["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    assert not [name for name in told if name.startswith("_")]
    kms.update_key_description(KeyId=key, Description="yours")
    assert kms.describe_key(KeyId=told["Arn"])["KeyMetadata"]["Description"] == "yours"


def test_keys_are_listed_page_by_page(kms: Any) -> None:
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}

    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))

    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    assert {each["KeyId"] for page in pages for each in page["Keys"]} == made


@pytest.mark.parametrize(
    "key_id", ["nonsense", "0" * 36, "alias/none", "arn:aws:kms:us-east-1:123456789012:key/none"]
)
def test_a_key_that_is_not_there_is_not_found(kms: Any, key_id: str) -> None:
    assert code(kms.describe_key, KeyId=key_id) == "NotFoundException"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"KeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "ENCRYPT_DECRYPT"}, "ValidationException"),
        ({"Origin": "EXTERNAL"}, "NotImplementedException"),
        ({"MultiRegion": True}, "NotImplementedException"),
        ({"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"}, "NotImplementedException"),
        ({"Policy": "{}"}, "MalformedPolicyDocumentException"),
    ],
)
def test_keys_that_cannot_be_are_refused(kms: Any, asked: dict[str, Any], refused: str) -> None:
    assert code(kms.create_key, **asked) == refused


def test_an_alias_stands_for_its_key(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)

    assert kms.describe_key(KeyId="alias/mine")["KeyMetadata"]["KeyId"] == key
    kms.update_alias(AliasName="alias/mine", TargetKeyId=other)
    assert (
        kms.describe_key(KeyId="arn:aws:kms:us-east-1:123456789012:alias/mine")["KeyMetadata"]["KeyId"]
        == other
    )
    assert [each["AliasName"] for each in kms.list_aliases(KeyId=other)["Aliases"]] == ["alias/mine"]
    assert code(kms.create_alias, AliasName="alias/mine", TargetKeyId=key) == "AlreadyExistsException"
    assert code(kms.create_alias, AliasName="alias/aws/own", TargetKeyId=key) == "NotAuthorizedException"
    kms.delete_alias(AliasName="alias/mine")
    assert code(kms.describe_key, KeyId="alias/mine") == "NotFoundException"


def test_tags_are_kept(kms: Any, key: str) -> None:
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.untag_resource(KeyId=key, TagKeys=["a"])

    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": "2"}]
    assert code(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": ""}]) == "TagException"


def test_a_deleted_key_is_gone_with_all_that_was_encrypted(cloud: Cloud, kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    place = keys("aws", "123456789012", "us-east-1").key(key)

    assert code(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    assert isinstance(reconcile(cloud.platform, place), Again)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    cloud.clock.advance(7 * DAY)
    assert code(kms.describe_key, KeyId=key) == "NotFoundException"
    assert isinstance(reconcile(cloud.platform, place), Done)

    with cloud.platform.store.read() as reader:
        assert reader.get(place) is None
    assert code(kms.decrypt, CiphertextBlob=blob) == "NotFoundException"
    assert kms.list_aliases()["Aliases"] == []


def test_a_deletion_can_be_taken_back(kms: Any, key: str) -> None:
    kms.schedule_key_deletion(KeyId=key)
    assert code(kms.enable_key, KeyId=key) == "KMSInvalidStateException"

    kms.cancel_key_deletion(KeyId=key)

    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]


def test_a_key_rotates_when_its_time_has_come(cloud: Cloud, kms: Any, key: str) -> None:
    place = keys("aws", "123456789012", "us-east-1").key(key)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    told = kms.get_key_rotation_status(KeyId=key)
    before = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    reconcile(cloud.platform, place)
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    cloud.clock.advance(90 * DAY)
    reconcile(cloud.platform, place)

    assert (told["KeyRotationEnabled"], told["RotationPeriodInDays"]) == (True, 90)
    assert [each["RotationType"] for each in kms.list_key_rotations(KeyId=key)["Rotations"]] == ["AUTOMATIC"]
    assert kms.decrypt(CiphertextBlob=before)["Plaintext"] == b"x"
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False

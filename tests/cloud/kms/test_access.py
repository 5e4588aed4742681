"""Key policies, IAM policies and grants, together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.conftest import Cloud
from colonnade.kernel.ports import Keys, Principal

ACCOUNT = "arn:aws:iam::123456789012:root"


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def policy(*statements: Mapping[str, Any]) -> str:
    whole = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole, *statements]})


def allowed(call: Callable[..., Any], **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_the_usual_key_policy_lets_iam_decide(cloud: Cloud, kms: Any, key: str) -> None:
    may = cloud.client(
        "kms", cloud.user("ann", {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": key})
    )
    other = cloud.client("kms", cloud.user("bob"))

    assert allowed(may.encrypt, KeyId=key, Plaintext=b"x")
    assert not allowed(may.describe_key, KeyId=key)
    assert not allowed(other.encrypt, KeyId=key, Plaintext=b"x")


def test_a_key_policy_alone_lets_a_user_in(cloud: Cloud, kms: Any, key: str) -> None:
    ann = cloud.client("kms", cloud.user("ann"))
    arn = "arn:aws:iam::123456789012:user/ann"
    kms.put_key_policy(
        KeyId=key,
        Policy=policy(
            {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:Encrypt", "Resource": "*"}
        ),
    )

    assert allowed(ann.encrypt, KeyId=key, Plaintext=b"x")
    assert not allowed(ann.generate_data_key, KeyId=key, KeySpec="AES_256")


def test_iam_alone_opens_no_key_whose_policy_leaves_the_account_out(cloud: Cloud, kms: Any) -> None:
    cloud.client("iam").create_user(UserName="owner")
    sole = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:user/owner"},
        "Action": "kms:*",
        "Resource": "*",
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [sole]})
    with pytest.raises(ClientError, match="will not allow you to update the key policy in the future"):
        kms.create_key(Policy=text)
    key = kms.create_key(Policy=text, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["KeyId"]
    all_powerful = cloud.client("kms", cloud.user("ann", {"Effect": "Allow", "Action": "*", "Resource": "*"}))

    assert not allowed(all_powerful.encrypt, KeyId=key, Plaintext=b"x")
    assert not allowed(kms.encrypt, KeyId=key, Plaintext=b"x"), "not even root"


def test_an_explicit_deny_of_the_key_policy_wins(cloud: Cloud, kms: Any, key: str) -> None:
    ann = cloud.client("kms", cloud.user("ann", {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}))
    kms.put_key_policy(
        KeyId=key,
        Policy=policy(
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "kms:Encrypt",
                "Resource": "*",
                "Condition": {"StringNotEquals": {"kms:EncryptionContext:team": "red"}},
            }
        ),
    )

    assert not allowed(ann.encrypt, KeyId=key, Plaintext=b"x")
    assert allowed(ann.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"team": "red"})
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        ann.encrypt(KeyId=key, Plaintext=b"x")


def test_conditions_of_the_key_and_the_request_hold(cloud: Cloud, kms: Any, key: str) -> None:
    ann = cloud.client("kms", cloud.user("ann", {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}))
    deny = {"Effect": "Deny", "Principal": "*", "Resource": "*"}
    grants = {"StringEquals": {"kms:GranteePrincipal": "arn:aws:iam::123456789012:user/bob"}}
    symmetric = {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}
    kms.put_key_policy(
        KeyId=key,
        Policy=policy(
            {**deny, "Action": "kms:CreateGrant", "Condition": grants},
            {**deny, "Action": "kms:DescribeKey", "Condition": symmetric},
        ),
    )
    asked = {"KeyId": key, "Operations": ["Encrypt"]}

    assert not allowed(ann.create_grant, **asked, GranteePrincipal="arn:aws:iam::123456789012:user/bob")
    assert allowed(ann.create_grant, **asked, GranteePrincipal="arn:aws:iam::123456789012:user/ann")
    assert not allowed(ann.describe_key, KeyId=key)
    unknown = {
        **deny,
        "Action": "kms:*",
        "Condition": {"Null": {"kms:RecipientAttestation:ImageSha384": "true"}},
    }
    with pytest.raises(ClientError, match="kms:RecipientAttestation:ImageSha384"):
        kms.put_key_policy(KeyId=key, Policy=policy(unknown))


def test_a_grant_lets_in_until_it_is_revoked(cloud: Cloud, kms: Any, key: str) -> None:
    ann = cloud.client("kms", cloud.user("ann"))
    granted = kms.create_grant(
        KeyId=key,
        GranteePrincipal="arn:aws:iam::123456789012:user/ann",
        Operations=["Encrypt", "Decrypt"],
        Constraints={"EncryptionContextSubset": {"team": "red"}},
    )

    assert not allowed(ann.encrypt, KeyId=key, Plaintext=b"x")
    assert allowed(ann.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"team": "red", "more": "1"})
    assert not allowed(ann.describe_key, KeyId=key)
    (listed,) = kms.list_grants(KeyId=key)["Grants"]
    assert listed["GrantId"] == granted["GrantId"]
    kms.revoke_grant(KeyId=key, GrantId=granted["GrantId"])
    assert not allowed(ann.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"team": "red"})


def test_the_retiring_principal_retires_a_grant(cloud: Cloud, kms: Any, key: str) -> None:
    ann, bob = (cloud.client("kms", cloud.user(name)) for name in ("ann", "bob"))
    granted = kms.create_grant(
        KeyId=key,
        GranteePrincipal="arn:aws:iam::123456789012:user/ann",
        RetiringPrincipal="arn:aws:iam::123456789012:user/bob",
        Operations=["Encrypt"],
    )

    assert not allowed(ann.retire_grant, GrantToken=granted["GrantToken"])
    assert allowed(bob.retire_grant, GrantToken=granted["GrantToken"])
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_an_alias_needs_leave_for_itself_and_for_its_key(cloud: Cloud, kms: Any, key: str) -> None:
    alias = "arn:aws:kms:us-east-1:123456789012:alias/a"
    half = cloud.client("kms", cloud.user("ann", {"Effect": "Allow", "Action": "kms:*", "Resource": alias}))
    whole = cloud.client(
        "kms", cloud.user("bob", {"Effect": "Allow", "Action": "kms:*", "Resource": [alias, key]})
    )

    assert not allowed(half.create_alias, AliasName="alias/a", TargetKeyId=key)
    assert allowed(whole.create_alias, AliasName="alias/a", TargetKeyId=key)


def test_a_services_own_key_is_used_through_it_only(cloud: Cloud, kms: Any) -> None:
    keys = cloud.platform.the(Keys)
    access = cloud.user("ann")
    iam = cloud.client("iam").get_user(UserName="ann")["User"]
    ann = Principal(iam["Arn"], "123456789012", iam["UserId"], "user", iam["Arn"])

    made = keys.data_key(ann, "us-east-1", "alias/aws/s3", {"a": "1"}, service="s3")

    assert keys.unwrap(ann, "us-east-1", made.wrapped, {"a": "1"}, service="s3") == made.plaintext
    assert not allowed(
        cloud.client("kms", access).decrypt, CiphertextBlob=made.wrapped, EncryptionContext={"a": "1"}
    )
    assert not allowed(kms.decrypt, CiphertextBlob=made.wrapped, EncryptionContext={"a": "1"}), (
        "not even root"
    )
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyManager"] == "AWS"
    assert not allowed(kms.disable_key, KeyId=made.key_arn)

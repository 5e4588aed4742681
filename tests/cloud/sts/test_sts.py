"""Who am I, and sessions that end, by boto3."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/job"
MAY_ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE}
S3 = {"Effect": "Allow", "Action": ["s3:*", "iam:List*"], "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def make_role(cloud: Any, *principals: Any, **condition: Any) -> None:
    more = {"Condition": condition} if condition else {}
    statements = [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": each, **more} for each in principals
    ]
    iam = cloud.client("iam")
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=policy(*statements))
    iam.put_role_policy(RoleName="job", PolicyName="own", PolicyDocument=policy(S3))


def assume(cloud: Any, keys: Any = None, **parameters: Any) -> Any:
    return cloud.client("sts", keys).assume_role(RoleArn=ROLE, RoleSessionName="me", **parameters)


def assert_denied(cloud: Any, keys: Any = None, who: str = "", **parameters: Any) -> None:
    with pytest.raises(ClientError) as refusal:
        assume(cloud, keys, **parameters)
    error = refusal.value.response["Error"]
    assert error["Code"] == "AccessDenied"
    assert f"{who} is not authorized to perform: sts:AssumeRole on resource: {ROLE}" in error["Message"]


def test_everybody_may_ask_who_they_are(cloud: Any) -> None:
    root = cloud.client("sts").get_caller_identity()
    assert (root["UserId"], root["Account"]) == ("123456789012", "123456789012")
    assert root["Arn"] == "arn:aws:iam::123456789012:root"
    key = cloud.user("ann", {"Effect": "Deny", "Action": "*", "Resource": "*"})
    ann = cloud.client("sts", key).get_caller_identity()
    assert ann["Arn"] == "arn:aws:iam::123456789012:user/ann"
    assert ann["UserId"].startswith("AIDA")


def test_an_assumed_role_is_a_session_with_the_roles_rights_until_it_ends(cloud: Any) -> None:
    make_role(cloud, {"AWS": "arn:aws:iam::123456789012:root"})
    key = cloud.user("ann", MAY_ASSUME)
    answer = assume(cloud, key, DurationSeconds=900)
    keys = answer["Credentials"]
    assert keys["AccessKeyId"].startswith("ASIA")
    who = cloud.client("sts", keys).get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/job/me"
    assert who["UserId"].endswith(":me")
    assert (answer["AssumedRoleUser"]["Arn"], answer["AssumedRoleUser"]["AssumedRoleId"]) == (
        who["Arn"],
        who["UserId"],
    )
    cloud.client("iam", keys).list_users()
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("iam", keys).create_user(UserName="eve")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        cloud.client("sts", {**keys, "SessionToken": "wrong"}).get_caller_identity()
    cloud.clock.advance(901)
    with pytest.raises(ClientError, match="ExpiredToken"):
        cloud.client("sts", keys).get_caller_identity()


def test_a_trust_in_the_account_needs_the_callers_own_right_as_well(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"})
    key = cloud.user("ann")
    assert_denied(cloud, key, "User: arn:aws:iam::123456789012:user/ann")
    assume(cloud, None)


def test_a_trust_in_the_caller_is_enough_unless_denied(cloud: Any) -> None:
    cloud.client("iam").create_user(UserName="seen")
    key = cloud.user("ann")
    make_role(cloud, {"AWS": "arn:aws:iam::123456789012:user/ann"})
    assume(cloud, key)
    assert_denied(cloud, cloud.user("bob", MAY_ASSUME), "user/bob")
    deny = policy({"Effect": "Deny", "Action": "sts:*", "Resource": "*"})
    cloud.client("iam").put_user_policy(UserName="ann", PolicyName="no", PolicyDocument=deny)
    assert_denied(cloud, key, "user/ann")


def test_a_role_for_services_or_none_at_all_is_denied_alike(cloud: Any) -> None:
    assert_denied(cloud)
    make_role(cloud, {"Service": "sagemaker.amazonaws.com"})
    assert_denied(cloud)


def test_an_external_id_must_be_the_agreed_one(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"}, StringEquals={"sts:ExternalId": "agreed"})
    assert_denied(cloud)
    assert_denied(cloud, ExternalId="other")
    assume(cloud, ExternalId="agreed")


def test_session_policies_narrow_and_never_widen(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"})
    only = policy({"Effect": "Allow", "Action": ["iam:ListUsers", "iam:CreateUser"], "Resource": "*"})
    answer = assume(cloud, Policy=only)
    assert answer["PackedPolicySize"] > 0
    iam = cloud.client("iam", answer["Credentials"])
    iam.list_users()
    for refused in (iam.list_roles, lambda: iam.create_user(UserName="eve")):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    by_arn = assume(cloud, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}])
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("iam", by_arn["Credentials"]).list_users()


def test_a_session_lasts_no_longer_than_its_role_allows(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"})
    with pytest.raises(ClientError, match="exceeds the MaxSessionDuration set for this role"):
        assume(cloud, DurationSeconds=7200)


def test_what_is_not_supported_is_said_and_not_ignored(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"})
    with pytest.raises(ClientError, match="does not support Tags of AssumeRole"):
        assume(cloud, Tags=[{"Key": "a", "Value": "b"}])


def test_a_session_token_carries_the_users_own_rights(cloud: Any) -> None:
    key = cloud.user("ann", {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"})
    keys = cloud.client("sts", key).get_session_token(DurationSeconds=900)["Credentials"]
    assert cloud.client("sts", keys).get_caller_identity()["Arn"].endswith(":user/ann")
    cloud.client("iam", keys).list_users()
    cloud.client("iam").delete_user_policy(UserName="ann", PolicyName="own")
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("iam", keys).list_users()


def test_a_session_of_a_deleted_role_may_nothing(cloud: Any) -> None:
    make_role(cloud, {"AWS": "123456789012"})
    keys = assume(cloud)["Credentials"]
    iam = cloud.client("iam")
    iam.delete_role_policy(RoleName="job", PolicyName="own")
    iam.delete_role(RoleName="job")
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("iam", keys).list_users()
    make_role(cloud, {"AWS": "123456789012"})
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("iam", keys).list_users()
    cloud.client("iam", assume(cloud)["Credentials"]).list_users()


def test_expired_sessions_are_swept_away(cloud: Any) -> None:
    from colonnade.cloud.sts.sessions import SESSIONS

    for _ in range(3):
        cloud.client("sts").get_session_token(DurationSeconds=900)
    cloud.clock.advance(3600)
    cloud.client("sts").get_session_token(DurationSeconds=900)
    with cloud.platform.store.read() as reader:
        assert reader.count(SESSIONS) == 1


def test_a_key_tells_its_account(cloud: Any) -> None:
    sts = cloud.client("sts")
    key = cloud.user("ann")
    assert sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == "123456789012"
    with pytest.raises(ClientError, match="unknown or inactive"):
        sts.get_access_key_info(AccessKeyId="A" * 20)


def test_nobody_is_not_somebody(cloud: Any) -> None:
    make_role(cloud, "*")
    unsigned = boto3.session.Session().client(
        "sts", endpoint_url=cloud.url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    for ask in (
        unsigned.get_caller_identity,
        unsigned.get_session_token,
        lambda: unsigned.assume_role(RoleArn=ROLE, RoleSessionName="me"),
    ):
        with pytest.raises(ClientError, match="MissingAuthenticationToken"):
            ask()

"""Users, their keys and groups, by boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def test_a_user_is_made_found_listed_and_deleted(iam: Any, refused: Any) -> None:
    made = iam.create_user(
        UserName="Ann", Path="/team/", Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    )
    user = iam.get_user(UserName="ann")["User"]
    assert user["Arn"] == "arn:aws:iam::123456789012:user/team/Ann"
    assert user["UserId"].startswith("AIDA")
    assert len(user["UserId"]) == 21
    assert user == made["User"]
    assert user["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert refused(iam.create_user, UserName="ANN") == (
        "EntityAlreadyExists",
        "User with name ANN already exists.",
    )
    iam.create_user(UserName="bob")
    assert [each["UserName"] for each in iam.list_users()["Users"]] == ["Ann", "bob"]
    assert [each["UserName"] for each in iam.list_users(PathPrefix="/team/")["Users"]] == ["Ann"]
    iam.delete_user(UserName="Ann")
    assert refused(iam.get_user, UserName="Ann") == (
        "NoSuchEntity",
        "The user with name Ann cannot be found.",
    )
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_user(UserName="Ann")


def test_lists_come_in_pages(iam: Any, refused: Any) -> None:
    for i in range(7):
        iam.create_user(UserName=f"u{i}")
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [[user["UserName"] for user in page["Users"]] for page in pages] == [
        ["u0", "u1", "u2"],
        ["u3", "u4", "u5"],
        ["u6"],
    ]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert refused(iam.list_users, Marker="nonsense")[0] == "ValidationError"


def test_a_user_without_a_name_is_the_caller(cloud: Any, iam: Any) -> None:
    key = cloud.user(
        "ann", {"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::*:user/${aws:username}"}
    )
    mine = cloud.client("iam", key)
    assert mine.get_user()["User"]["UserName"] == "ann"
    assert [each["AccessKeyId"] for each in mine.list_access_keys()["AccessKeyMetadata"]] == [
        key["AccessKeyId"]
    ]
    assert iam.get_user()["User"]["Arn"] == "arn:aws:iam::123456789012:root"
    with pytest.raises(ClientError, match="not authorized to perform: iam:GetUser"):
        mine.get_user(UserName="bob")


def test_a_renamed_user_keeps_id_keys_and_rights(cloud: Any, iam: Any, refused: Any) -> None:
    key = cloud.user("ann", ALL)
    before = iam.get_user(UserName="ann")["User"]
    iam.update_user(UserName="ann", NewUserName="anna", NewPath="/new/")
    after = cloud.client("iam", key).get_user()["User"]
    assert after["Arn"] == "arn:aws:iam::123456789012:user/new/anna"
    assert after["UserId"] == before["UserId"]
    assert refused(iam.get_user, UserName="ann")[0] == "NoSuchEntity"


def test_a_secret_is_told_once_and_a_user_has_two_keys_at_most(iam: Any, refused: Any) -> None:
    iam.create_user(UserName="ann")
    first = iam.create_access_key(UserName="ann")["AccessKey"]
    assert (len(first["AccessKeyId"]), len(first["SecretAccessKey"])) == (20, 40)
    assert first["AccessKeyId"].startswith("AKIA")
    iam.create_access_key(UserName="ann")
    assert refused(iam.create_access_key, UserName="ann") == (
        "LimitExceeded",
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    listed = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
    assert len(listed) == 2
    assert "SecretAccessKey" not in listed[0]
    assert refused(iam.delete_access_key, UserName="ann", AccessKeyId="A" * 20) == (
        "NoSuchEntity",
        f"The Access Key with id {'A' * 20} cannot be found.",
    )


def test_a_key_works_until_it_is_switched_off(cloud: Any, iam: Any) -> None:
    key = cloud.user("ann", ALL)
    sts = cloud.client("sts", key)
    assert sts.get_caller_identity()["Arn"].endswith(":user/ann")
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Active")
    assert sts.get_caller_identity()["Arn"].endswith(":user/ann")
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()


def test_a_user_with_keys_policies_or_groups_is_not_deleted(cloud: Any, iam: Any, refused: Any) -> None:
    key = cloud.user("ann", ALL)
    iam.create_group(GroupName="team")
    iam.add_user_to_group(GroupName="team", UserName="ann")
    assert refused(iam.delete_user, UserName="ann")[0] == "DeleteConflict"
    iam.delete_user_policy(UserName="ann", PolicyName="own")
    assert refused(iam.delete_user, UserName="ann")[0] == "DeleteConflict"
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    assert refused(iam.delete_user, UserName="ann")[0] == "DeleteConflict"
    iam.remove_user_from_group(GroupName="team", UserName="ann")
    iam.delete_user(UserName="ann")


def test_a_group_gives_its_members_its_rights(cloud: Any, iam: Any, refused: Any) -> None:
    key = cloud.user("ann")
    iam.create_group(GroupName="readers")
    iam.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    mine = cloud.client("iam", key)
    assert refused(mine.list_users)[0] == "AccessDenied"
    iam.add_user_to_group(GroupName="readers", UserName="ann")
    assert len(mine.list_users()["Users"]) == 1
    iam.update_group(GroupName="readers", NewGroupName="lookers")
    assert [each["UserName"] for each in mine.get_group(GroupName="lookers")["Users"]] == ["ann"]
    assert [each["GroupName"] for each in mine.list_groups_for_user(UserName="ann")["Groups"]] == ["lookers"]
    assert [each["GroupName"] for each in mine.list_groups()["Groups"]] == ["lookers"]
    assert refused(iam.delete_group, GroupName="lookers")[0] == "DeleteConflict"
    iam.remove_user_from_group(GroupName="lookers", UserName="ann")
    assert refused(mine.list_users)[0] == "AccessDenied"

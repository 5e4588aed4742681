"""Roles, trust policies, tags and boundaries, by boto3."""

from __future__ import annotations

import json
from typing import Any


def test_a_role_is_made_found_changed_and_deleted(iam: Any, trust: str, refused: Any) -> None:
    made = iam.create_role(
        RoleName="Job", AssumeRolePolicyDocument=trust, Description="runs jobs", MaxSessionDuration=7200
    )
    role = iam.get_role(RoleName="Job")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/Job"
    assert role["RoleId"].startswith("AROA")
    assert role["AssumeRolePolicyDocument"] == json.loads(trust)
    assert (role["Description"], role["MaxSessionDuration"]) == ("runs jobs", 7200)
    assert made["Role"] == role
    assert (
        refused(iam.create_role, RoleName="job", AssumeRolePolicyDocument=trust)[0] == "EntityAlreadyExists"
    )
    iam.update_role(RoleName="Job", Description="runs", MaxSessionDuration=3600)
    other = json.loads(trust)
    other["Statement"][0]["Principal"] = {"AWS": "123456789012"}
    iam.update_assume_role_policy(RoleName="Job", PolicyDocument=json.dumps(other))
    listed = iam.list_roles()["Roles"]
    assert [(each["RoleName"], each["Description"]) for each in listed] == [("Job", "runs")]
    assert listed[0]["AssumeRolePolicyDocument"] == other
    assert iam.list_instance_profiles_for_role(RoleName="Job")["InstanceProfiles"] == []
    iam.delete_role(RoleName="Job")
    assert refused(iam.get_role, RoleName="Job") == (
        "NoSuchEntity",
        "The role with name Job cannot be found.",
    )


def test_a_trust_policy_that_is_none_is_refused(iam: Any, refused: Any) -> None:
    identity = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    code, message = refused(iam.create_role, RoleName="job", AssumeRolePolicyDocument=identity)
    assert (code, message) == ("MalformedPolicyDocument", "Missing required field Principal (statement 1)")


def test_a_role_with_policies_is_not_deleted(iam: Any, trust: str, refused: Any) -> None:
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(
        RoleName="job",
        PolicyName="p",
        PolicyDocument='{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}',
    )
    iam.attach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    assert refused(iam.delete_role, RoleName="job")[0] == "DeleteConflict"
    iam.delete_role_policy(RoleName="job", PolicyName="p")
    assert refused(iam.delete_role, RoleName="job") == (
        "DeleteConflict",
        "Cannot delete entity, must detach all policies first.",
    )
    iam.detach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    iam.delete_role(RoleName="job")


def test_roles_are_tagged(iam: Any, trust: str) -> None:
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust, Tags=[{"Key": "a", "Value": "1"}])
    iam.tag_role(RoleName="job", Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert iam.list_role_tags(RoleName="job")["Tags"] == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]
    iam.untag_role(RoleName="job", TagKeys=["a"])
    assert iam.get_role(RoleName="job")["Role"]["Tags"] == [{"Key": "b", "Value": "3"}]


def test_a_boundary_bounds_what_a_user_may(cloud: Any, iam: Any, refused: Any) -> None:
    key = cloud.user("ann", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    mine = cloud.client("iam", key)
    mine.list_users()
    boundary = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=boundary)
    assert refused(mine.list_users)[0] == "AccessDenied"
    assert iam.get_user(UserName="ann")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_user_permissions_boundary(UserName="ann")
    mine.list_users()
